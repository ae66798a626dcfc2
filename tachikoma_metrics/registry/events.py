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

UNKNOWN = float("nan")
"""Stands for an amount that nobody knows, and is told by its identity."""

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
        self._remembered: dict[tuple[object, ...], list[Step | None]] = {}
        metrics.when_forgotten(self.forget)

    def record(self, facts: tuple[object, ...], amounts: tuple[float, ...]) -> None:
        """Add one amount to each family; ``UNKNOWN`` adds nothing to that one.

        Never raises. An amount that is not a finite number of at least zero is
        counted as a fault, and the others are recorded.
        """
        try:
            steps = self._remembered.get(facts) or self._remember(facts)
        except Exception as error:
            self._metrics.fault(self.source, error)
            return
        for place, amount in enumerate(amounts):
            if amount is UNKNOWN:
                continue
            try:
                step = steps[place] or self._find(place, facts, steps)
                step(_sound(amount))
            except Exception as error:
                self._metrics.fault(self.source, error)

    def forget(self) -> None:
        """Forget which series the facts lead to; they are found anew."""
        self._remembered = {}

    def _remember(self, facts: tuple[object, ...]) -> list[Step | None]:
        steps: list[Step | None] = [None] * len(self._families)
        is_lasting = all(type(fact) is str and clean(fact) == fact for fact in facts)
        if len(self._remembered) >= _MOST_REMEMBERED:
            self.forget()
        if is_lasting:
            self._remembered[facts] = steps
        return steps

    def _find(self, place: int, facts: tuple[object, ...], steps: list[Step | None]) -> Step:
        family = self._families[place]
        bound = self._metrics.bound(family.name)
        if not bound.is_on:
            steps[place] = _ignore
            return _ignore
        child: Any = bound.metric
        is_own = True
        if bound.shape.label_names:
            child, is_own = bound.metric.child(self._values(bound.shape.label_names, facts))
        step: Step = child.inc if isinstance(family, Counter) else child.observe
        # Overflow is found anew each time, for the guard counts it each time.
        steps[place] = step if is_own else None
        return step

    def _values(self, label_names: tuple[str, ...], facts: tuple[object, ...]) -> tuple[str, ...]:
        extra = conf.config().request_labels if self._has_request else ()
        named = dict(zip((*self._offered, *extra), facts, strict=False))
        return tuple(clean(named.get(name, "")) for name in label_names)


def _ignore(amount: float) -> None:
    """Record nothing: the family is switched off."""


def _sound(amount: float) -> float:
    if 0 <= amount < math.inf:
        return float(amount)
    raise ValueError(f"An amount should be a finite number of at least 0; got {amount!r}.")
