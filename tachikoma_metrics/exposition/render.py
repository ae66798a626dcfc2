"""Render metric families as text 0.0.4 or OpenMetrics 1.0.

https://prometheus.io/docs/instrumenting/exposition_formats/
https://prometheus.io/docs/specs/om/open_metrics_spec/

Both omit ``_created`` series, which would be an eighth of an exposition. A sample that cannot be
written is omitted alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from prometheus_client import Metric

from tachikoma_metrics.exposition.exemplars import ValidExemplar, exemplar_of, valid
from tachikoma_metrics.exposition.families import OnError
from tachikoma_metrics.exposition.formats import Format
from tachikoma_metrics.exposition.merged import MergedMetric
from tachikoma_metrics.exposition.names import TEXT_SUFFIXES, WITHOUT_UNIT, metric_name
from tachikoma_metrics.exposition.points import Point, Reader
from tachikoma_metrics.exposition.syntax import escape, label_pairs, number, timestamp_text
from tachikoma_metrics.store import Exemplar

_TEXT_TYPES = {
    "info": "gauge",
    "stateset": "gauge",
    "gaugehistogram": "histogram",
    "unknown": "untyped",
}
_DIGITS = 32 + 16
"""Of the ids of a trace and of a span."""

_GAUGES_OF_GAUGEHISTOGRAM = ("_gcount", "_gsum")

Write = Callable[[Point, str], str]
"""Formats a sample. If the type of its family is given, it includes the exemplar, or raises."""


@dataclass(frozen=True)
class TextFormat(Format[str]):
    """A text format: a head for each family, and a line for each sample."""

    content_type: str
    _head: Callable[[str, str, str, str], str]
    _family: Callable[[Metric, Iterable[Point], Callable[[Point], str]], Iterator[str]]
    _write: Write
    _needs_sum: bool
    _end: str = ""
    _has_exemplars: bool = False

    def render(
        self,
        families: Iterable[Metric],
        on_error: OnError,
        global_labels: Mapping[str, str],
    ) -> str:
        """Return the exposition as text that UTF-8 can encode."""
        parts = []
        for metric in families:
            try:
                lines = _Lines(metric, self._write, on_error)
                reader = Reader(metric, global_labels, on_error, needs_sum=self._needs_sum)
                quick = self._quick(metric, lines, reader, global_labels)
                parts.append(self._slow(metric, lines, reader) if quick is None else quick)
            except Exception as error:
                on_error("render", error, metric.name)
        return _encodable("".join(parts) + self._end)

    def alone(self, name: str, documentation: str, value: float) -> str:
        """Return an exposition of one counter of errors, those of exposition."""
        head = self._head(name, documentation, "counter", "")
        return f'{head}{name}_total{{source="page"}} {float(value)}\n{self._end}'

    def _slow(self, metric: Metric, lines: _Lines, reader: Reader) -> str:
        given: object = metric.unit
        unit = given if isinstance(given, str) else ""
        head = self._head(metric.name, metric.documentation, metric.type, unit)
        return head + "".join(self._family(metric, reader.points(metric.samples), lines.line))

    def _quick(
        self, metric: Metric, lines: _Lines, reader: Reader, global_labels: Mapping[str, str]
    ) -> str | None:
        if not isinstance(metric, MergedMetric):
            return None
        constant = tuple(global_labels.items())
        text = metric.quick_text(
            self._head(metric.name, metric.documentation, metric.type, metric.unit),
            lambda pairs: _around_le({**global_labels, **dict(pairs)}),
            (self.content_type, metric.name, metric.documentation, metric.unit, constant),
            needs_sum=self._needs_sum,
            write_exemplar=lines.exemplar if self._has_exemplars else None,
        )
        if text is None or not metric.extra:
            return text
        return "".join([text, *map(lines.line, reader.points(metric.extra))])


@dataclass(frozen=True)
class _Lines:
    metric: Metric
    write: Write
    on_error: OnError

    def line(self, point: Point) -> str:
        if point.sample.exemplar is None:
            return self.write(point, "")
        try:
            return self.write(point, self.metric.type)
        except Exception as error:
            self.on_error("render", error, point.sample.name)
            return self.write(point, "")

    def exemplar(self, exemplar: Exemplar) -> str:
        """Return an exemplar as text; nothing for one that cannot be written."""
        try:
            labels = exemplar.labels
            trace, span = labels.get("trace_id", ""), labels.get("span_id", "")
            if len(labels) == 2 and len(trace + span) == _DIGITS and (trace + span).isalnum():
                # Most are such, and of those nothing can be invalid.
                pairs = f'span_id="{span}",trace_id="{trace}"'
                stamp = timestamp_text(exemplar.timestamp)
                return f" # {{{pairs}}} {number(exemplar.value)} {stamp}"
            return _exemplar(valid(exemplar))
        except Exception as error:
            self.on_error("render", error, self.metric.name)
            return ""


def _text_family(
    metric: Metric, points: Iterable[Point], line: Callable[[Point], str]
) -> Iterator[str]:
    apart: dict[str, list[str]] = {}
    for point in points:
        # Text 0.0.4 has no gauge histogram: its sum and count become gauges.
        if point.suffix in _GAUGES_OF_GAUGEHISTOGRAM:
            apart.setdefault(point.suffix, []).append(line(point))
        else:
            yield line(point)
    for suffix, written in sorted(apart.items()):
        yield _text_head(metric.name + suffix, metric.documentation, "gauge")
        yield from written


@lru_cache(4096)
def _text_head(name: str, documentation: str, type: str, unit: str = "") -> str:
    name = metric_name(name + TEXT_SUFFIXES.get(type, ""))
    text = documentation.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {text}\n# TYPE {name} {_TEXT_TYPES.get(type, type)}\n"


def _text_sample_without_timestamp(point: Point, type_of_exemplar: str) -> str:
    return f"{point.place.series} {number(point.value)}\n"


def _text_sample(point: Point, type_of_exemplar: str) -> str:
    timestamp = point.sample.timestamp
    stamp = "" if timestamp is None else f" {int(float(timestamp) * 1000)}"
    return f"{point.place.series} {number(point.value)}{stamp}\n"


def _openmetrics_family(
    metric: Metric, points: Iterable[Point], line: Callable[[Point], str]
) -> Iterator[str]:
    return map(line, points)


@lru_cache(4096)
def _openmetrics_head(name: str, documentation: str, type: str, unit: str) -> str:
    name = metric_name(name)
    head = f"# HELP {name} {escape(documentation)}\n# TYPE {name} {type}\n"
    if not unit or not name.endswith(f"_{unit}") or type in WITHOUT_UNIT:
        # A unit that is no valid suffix of a name, such as `m/s`, cannot be written.
        return head
    return f"{head}# UNIT {name} {unit}\n"


def _openmetrics_sample(point: Point, type_of_exemplar: str) -> str:
    stamp = f" {point.stamp}" if point.stamp else ""
    exemplar = _exemplar(exemplar_of(point, type_of_exemplar)) if type_of_exemplar else ""
    return f"{point.place.series} {number(point.value)}{stamp}{exemplar}\n"


def _exemplar(exemplar: ValidExemplar) -> str:
    stamp = "" if exemplar.timestamp is None else f" {timestamp_text(exemplar.timestamp)}"
    pairs = ",".join(label_pairs(exemplar.labels).values())
    return f" # {{{pairs}}} {number(exemplar.value)}{stamp}"


def _around_le(labels: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Format labels, those before ``le`` and those after it."""
    pairs = label_pairs(labels)
    if "le" in pairs:
        raise ValueError("A label named `le` has to be sorted among the others.")
    before = [pair for name, pair in pairs.items() if name < "le"]
    return before, [pair for name, pair in pairs.items() if name > "le"]


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


TEXT = TextFormat(
    "text/plain; version=0.0.4; charset=utf-8",
    _text_head,
    _text_family,
    _text_sample,
    False,
)
TEXT_WITHOUT_TIMESTAMPS = replace(TEXT, _write=_text_sample_without_timestamp)
OPENMETRICS = TextFormat(
    # Whatever escaping a scraper asks for: a name is the same in all formats and to all of them.
    # https://prometheus.io/docs/instrumenting/escaping_schemes/
    "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
    _openmetrics_head,
    _openmetrics_family,
    _openmetrics_sample,
    True,
    "# EOF\n",
    True,
)
