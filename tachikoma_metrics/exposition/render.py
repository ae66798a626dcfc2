"""Write families as text 0.0.4 or OpenMetrics 1.0.

https://prometheus.io/docs/instrumenting/exposition_formats/
https://prometheus.io/docs/specs/om/open_metrics_spec/

Both leave out ``_created`` series, which would be an eighth of a page. A sample
that cannot be written costs itself alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from prometheus_client import Metric
from prometheus_client.samples import Exemplar, Sample

from tachikoma_metrics.exposition.gather import OnFault
from tachikoma_metrics.exposition.merged import MergedMetric, number
from tachikoma_metrics.exposition.names import label_name, metric_name

_WITH_CREATED = frozenset({"counter", "histogram", "summary"})

_TEXT_TYPES = {
    "info": "gauge",
    "stateset": "gauge",
    "gaugehistogram": "histogram",
    "unknown": "untyped",
}
_TEXT_SUFFIXES = {"counter": "_total", "info": "_info"}
_GAUGES_OF_GAUGEHISTOGRAM = ("_gcount", "_gsum")

Write = Callable[[Metric, Sample, Mapping[str, str]], str]


@dataclass(frozen=True)
class Format:
    """Name a format by its content type and write families in it."""

    content_type: str
    _head: Callable[[str, str, str, str], str]
    _families: Callable[[Metric, Callable[[Sample], str]], Iterator[str]]
    _write: Write
    _end: str = ""

    def render(
        self,
        families: Iterable[Metric],
        on_fault: OnFault,
        global_labels: Mapping[str, str],
    ) -> str:
        """Return the page as text that UTF-8 can encode.

        Global labels are added to every sample; a label of the sample's own of the
        same name stays.
        """
        parts = []
        for metric in families:
            lines = _Lines(metric, self._write, on_fault, global_labels)
            try:
                parts.append(self._quick(metric, lines) or self._slow(metric, lines))
            except Exception as error:
                on_fault("render", error, metric.name)
        return _encodable("".join(parts) + self._end)

    def alone(self, name: str, documentation: str, value: float) -> str:
        """Return a page with nothing but a counter of faults of the page."""
        head = self._head(name, documentation, "counter", "")
        return f'{head}{name}_total{{source="page"}} {float(value)}\n{self._end}'

    def _slow(self, metric: Metric, lines: _Lines) -> str:
        return "".join(self._families(metric, lines.line))

    def _quick(self, metric: Metric, lines: _Lines) -> str | None:
        if not isinstance(metric, MergedMetric) or metric.exemplars:
            return None
        constant = tuple(lines.global_labels.items())
        text = metric.quick_text(
            self._head(metric.name, metric.documentation, metric.type, metric.unit),
            lambda pairs: _without_le({**lines.global_labels, **dict(pairs)}),
            (self.content_type, metric.name, metric.documentation, metric.unit, constant),
        )
        if text is None or not metric.extra:
            return text
        return "".join([text, *map(lines.line, metric.extra)])


@dataclass(frozen=True)
class _Lines:
    metric: Metric
    write: Write
    on_fault: OnFault
    global_labels: Mapping[str, str]

    def line(self, sample: Sample) -> str:
        try:
            return self.write(self.metric, sample, self.global_labels)
        except Exception as error:
            self.on_fault("render", error, sample.name)
            return ""


def _is_created(metric: Metric, sample: Sample) -> bool:
    return metric.type in _WITH_CREATED and sample.name == f"{metric.name}_created"


def _text_family(metric: Metric, line: Callable[[Sample], str]) -> Iterator[str]:
    yield _text_head(metric.name, metric.documentation, metric.type)
    apart: dict[str, list[Sample]] = {}
    for sample in metric.samples:
        if sample.name in _names_of_apart(metric):
            apart.setdefault(sample.name, []).append(sample)
        elif not _is_created(metric, sample):
            yield line(sample)
    for name, samples in sorted(apart.items()):
        yield _text_head(name, metric.documentation, "gauge")
        yield from map(line, samples)


def _names_of_apart(metric: Metric) -> tuple[str, ...]:
    # Text 0.0.4 knows no gauge histogram: its sum and count become gauges.
    if metric.type != "gaugehistogram":
        return ()
    return tuple(metric.name + suffix for suffix in _GAUGES_OF_GAUGEHISTOGRAM)


@lru_cache(4096)
def _text_head(name: str, documentation: str, type: str, unit: str = "") -> str:
    name = metric_name(name + _TEXT_SUFFIXES.get(type, ""))
    text = documentation.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {text}\n# TYPE {name} {_TEXT_TYPES.get(type, type)}\n"


def _text_sample(metric: Metric, sample: Sample, global_labels: Mapping[str, str]) -> str:
    stamp = "" if sample.timestamp is None else f" {int(float(sample.timestamp) * 1000)}"
    return f"{_series(sample, global_labels)} {number(float(sample.value))}{stamp}\n"


def _openmetrics_family(metric: Metric, line: Callable[[Sample], str]) -> Iterator[str]:
    yield _openmetrics_head(metric.name, metric.documentation, metric.type, metric.unit)
    for sample in metric.samples:
        if not _is_created(metric, sample):
            yield line(sample)


@lru_cache(4096)
def _openmetrics_head(name: str, documentation: str, type: str, unit: str) -> str:
    name = metric_name(name)
    head = f"# HELP {name} {_escaped(documentation)}\n# TYPE {name} {type}\n"
    return f"{head}# UNIT {name} {unit}\n" if unit else head


def _openmetrics_sample(metric: Metric, sample: Sample, global_labels: Mapping[str, str]) -> str:
    stamp = "" if sample.timestamp is None else f" {sample.timestamp}"
    exemplar = "" if sample.exemplar is None else _exemplar(sample.exemplar)
    value = number(float(sample.value))
    return f"{_series(sample, global_labels)} {value}{stamp}{exemplar}\n"


def _exemplar(exemplar: Exemplar) -> str:
    stamp = "" if exemplar.timestamp is None else f" {exemplar.timestamp}"
    return f" # {{{_label_pairs(exemplar.labels)}}} {number(float(exemplar.value))}{stamp}"


def _series(sample: Sample, global_labels: Mapping[str, str]) -> str:
    labels = tuple((name, str(value)) for name, value in sample.labels.items())
    return _series_text(sample.name, labels, tuple(global_labels.items()))


@lru_cache(16384)
def _series_text(
    name: str, labels: tuple[tuple[str, str], ...], global_labels: tuple[tuple[str, str], ...]
) -> str:
    merged = {**dict(global_labels), **dict(labels)}
    return f"{metric_name(name)}{{{_label_pairs(merged)}}}" if merged else metric_name(name)


def _label_pairs(labels: Mapping[str, str]) -> str:
    before, after = _pairs_around_le(labels)
    le = [f'le="{_escaped(str(labels["le"]))}"'] if "le" in labels else []
    return ",".join([*before, *le, *after])


def _without_le(labels: Mapping[str, str]) -> tuple[list[str], list[str]]:
    if "le" in labels:
        raise ValueError("A label of the name of a bucket's is written with the others.")
    return _pairs_around_le(labels)


def _pairs_around_le(labels: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return labels in the order of their names, those before ``le`` and those after it.

    Raises ``ValueError`` for names that no longer differ once they are legal, or that
    are empty: Prometheus would refuse the whole page for one of them.
    """
    order = sorted(labels)
    names = [label_name(name) for name in order]
    if len(set(names)) < len(names) or "" in names:
        raise ValueError(f"Label names should differ and not be empty; got {list(labels)}.")
    before: list[str] = []
    after: list[str] = []
    for name, legal in zip(order, names, strict=True):
        if name != "le":
            pairs = before if name < "le" else after
            pairs.append(f'{legal}="{_escaped(str(labels[name]))}"')
    return before, after


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _encodable(page: str) -> str:
    try:
        page.encode()
    except UnicodeEncodeError:
        return page.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return page


TEXT = Format(
    "text/plain; version=0.0.4; charset=utf-8",
    _text_head,
    _text_family,
    _text_sample,
)
OPENMETRICS = Format(
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
    _openmetrics_head,
    _openmetrics_family,
    _openmetrics_sample,
    "# EOF\n",
)
