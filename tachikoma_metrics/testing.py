"""For tests: read the page as a scraper would.

For example::

    def test_a_purchase_is_counted(client):
        with increase_of("purchases_total", plan="pro") as purchases:
            client.post("/buy", {"plan": "pro"})

        assert purchases.amount == 1
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tachikoma_metrics.exposition.parse import parse_text
from tachikoma_metrics.recording.model_names import forget_models
from tachikoma_metrics.registry import METRICS

Series = tuple[str, frozenset[tuple[str, str]]]


def samples() -> dict[Series, float]:
    """Return every sample on the page, by its name and its set of (label, value)."""
    return parse_text(METRICS.encode())


def sample_value(name: str, /, **labels: str) -> float | None:
    """Return the value of the sample that has exactly these labels; None without one."""
    # A page has hundreds of lines: only those with the name are worth parsing.
    begin = (f"{name}{{", f"{name} ")
    lines = [line for line in METRICS.encode().splitlines(keepends=True) if line.startswith(begin)]
    return parse_text("".join(lines)).get((name, frozenset(labels.items())))


@dataclass
class Increase:
    """How much a sample rose; ``amount`` is set at the end of the block."""

    amount: float = 0.0


@contextmanager
def increase_of(name: str, /, **labels: str) -> Iterator[Increase]:
    """Measure how much a sample rises in a ``with`` block; one that is missing counts as 0."""
    increase = Increase()
    before = sample_value(name, **labels) or 0.0
    yield increase
    increase.amount = (sample_value(name, **labels) or 0.0) - before


def reset() -> None:
    """Start all families of this app anew. Not for use in a running service."""
    forget_models()
    METRICS.reset()
