"""How a key of ``TACHIKOMA_METRICS`` is declared: once, with all that the documentation says."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from tachikoma_metrics.conf.validators import Rule


@dataclass(frozen=True)
class Setting:
    """Describe one key of ``TACHIKOMA_METRICS`` for checks and documentation.

    ``id`` is that of the check of its value, and ``example`` a valid value as it is written in
    a settings module.
    """

    key: str
    topic: str
    default: Any
    rule: Rule
    id: str
    example: str
    meaning: str

    @property
    def entry(self) -> str:
        """Return the example as an entry of the dictionary."""
        return f'"{self.key}": {self.example}'

    @property
    def hint(self) -> str:
        """Return how to write a valid value."""
        return f"{self.rule.hint or 'Correct it.'} Example: {self.entry}"


def setting(topic: str, default: Any, rule: Rule, id: str, example: str, meaning: str) -> Any:
    """Return a field of the configuration that a key of ``TACHIKOMA_METRICS`` declares."""
    declared = {
        "topic": topic,
        "default": default,
        "rule": rule,
        "id": id,
        "example": example,
        "meaning": meaning,
    }
    return dataclasses.field(default_factory=lambda: default, metadata=declared)
