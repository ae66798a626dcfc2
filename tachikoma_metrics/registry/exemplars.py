"""When the metrics of an event get exemplars, and what those are.

Each process asks for the trace at most once in seven seconds for each bucket, so that under load
a request pays for one comparison. As in Prometheus' client for Java:
https://prometheus.github.io/client_java/otel/tracing/
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from tachikoma_metrics import tracing
from tachikoma_metrics.catalogue.definitions import Family, Histogram
from tachikoma_metrics.store import UNKNOWN, Cell, Exemplar, Progress, SeriesGroup

_SECONDS_KEPT = 7.0
"""The age from which an exemplar is replaced."""

_SECONDS_BETWEEN_ATTEMPTS = 0.1
"""After an observation that belongs to no sampled trace: the next one may."""

_NOW = -math.inf


class SampledGroup(SeriesGroup):
    """The cells of an event, and when each bucket of its duration is to get an exemplar.

    ``due`` are times of ``perf_counter``, ``bounds`` those of the buckets. If an exemplar
    ``is_always_due``, the times stay what they are.
    """

    __slots__ = ("bounds", "due", "is_always_due")

    def __init__(
        self,
        cells: list[Cell | None],
        on_missing: Callable[[SeriesGroup, Sequence[float], list[int]], None],
        gauge: Cell | None,
        bounds: Sequence[float],
        *,
        is_always_due: bool,
    ) -> None:
        super().__init__(cells, on_missing, gauge)
        self.bounds = bounds
        self.due = [_NOW] * max(len(bounds), 1)
        self.is_always_due = is_always_due


class Sampler:
    """Give exemplars to those of an event's metrics that have them.

    ``timed`` is the place of the duration among ``families``; its buckets decide when it is time.
    Without one, it is that of a metric without buckets.
    ``is_urgent`` takes the facts of an event, and returns whether an exemplar is always due.
    """

    def __init__(
        self,
        families: Sequence[Family],
        is_urgent: Callable[[Any], bool] | None,
        count_error: Callable[[str, Exception], None],
    ) -> None:
        self._places = [place for place, family in enumerate(families) if family.has_exemplars]
        self.timed = next(
            (place for place in self._places if isinstance(families[place], Histogram)),
            self._places[0],
        )
        self._is_urgent = is_urgent
        self._count_error = count_error

    def group(
        self,
        facts: tuple[object, ...],
        cells: list[Cell | None],
        on_missing: Callable[[SeriesGroup, Sequence[float], list[int]], None],
        gauge: Cell | None,
        bounds: Sequence[float],
    ) -> SampledGroup:
        """Return the cells of one event; ``bounds`` are those of its duration.

        ``gauge`` is that of events that have begun.
        """
        is_urgent = self._is_urgent is not None and self._is_urgent(facts)
        return SampledGroup(cells, on_missing, gauge, bounds, is_always_due=is_urgent)

    def sample(
        self, group: SampledGroup, amounts: Sequence[float], measured: Progress | None, now: float
    ) -> None:
        """Give the metrics an exemplar of these amounts, which were added; it is due.

        Never raises: what the source of exemplars raises is counted as an instrumentation error.
        """
        try:
            bucket = bisect_left(group.bounds, amounts[self.timed])
            self._postpone(group, bucket, now + _SECONDS_BETWEEN_ATTEMPTS)
            labels = tracing.labels(measured)
            if labels:
                self._postpone(group, bucket, now + _SECONDS_KEPT)
                self._put(group, amounts, labels)
        except Exception as error:
            self._count_error("exemplar", error)

    def _postpone(self, group: SampledGroup, bucket: int, until: float) -> None:
        if not group.is_always_due:
            group.due[bucket] = until

    def _put(self, group: SampledGroup, amounts: Sequence[float], labels: tracing.Labels) -> None:
        timestamp = time.time()
        for place in self._places:
            cell, amount = group.cells[place], amounts[place]
            if cell is not None and amount is not UNKNOWN:
                cell.exemplify(Exemplar(labels, amount, timestamp))
