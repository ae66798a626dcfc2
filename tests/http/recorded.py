"""What the metrics endpoint exports about HTTP requests."""

from __future__ import annotations

from tachikoma_metrics.testing import sample_value, samples


def requests() -> dict[tuple[str, str, str], float]:
    """Return the recorded requests by method, path and status, without series at zero."""
    return {
        (dict(labels)["method"], dict(labels)["path"], dict(labels)["status"]): value
        for (name, labels), value in samples().items()
        if name == "http_requests_total" and value
    }


def total(name: str, path: str, method: str = "GET") -> float | None:
    return sample_value(name, method=method, path=path)


def in_flight() -> float | None:
    return sample_value("http_requests_in_flight")


def instrumentation_errors() -> float:
    return sum(v for (name, _), v in samples().items() if name == "tachikoma_metrics_errors_total")
