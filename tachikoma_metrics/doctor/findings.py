"""What was checked, and with which result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

OK, WARNING, ERROR = "ok", "warning", "error"

_LEVELS = (OK, WARNING, ERROR)


@dataclass(frozen=True)
class Finding:
    """The result of one check: its status is ``ok``, ``warning`` or ``error``.

    ``check`` is a slug that stays the same in all releases, such as ``store``; ``hint`` is the
    remedy, or "".
    """

    check: str
    status: str
    message: str
    hint: str = ""


def has_reached(level: str, findings: Iterable[Finding]) -> bool:
    """Return whether the status of any finding is ``level`` or worse."""
    return any(_LEVELS.index(one.status) >= _LEVELS.index(level) for one in findings)


def counted(number: float, noun: str, plural: str = "s") -> str:
    """Return a number with its noun: ``1 token``, ``2 tokens``."""
    return f"{number:.0f} {noun}" if number == 1 else f"{number:.0f} {noun}{plural}"
