"""What an alert and its runbook are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["page", "ticket"]


@dataclass(frozen=True)
class Runbook:
    """What an alert means and what to do, in Markdown."""

    meaning: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Alert:
    """An alerting rule, which fires once ``expression`` has had a value for ``pending``."""

    name: str
    expression: str
    pending: str
    severity: Severity
    summary: str
    runbook: Runbook
    labels: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)
