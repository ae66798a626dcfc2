from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import requests
from django.test import override_settings

from tachikoma_metrics.backends import instrument_client
from tachikoma_metrics.http import dropped_bodies
from tests.backends.measured_clients import (
    IN_PROGRESS,
    in_progress,
    instrumentation_errors,
)
from tests.origins import Origin


@pytest.fixture(autouse=True)
def _nothing_stays_in_progress() -> Iterator[None]:
    with override_settings(TACHIKOMA_METRICS=IN_PROGRESS):
        yield
        gc.collect()
        dropped_bodies.finish_dropped()
        assert in_progress() in (0, None)
        assert instrumentation_errors() == 0


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin().running() as origin:
        yield origin


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield instrument_client(session, "search")
