"""What a misspelt name was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Collection


def closest(name: object, possible: Collection[str], cutoff: float = 0.6) -> str | None:
    """Return the likeliest of the ``possible`` names; None if none is similar."""
    return next(iter(difflib.get_close_matches(str(name), possible, n=1, cutoff=cutoff)), None)


def did_you_mean(name: object, possible: Collection[str]) -> str:
    """Return a sentence that names the likeliest of the ``possible`` names, or all of them."""
    match = closest(name, possible)
    if match is not None:
        return f"Did you mean '{match}'?"
    if not possible:
        return "None is defined."
    return f"It must be one of: {', '.join(sorted(possible))}."
