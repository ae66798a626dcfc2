"""Collect the metric families of a registry, so that no collector can break the others.

``CollectorRegistry.collect`` is one generator over all collectors: the first that raises ends it,
and with it the exposition. Here only what a raising collector had still to yield is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum

from prometheus_client import Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Sample

from tachikoma_metrics.exposition.families import Families, OnError, PlainMetric
from tachikoma_metrics.exposition.names import CREATED, HISTOGRAMS, WITH_CREATED
from tachikoma_metrics.store import Incomplete


class Rank(IntEnum):
    """Order the collectors, and define whether their families may come in pieces.

    A collector may record something while it collects, which has to be exposed: so metrics
    whose values are shared come after all others. Families of the catalogue are omitted where
    another collector has one of their names. Those of the package's own health are collected
    when all others are rendered, because they count the errors of that.
    """

    ELSEWHERE = 0
    SHARED = 1
    CATALOGUED = 2
    OWN_HEALTH = 3


def gather(
    registry: CollectorRegistry,
    on_error: OnError,
    *,
    names: frozenset[str] = frozenset(),
    is_wanted: Callable[[Collector], bool] = lambda collector: True,
    rank: Callable[[Collector], Rank] = lambda collector: Rank.ELSEWHERE,
    collect: Callable[[Collector], Iterable[Metric]] = lambda collector: collector.collect(),
    rest: Callable[[], Iterable[Metric]] = tuple,
) -> Iterator[Metric]:
    """Yield the families of ``registry`` by rank, then in the order of registration.

    If ``names`` is not empty, only families and samples with these names are yielded, and a
    collector that registered none of them is skipped, as is one that is not wanted. Families of
    one name and type are merged; one that has a name of another is omitted, as an error.
    ``collect`` calls a collector; ``rest`` returns the families that no collector has, and is
    called after all collectors but those of the package's own health. If they raise, what they
    had still to yield is missing; ``Incomplete`` is raised to the caller.
    """
    families = Families(on_error)

    def add(collector: Collector) -> None:
        try:
            for metric in collect(collector):
                _add(families, metric, rank(collector), collector, on_error)
        except Incomplete:
            raise
        except Exception as error:
            on_error("collector", error, collector)

    target = registry.get_target_info()
    if target:
        families.add(_target_info(target))
    first, last = _in_order(_selected(registry, names, is_wanted), rank)
    for collector in first:
        add(collector)
    _add_rest(families, rest, on_error)
    yield from _restricted(families.pop(), names, on_error)
    for collector in last:
        add(collector)
    yield from _restricted(families.pop(), names, on_error)


def _add(
    families: Families, metric: Metric, rank: Rank, collector: object, on_error: OnError
) -> None:
    try:
        families.add(metric, is_alone=rank >= Rank.CATALOGUED)
    except ValueError as error:
        on_error("render", error, collector)
    except Exception as error:
        on_error("collector", error, collector)


def _add_rest(families: Families, rest: Callable[[], Iterable[Metric]], on_error: OnError) -> None:
    try:
        for metric in rest():
            _add(families, metric, Rank.SHARED, metric, on_error)
    except Incomplete:
        raise
    except Exception as error:
        on_error("collector", error, "the rest")


def _selected(
    registry: CollectorRegistry, names: frozenset[str], is_wanted: Callable[[Collector], bool]
) -> list[Collector]:
    # The only public way to the collectors is collect(), which is one generator for all;
    # restricted_registry() reads the same two attributes.
    with registry._lock:
        known = list(registry._collector_to_names.items())
    return [
        collector
        for collector, known_names in known
        if is_wanted(collector) and not _has_none_of(known_names, names)
    ]


def _in_order(
    collectors: list[Collector], rank: Callable[[Collector], Rank]
) -> tuple[list[Collector], list[Collector]]:
    ordered = sorted(collectors, key=rank)
    first = [collector for collector in ordered if rank(collector) < Rank.OWN_HEALTH]
    return first, ordered[len(first) :]


def _has_none_of(known_names: list[str], names: frozenset[str]) -> bool:
    return bool(names and known_names) and names.isdisjoint(known_names)


def _restricted(
    families: Iterable[Metric], names: frozenset[str], on_error: OnError
) -> Iterator[Metric]:
    for metric in families:
        if not names or metric.name in names:
            yield metric
            continue
        try:
            samples = [sample for sample in metric.samples if _is_named(sample, names)]
            starts = _starts(metric)
        except Exception as error:
            on_error("render", error, metric.name)
            continue
        if samples:
            yield from _with_samples(metric, samples, starts)


def _starts(metric: Metric) -> list[Sample]:
    """Return the samples that are no series of their own, but say since when others are counted."""
    if metric.type not in WITH_CREATED:
        return []
    created = frozenset({metric.name + CREATED})
    return [sample for sample in metric.samples if _is_named(sample, created)]


def _with_samples(metric: Metric, samples: list[Sample], starts: list[Sample]) -> Iterator[Metric]:
    """Yield a family with some of its samples.

    Without buckets, the sum and the count of a histogram are families of unknown type.
    """
    if metric.type not in HISTOGRAMS or any(one.name.endswith("_bucket") for one in samples):
        head = (metric.name, metric.documentation, metric.type, metric.unit)
        yield PlainMetric(*head, [*samples, *starts])
        return
    ends: dict[str, list[Sample]] = {}
    for sample in samples:
        ends.setdefault(sample.name, []).append(sample)
    for name, own in ends.items():
        yield PlainMetric(name, metric.documentation, "unknown", "", own)


def _is_named(sample: object, names: frozenset[str]) -> bool:
    name = getattr(sample, "name", None)
    return isinstance(name, str) and name in names


def _target_info(labels: dict[str, str]) -> Metric:
    # https://prometheus.io/docs/specs/om/open_metrics_spec/#supporting-target-metadata-in-both-push-based-and-pull-based-systems
    metric = Metric("target", "Target metadata", "info")
    metric.add_sample("target_info", labels, 1)
    return metric
