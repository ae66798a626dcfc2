"""Something that happens, and the families it changes.

The families of an event take their labels from the same facts. Which series those
are is found out once and remembered, so that recording the same thing again costs
one look-up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tachikoma_metrics import conf
from tachikoma_metrics.definitions import Counter, Family
from tachikoma_metrics.labels import clean
from tachikoma_metrics.registry.metrics import METRICS, Metrics

Step = Callable[[float], Any]

_MOST_REMEMBERED = 4096


class Event:
    """Record one kind of event in all families that it changes.

    ``offered`` names the facts, in the order in which ``record`` takes them; the
    labels of ``EXTRA_LABELS`` follow if the event ``has_request``. ``source`` names
    the event in ``tachikoma_metrics_errors_total``.
    """

    def __init__(
        self,
        source: str,
        offered: tuple[str, ...],
        *families: Family,
        has_request: bool = False,
        metrics: Metrics = METRICS,
    ) -> None:
        self.source = source
        self._offered = offered
        self._families = families
        self._has_request = has_request
        self._metrics = metrics
        self._remembered: dict[tuple[object, ...], tuple[Step | None, ...]] = {}
        metrics.when_forgotten(self)

    def record(self, facts: tuple[object, ...], amounts: tuple[float | None, ...]) -> None:
        """Add one amount to each family; None adds nothing to that one.

        Never raises. An amount that is not a finite number of at least zero is
        counted as a fault, and the others are recorded.
        """
        try:
            steps = self._remembered.get(facts) or self._steps(facts)
        except Exception as error:
            self._metrics.fault(self.source, error)
            return
        for step, amount in zip(steps, amounts, strict=False):
            if step is None or amount is None:
                continue
            try:
                step(_sound(amount))
            except Exception as error:
                self._metrics.fault(self.source, error)

    def forget(self) -> None:
        """Forget which series the facts lead to; they are found anew."""
        self._remembered = {}

    def _steps(self, facts: tuple[object, ...]) -> tuple[Step | None, ...]:
        remembered = self._remembered
        values = tuple(map(clean, facts))
        named = dict(zip(self._names(), values, strict=False))
        found = [self._step(family, named) for family in self._families]
        steps = tuple(step for step, _ in found)
        is_lasting = values == facts and all(is_own for _, is_own in found)
        if is_lasting and len(remembered) < _MOST_REMEMBERED:
            remembered[facts] = steps
        return steps

    def _names(self) -> tuple[str, ...]:
        extra = conf.config().extra_labels if self._has_request else ()
        return (*self._offered, *extra)

    def _step(self, family: Family, named: dict[str, str]) -> tuple[Step | None, bool]:
        bound = self._metrics.bound(family.name)
        if not bound.is_on:
            return None, True
        values = tuple(named.get(name, "") for name in bound.shape.label_names)
        child: Any = bound.metric
        is_own = True
        if values:
            child, is_own = bound.metric.child(values)
        return child.inc if isinstance(family, Counter) else child.observe, is_own


def _sound(amount: float) -> float:
    if 0 <= amount < math.inf:
        return float(amount)
    raise ValueError(f"An amount should be a finite number of at least 0; got {amount!r}.")
