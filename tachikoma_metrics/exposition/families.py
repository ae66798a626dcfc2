"""The metric families of one exposition: each with one header, and each name once.

Collectors may yield a family in several objects, for example one for each label set, and several
collectors may yield the same family. The formats allow a family only once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import Metric
from prometheus_client.samples import Sample

from tachikoma_metrics.exposition.merged import MergedMetric
from tachikoma_metrics.exposition.names import SUFFIXES, metric_name, names_of, sample_names
from tachikoma_metrics.interruptions import pass_on

OnError = Callable[[str, Exception, object], None]
"""Called with the source of an error, the exception, and what raised it."""


class PlainMetric(Metric):
    """A family with its attributes as given, which prometheus_client's would change."""

    def __init__(
        self, name: str, documentation: str, type: str, unit: str, samples: list[Sample]
    ) -> None:
        self.name = name
        self.documentation = documentation
        self.type = type
        self.unit = unit
        self.samples = samples


class Families:
    """Merge the families of collectors, until they are taken out, possibly several times."""

    def __init__(self, on_error: OnError) -> None:
        self._on_error = on_error
        self._taken: set[str] = set()
        self._open: dict[tuple[str, str], list[Metric]] = {}
        self._found: list[list[Metric]] = []

    def add(self, metric: Metric, *, is_alone: bool = False) -> None:
        """Add ``metric`` to the family of its name and type, or start that family.

        It is omitted, as an error, if a family of another type has one of its names; a family
        that ``is_alone`` also if one of the same type has. Raises ``ValueError`` for a family
        that no format allows, and what an object raises that is not a family.
        """
        if isinstance(metric, MergedMetric) and metric.type in SUFFIXES and metric.name:
            self._add(metric, is_alone)
            return
        for piece in _pieces(metric):
            self._add(piece, is_alone)

    def _add(self, piece: Metric, is_alone: bool) -> None:
        key = (metric_name(piece.name), piece.type)
        if key in self._open and not is_alone:
            self._open[key].append(piece)
            return
        names = names_of(piece)
        if not self._taken.isdisjoint(names):
            error = ValueError(f"{min(self._taken & names)} is collected twice.")
            self._on_error("duplicate", error, piece.name)
            return
        self._taken |= names
        self._found.append([piece])
        if not is_alone:
            self._open[key] = self._found[-1]

    def pop(self) -> Iterator[Metric]:
        """Yield the families that were added since the last call."""
        found, self._found, self._open = self._found, [], {}
        for pieces in found:
            try:
                family = pieces[0] if len(pieces) == 1 else _joined(pieces)
            except Exception as error:
                self._on_error("render", error, pieces[0].name)
            else:
                yield family


def _joined(pieces: list[Metric]) -> Metric:
    first = pieces[0]
    samples = [sample for piece in pieces for sample in piece.samples]
    return PlainMetric(first.name, first.documentation, first.type, first.unit, samples)


def _pieces(metric: Metric) -> Iterator[Metric]:
    """Yield a family with the samples that its type allows, then the others as families.

    Prometheus accepts a sample of any name, so exposing it is more useful than keeping its type.
    """
    name, type = _stem(metric), _type(metric)
    allowed = sample_names(name, type)
    others: dict[str, list[Sample]] = {}
    own: list[Sample] = []
    for sample in metric.samples:
        sample_name = _name_of(sample)
        is_own = not sample_name or sample_name in allowed
        (own if is_own else others.setdefault(sample_name, [])).append(sample)
    if own or not others:
        is_as_yielded = not others and (name, type) == (metric.name, metric.type)
        head = (name, metric.documentation, type, metric.unit)
        yield metric if is_as_yielded else PlainMetric(*head, own)
    for sample_name, samples in others.items():
        yield PlainMetric(sample_name, metric.documentation, "unknown", "", samples)


def _stem(metric: Metric) -> str:
    """Return the name of a family, without the ``_total`` of a counter."""
    name = metric_name(metric.name)
    if not name:
        raise ValueError("A metric must have a name.")
    has_suffix = (
        metric.type == "counter"
        and name.endswith("_total")
        and any(_name_of(sample) == name for sample in metric.samples)
    )
    if has_suffix:
        return name.removesuffix("_total")
    return metric.name


def _type(metric: Metric) -> str:
    type: object = "unknown" if metric.type == "untyped" else metric.type
    if not isinstance(type, str) or type not in SUFFIXES:
        raise ValueError(f"The type of a metric must be one of {[*SUFFIXES]}; got {type!r}.")
    return type


def _name_of(sample: Sample) -> str:
    """Return the name of a sample; "" if it has none, and is omitted when it is written."""
    try:
        return metric_name(sample.name)
    except Exception as error:
        pass_on(error)
        return ""
