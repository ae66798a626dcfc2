"""The class ``Event``: it changes the metrics of one kind of event together.

The metrics of an event take their label values from the same facts. The series for some facts
are resolved once and remembered, so that recording the same facts again costs one lookup.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

from tachikoma_metrics import conf
from tachikoma_metrics.catalogue.definitions import Family
from tachikoma_metrics.catalogue.labels import clean
from tachikoma_metrics.interruptions import is_interruption, pass_on
from tachikoma_metrics.registry.exemplars import Sampler
from tachikoma_metrics.registry.metrics import METRICS, Metrics
from tachikoma_metrics.store import IGNORED, STORE, UNKNOWN, Cell, Progress, SeriesGroup

Variants = Callable[[tuple[str, ...]], Iterable[tuple[str, ...]]]
"""Returns the facts of all label sets that have the given facts."""

_MOST_REMEMBERED = 4096


class Event:
    """Record one kind of event in all metrics that it changes.

    ``offered`` names the facts, in the order in which ``record`` takes them; the labels of
    ``EXTRA_LABELS`` follow if the event ``has_request``. ``named`` converts facts that come in
    another form, once for each that is new. ``source`` names the event in
    ``tachikoma_metrics_errors_total``, ``in_progress`` is the gauge of events that have begun.
    ``closed_label`` is the label whose values ``variants`` knows beforehand: it takes known facts,
    and returns those of the label sets that are initialized to zero. ``is_urgent`` takes facts, and
    returns whether each event that has them is to get an exemplar.
    """

    def __init__(
        self,
        source: str,
        offered: tuple[str, ...],
        *families: Family,
        in_progress: Family | None = None,
        named: Callable[[Any], tuple[str, ...]] | None = None,
        has_request: bool = False,
        closed_label: str = "",
        variants: Variants | None = None,
        is_urgent: Callable[[Any], bool] | None = None,
        metrics: Metrics = METRICS,
    ) -> None:
        self.source = source
        self._offered = offered
        self._named = named
        self._families = families
        self._in_progress = in_progress
        self._has_request = has_request
        self._closed_label = closed_label
        self._variants = variants
        self._initialized: set[tuple[object, ...]] = set()
        self._metrics = metrics
        self._begun: Cell | None = None
        self._remembered: dict[tuple[object, ...], SeriesGroup] = {}
        self._sampler: Sampler | None = None
        self._is_sampled = False
        self._timed = 0
        if any(family.has_exemplars for family in families):
            self._sampler = Sampler(families, is_urgent, metrics.count_error)
            self._timed = self._sampler.timed
        metrics.on_reset(self.forget)

    def begin(self, progress: Progress, now: float) -> None:
        """Count one more in progress, until ``record_valid`` or ``abandon`` ends it.

        ``now`` is the time of ``perf_counter``. Never raises.
        """
        try:
            cell = self._begun or self._find_begun()
            cell.begin(progress, now)
        except Exception as error:
            self._metrics.count_error(self.source, error)

    def abandon(self, progress: Progress) -> None:
        """Count one less in progress, and nothing else; do nothing if ``progress`` is over."""
        if not progress.is_over or progress.cell is not None:
            STORE.change(progress.abandon)

    def record(self, facts: tuple[object, ...], amounts: tuple[float, ...]) -> None:
        """Add one amount to each metric.

        Never raises: an amount that is not a finite number of at least zero is counted as an
        instrumentation error, and the others are recorded.
        """
        try:
            sound = tuple(map(self._valid, amounts))
        except Exception as error:
            self._metrics.count_error(self.source, error)
        else:
            self.record_valid(facts, sound)

    def record_valid(
        self,
        facts: tuple[object, ...],
        amounts: tuple[float, ...],
        ended: Progress | None = None,
        now: float = 0.0,
    ) -> None:
        """Add one amount to each metric, all of them known to be finite and at least zero.

        ``UNKNOWN`` adds nothing to its metric. ``ended`` is the progress that ``begin`` took,
        and is over in any case: if it was over before, or has begun in another process,
        nothing is added. ``now`` is the time of ``perf_counter``. Never raises.
        """
        try:
            group = self._remembered.get(facts) or self._remember(facts)
            group.add(amounts, now or perf_counter(), ended)
        except BaseException as error:
            self.recover(error, facts, amounts, ended, now)

    def _record_with_exemplar(
        self,
        facts: tuple[object, ...],
        amounts: tuple[float, ...],
        ended: Progress | None = None,
        now: float = 0.0,
    ) -> None:
        """Do what ``record_valid`` does, and give the metrics an exemplar if one is due."""
        now = now or perf_counter()
        try:
            group: Any = self._remembered.get(facts) or self._remember(facts)
            group.add(amounts, now, ended)
            # Here, because a call would cost as much as all of it.
            is_due = now >= group.due[bisect_left(group.bounds, amounts[self._timed])]
        except BaseException as error:
            self.recover(error, facts, amounts, ended, now)
        else:
            if is_due and self._sampler is not None:
                self._sampler.sample(group, amounts, ended, now)

    def recover(
        self,
        error: BaseException,
        facts: tuple[object, ...],
        amounts: tuple[float, ...],
        ended: Progress | None = None,
        now: float = 0.0,
    ) -> None:
        """Finish what raised ``error``, which was just caught, while it recorded these facts.

        Raises ``error`` if it came from outside the package, and nothing else.
        """
        if ended is not None and not ended.is_over:
            if is_interruption(error):
                # What was added before is not added again.
                self.record_valid(facts, amounts, ended, now)
            self.abandon(ended)
        if isinstance(error, Exception):
            self._metrics.count_error(self.source, error)
        else:
            pass_on(error)

    @property
    def is_sampled(self) -> bool:
        """Return whether what is recorded gets exemplars, which ``record_valid`` takes care of."""
        return self._is_sampled

    def group(self, facts: tuple[str, ...]) -> SeriesGroup:
        """Return the series of these facts, for callers that remember them themselves.

        They are the right ones until ``Metrics.on_reset`` calls.
        """
        return self._remembered.get(facts) or self._remember(facts)

    def remembered(self, facts: tuple[object, ...]) -> SeriesGroup | None:
        """Return the series of facts that were recorded, if they are remembered.

        They are the right ones until the metrics call ``on_reset``.
        """
        return self._remembered.get(facts)

    def initialize(self, known: tuple[object, ...]) -> None:
        """Initialize the label sets that have the ``known`` facts to zero, once.

        A first error is an increase only from a zero that Prometheus has scraped before. Never
        raises. Facts that are no label values are ignored: recording them reports them.

        https://prometheus.io/docs/practices/instrumentation/#avoid-missing-metrics
        """
        try:
            if known in self._initialized:
                return
            named = tuple(map(clean, known))
        except Exception as error:
            pass_on(error)
            return
        try:
            self._initialize_variants(named, recorded=None)
            if len(self._initialized) >= _MOST_REMEMBERED:
                self._initialized = set()
            self._initialized.add(known)
        except Exception as error:
            self._metrics.count_error(self.source, error)

    def forget(self) -> None:
        """Resolve the series of all facts again."""
        self._remembered = {}
        self._initialized = set()
        self._begun = None
        self._choose_recording()

    def _choose_recording(self) -> bool:
        """Record with exemplars only if the settings ask for them; return whether they do."""
        if self._sampler is None:
            return False
        before, self._is_sampled = self._is_sampled, conf.config().exemplars is not None
        # Without exemplars, they cost nothing.
        if self._is_sampled:
            self.record_valid = self._record_with_exemplar  # type: ignore[method-assign]
        elif before:
            del self.record_valid
        return self._is_sampled

    def _remember(self, facts: tuple[object, ...]) -> SeriesGroup:
        named = facts if self._named is None else self._named(facts)
        group = self._group(facts, partial(self._record_left, named))
        if len(self._remembered) >= _MOST_REMEMBERED:
            self.forget()
        if all(type(fact) is str and clean(fact) == fact for fact in named):
            self._remembered[facts] = group
            self._initialize_variants(named, recorded=named)
        return group

    def _group(self, facts: tuple[object, ...], on_missing: Any) -> SeriesGroup:
        bound = [self._metrics.bound(family.name) for family in self._families]
        cells = [None if one.is_on else IGNORED for one in bound]
        begun = None if self._in_progress is None else self._begun or self._find_begun()
        if self._sampler is None or not self._choose_recording():
            return SeriesGroup(cells, on_missing, begun)
        bounds = bound[self._sampler.timed].metric.declaration.bounds
        return self._sampler.group(facts, cells, on_missing, begun, bounds)

    def _initialize_variants(
        self, named: tuple[Any, ...], recorded: tuple[Any, ...] | None
    ) -> None:
        if self._variants is None:
            return
        try:
            variants = [facts for facts in self._variants(named) if facts != recorded]
            for family in self._families:
                bound = self._metrics.bound(family.name)
                names = bound.shape.stored_labels
                if bound.is_on and self._closed_label in names:
                    bound.metric.initialize([self._values(names, facts) for facts in variants])
        except Exception as error:
            self._metrics.count_error(self.source, error)

    def _record_left(
        self,
        named: tuple[object, ...],
        group: SeriesGroup,
        amounts: Sequence[float],
        places: list[int],
    ) -> None:
        """Record the amounts whose series are not resolved yet."""
        for number, place in enumerate(places, 1):
            try:
                cell = group.cells[place] or self._find(place, named, group)
                if cell is not IGNORED:
                    change = cell.inc if cell.bounds is None else cell.observe
                    change(amounts[place])
            except BaseException as error:
                if is_interruption(error):
                    self._record_left(named, group, amounts, places[number:])
                    raise
                self._metrics.count_error(self.source, error)  # type: ignore[arg-type]  # No Exception: passed on.

    def _find(self, place: int, named: tuple[object, ...], group: SeriesGroup) -> Cell:
        bound = self._metrics.bound(self._families[place].name)
        label_names = bound.shape.stored_labels
        cell: Cell = bound.metric.cell if not label_names else IGNORED
        is_lasting = True
        if label_names:
            child, is_lasting = bound.metric.child(self._values(label_names, named))
            cell = child.cell
        # Overflow is resolved each time, because the guard counts it each time.
        group.cells[place] = cell if is_lasting else None
        return cell

    def _valid(self, amount: float) -> float:
        """Return the amount; ``UNKNOWN`` for an invalid one, which is counted as an error."""
        try:
            if amount is UNKNOWN:
                return UNKNOWN
            if 0 <= amount < math.inf:
                return float(amount)
            raise ValueError(f"An amount must be a finite number of at least 0; got {amount!r}.")
        except Exception as error:
            self._metrics.count_error(self.source, error)
            return UNKNOWN

    def _find_begun(self) -> Cell:
        if self._in_progress is None:
            raise TypeError(f"Events of {self.source} have no gauge of what is in progress.")
        bound = self._metrics.bound(self._in_progress.name)
        self._begun = bound.metric.cell if bound.is_on else Cell(None)
        return self._begun

    def _values(self, label_names: tuple[str, ...], named: tuple[object, ...]) -> tuple[str, ...]:
        extra = conf.config().request_labels if self._has_request else ()
        facts = dict(zip((*self._offered, *extra), named, strict=False))
        return tuple(clean(facts.get(name, "")) for name in label_names)
