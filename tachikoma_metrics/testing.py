"""Testing metrics: read what a scraper would read.

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
    """Return every exposed sample, by its name and its set of (label, value) pairs."""
    return parse_text(METRICS.encode())


def sample_value(name: str, /, **labels: str) -> float | None:
    """Return the value of the sample that has exactly these labels; None without one."""
    # An exposition has hundreds of lines: only those with the name are parsed.
    begin = (f"{name}{{", f"{name} ")
    lines = [line for line in METRICS.encode().splitlines(keepends=True) if line.startswith(begin)]
    return parse_text("".join(lines)).get((name, frozenset(labels.items())))


@dataclass
class Increase:
    """The increase of a sample; ``amount`` is set at the end of the block."""

    amount: float = 0.0


@contextmanager
def increase_of(name: str, /, **labels: str) -> Iterator[Increase]:
    """Measure the increase of a sample in a ``with`` block; a missing sample counts as 0."""
    increase = Increase()
    before = sample_value(name, **labels) or 0.0
    yield increase
    increase.amount = (sample_value(name, **labels) or 0.0) - before


def reset() -> None:
    """Reset all built-in metrics. Not for use in a running service."""
    forget_models()
    METRICS.reset()
