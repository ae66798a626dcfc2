"""Read a page back."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families


def parse_text(page: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return the samples of a page in text 0.0.4 by name and labels.

    Raises ``ValueError`` for text that is not a page.
    """
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for metric in text_string_to_metric_families(page)
        for sample in metric.samples
    }
