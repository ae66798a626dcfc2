"""Whether the metrics of a view count what the metrics of django-prometheus count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.catalogue.definitions import Gauge
from tachikoma_metrics.registry import METRICS, Counterpart

EQUAL, DIFFERENT, UNUSED = "equal", "different", "unused"

OTHER_REASONS = (
    "Each may also differ by what was counted before the view was enabled, and by requests in "
    "progress. If in doubt, run the command twice, and compare how much both have increased."
)
"""Reasons that apply to all metrics."""

_NOT_REFRESHED = "Not derived yet: `manage.py refresh_business_metrics` has to run."


@dataclass(frozen=True)
class Difference:
    """The values of one label set: of django-prometheus, and of the view."""

    labels: dict[str, str]
    replaced: float
    derived: float


@dataclass(frozen=True)
class Comparison:
    """The result for one metric: ``equal``, ``different``, or ``unused`` if neither has counted.

    ``replaced`` and ``derived`` are the totals of django-prometheus and of the view; ``reason``
    says why they may differ, besides ``OTHER_REASONS``; it may be "".
    """

    metric: str
    status: str
    replaced: float
    derived: float
    differences: tuple[Difference, ...] = ()
    reason: str = ""


def comparisons() -> Iterator[Comparison]:
    """Yield the result for each metric of ``VIEWS``: values of all processes of this host.

    Of a histogram, the number of observations is compared.

    Raises ``tachikoma_metrics.store.Incomplete`` if the values of some process cannot be read at
    the moment.
    """
    for one in METRICS.counterparts():
        differences = tuple(
            Difference(dict(labels), one.replaced.get(labels, 0), one.derived.get(labels, 0))
            for labels in sorted({*one.replaced, *one.derived})
            if one.replaced.get(labels, 0) != one.derived.get(labels, 0)
        )
        is_unused = not one.replaced and not one.derived
        yield Comparison(
            one.metric.name,
            DIFFERENT if differences else UNUSED if is_unused else EQUAL,
            sum(one.replaced.values()),
            sum(one.derived.values()),
            differences,
            _reason(one) if differences else "",
        )


def _reason(found: Counterpart) -> str:
    config = conf.config()
    for name in found.metric.sources:
        if catalogue.FAMILIES[name].opt_in and name not in config.extra_metrics:
            return f'Not derived: EXTRA_METRICS needs "{name}".'
        if name in config.disabled_metrics:
            return f"Not derived: DISABLED_METRICS has {name!r}."
    if found.metric.type == Gauge.type and not found.derived:
        return _NOT_REFRESHED
    return found.metric.difference
