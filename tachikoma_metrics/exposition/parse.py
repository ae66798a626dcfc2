"""Parse an exposition."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families


def parse_text(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return the samples of an exposition in text 0.0.4, by name and labels.

    Raises ``ValueError`` for other text.
    """
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for metric in text_string_to_metric_families(text)
        for sample in metric.samples
    }
