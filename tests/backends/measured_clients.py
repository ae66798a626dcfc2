"""HTTP clients that are measured, and the samples that their requests leave."""

from __future__ import annotations

import ssl
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest

from tachikoma_metrics import testing
from tachikoma_metrics.backends import instrument_client
from tachikoma_metrics.testing import sample_value, samples

try:
    import httpx2
except ImportError:
    LIBRARIES: list[ModuleType] = [httpx]
else:
    LIBRARIES = [httpx, httpx2]

CHAT = "/v1/chat/completions"
IN_PROGRESS = {"EXTRA_METRICS": ["backend_requests_in_progress"]}

# Creating an SSL context for each client takes longer than most tests.
CLIENT_OPTIONS: dict[str, Any] = {"trust_env": False, "verify": ssl.create_default_context()}

each_library = pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.__name__)


def values(name: str, label: str) -> dict[str, float]:
    """Return the samples of a metric by one of their labels."""
    return {dict(labels)[label]: v for (n, labels), v in samples().items() if n == name and v}


def counted() -> dict[str, float]:
    return values("backend_requests_total", "endpoint")


def timed() -> float:
    return sum(values("backend_request_duration_seconds_count", "backend").values())


def seconds() -> float:
    return sum(values("backend_request_duration_seconds_sum", "backend").values())


def errors() -> dict[str, float]:
    return values("backend_errors_total", "error_type")


def instrumentation_errors() -> float:
    return sum(v for (name, _), v in samples().items() if name == "tachikoma_metrics_errors_total")


def in_progress() -> float | None:
    return sample_value("backend_requests_in_progress")


def client_of(library: ModuleType, **kwargs: Any) -> Any:
    return instrument_client(library.Client(**CLIENT_OPTIONS, **kwargs), backend="openai")


def async_client_of(library: ModuleType, **kwargs: Any) -> Any:
    return instrument_client(library.AsyncClient(**CLIENT_OPTIONS, **kwargs), backend="openai")


class Holder(SimpleNamespace):
    """An object that holds an HTTP client, as an SDK's does."""


def discard_instrumentation_error() -> None:
    """Check for the one error that a test provoked, and reset the metrics."""
    assert instrumentation_errors() == 1
    testing.reset()
