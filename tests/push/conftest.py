from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.push.receiver import Receiver, receiving


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Receive what is sent to where the environment says."""
    with receiving() as receiver:
        for name in ("HEADERS", "METRICS_ENDPOINT", "COMPRESSION", "TIMEOUT"):
            monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        yield receiver
