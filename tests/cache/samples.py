"""The samples about caches on the metrics endpoint."""

from __future__ import annotations

from tachikoma_metrics import testing


def counts() -> dict[str, float]:
    """Return the sums of hits, misses, errors of caches and errors of ours, from one exposition."""
    found = testing.samples().items()

    def total(wanted: str, source: str = "") -> float:
        has = {("source", source)} if source else set()
        return sum(value for (name, labels), value in found if name == wanted and has <= labels)

    return {
        "hits": total("cache_hits_total"),
        "misses": total("cache_misses_total"),
        "errors": total("cache_errors_total"),
        "our errors": total("tachikoma_metrics_errors_total", "cache"),
    }


def hits_and_misses(**labels: str) -> tuple[float, float]:
    samples, series = testing.samples(), frozenset(labels.items())
    hits, misses = (samples.get((f"cache_{name}_total", series), 0) for name in ("hits", "misses"))
    return hits, misses


def size(**labels: str) -> float | None:
    return testing.sample_value("cache_size", **labels)


def errors() -> float:
    return testing.sample_value("tachikoma_metrics_errors_total", source="cache") or 0
