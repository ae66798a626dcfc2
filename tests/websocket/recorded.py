"""What the metrics endpoint exports about WebSockets."""

from __future__ import annotations

from tachikoma_metrics.testing import sample_value, samples

OPT_IN = ["ws_connection_duration_seconds", "ws_connections_rejected_total", "ws_disconnects_total"]


def by_label(name: str) -> dict[str, float]:
    """Return the samples of a metric with one label, by its value."""
    return {
        value: amount
        for (found, labels), amount in samples().items()
        for _, value in labels
        if found == name
    }


def accepted() -> float:
    # Without labels the metric may be exported as zero.
    return sample_value("ws_connections_total") or 0


def current() -> float:
    return sample_value("ws_connections_current") or 0


def rejected() -> dict[str, float]:
    return by_label("ws_connections_rejected_total")


def ended() -> dict[str, float]:
    return by_label("ws_disconnects_total")


def counted(direction: str) -> dict[str, float]:
    return by_label(f"ws_messages_{direction}_total")


def instrumentation_errors() -> float | None:
    return sample_value("tachikoma_metrics_errors_total", source="websocket")
