"""The samples about caches on the metrics endpoint."""

from __future__ import annotations

from tachikoma_metrics import testing


def hits_and_misses(**labels: str) -> tuple[float, float]:
    samples, series = testing.samples(), frozenset(labels.items())
    hits, misses = (samples.get((f"cache_{name}_total", series), 0) for name in ("hits", "misses"))
    return hits, misses


def size(**labels: str) -> float | None:
    return testing.sample_value("cache_size", **labels)


def errors() -> float:
    return testing.sample_value("tachikoma_metrics_errors_total", source="cache") or 0
