"""How many label sets of a metric are exposed, whatever label sets each process has.

The label sets that were made first are shown. Further ones are aggregated, as within one
process: their closed labels keep their values, the other labels are ``overflow``. All processes
read the same creation times in the files and so show the same label sets, and a label set that
is made later never replaces one that was shown.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from tachikoma_metrics.catalogue.labels import MOST_OVERFLOWED, overflow, overflowed
from tachikoma_metrics.store.layout import Declaration

Values = tuple[str, ...]
"""Of the labels of a label set."""

Moment = tuple[bool, float]
"""When a label set was made; those that no other process can read come last."""


class Limit(NamedTuple):
    """How many label sets of a metric may be exposed, ``overflow`` among them.

    ``closed_labels`` are names of labels; there are up to ``MOST_OVERFLOWED`` label sets
    more so that these keep their values.
    """

    most: float
    closed_labels: Collection[str] = ()


Limits = Mapping[str, Limit]
"""By the name of a metric of the catalogue; metrics that are not here have no limit."""

NO_LIMITS: Limits = {}


def moved(
    declaration: Declaration, limit: Limit, made_at: Mapping[Values, Moment]
) -> dict[Values, Values]:
    """Return the label sets that are not shown, in order, each with the one it is added to.

    ``made_at`` has all label sets of the metric. Those in the result are in the order in
    which they were made.
    """
    is_closed = [name in limit.closed_labels for name in declaration.labels]
    full = overflow(len(is_closed))
    standing_for = {values: overflowed(values, is_closed) for values in made_at}
    # What keeps all its values would stand for itself.
    bounded = [values for values in made_at if standing_for[values] != values]
    found = {values: standing_for[values] for values in _latest(bounded, made_at, limit.most - 1)}

    moments: dict[Values, Moment] = {}
    for values in made_at.keys() - set(bounded) - {full}:
        moments[values] = made_at[values]
    for values, target in found.items():
        if target != full:
            moments[target] = min(moments.get(target, made_at[values]), made_at[values])
    most = MOST_OVERFLOWED + (limit.most - 1 if all(is_closed) else 0)
    beyond = _latest(moments, moments, most)
    found.update((values, full) for values in found if found[values] in set(beyond))
    found.update((values, full) for values in beyond if values in made_at)
    return found


def _latest(
    values: Iterable[Values], made_at: Mapping[Values, Moment], most: float
) -> list[Values]:
    """Return what is beyond the first ``most``, in the order in which it was made."""
    if most == math.inf:
        return []
    ordered = sorted(values, key=lambda one: (_comparable(made_at[one]), one))
    return ordered[int(most) :]


def _comparable(moment: Moment) -> Moment:
    # A damaged file may have any bytes there.
    return (moment[0], math.inf) if math.isnan(moment[1]) else moment
