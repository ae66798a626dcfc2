"""How a project replaces django-prometheus: what to change, and whether both count alike."""

from __future__ import annotations

from tachikoma_metrics.replacing.differences import (
    DIFFERENT,
    EQUAL,
    OTHER_REASONS,
    UNUSED,
    Comparison,
    comparisons,
)
from tachikoma_metrics.replacing.plan import steps
from tachikoma_metrics.replacing.step import CHANGE, DONE, KEEP, NONE, PHASES, Step

__all__ = [
    "CHANGE",
    "DIFFERENT",
    "DONE",
    "EQUAL",
    "KEEP",
    "NONE",
    "OTHER_REASONS",
    "PHASES",
    "UNUSED",
    "Comparison",
    "Step",
    "comparisons",
    "steps",
]
