from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import override_settings

from tests.push.receiver import Receiver, receiving


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Receive what is sent to where the environment says."""
    with receiving() as receiver:
        for name in ("HEADERS", "METRICS_ENDPOINT", "COMPRESSION", "TIMEOUT"):
            monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        yield receiver


@pytest.fixture
def store_of_the_test() -> Iterator[None]:
    """Share no values with other processes that run these tests."""
    with override_settings(TACHIKOMA_METRICS={"STORE_DIR": None}):
        yield
