"""Fixtures of the tests of WebSockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import override_settings

from tests.websocket.recorded import OPT_IN, current


@pytest.fixture(autouse=True)
def _all_metrics_are_enabled_and_no_connection_stays_open() -> Iterator[None]:
    with override_settings(TACHIKOMA_METRICS={"EXTRA_METRICS": OPT_IN}):
        yield
        assert current() == 0
