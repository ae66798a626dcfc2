"""Fixtures of the tests of HTTP requests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client

from tests.http.recorded import in_flight


@pytest.fixture(autouse=True)
def _no_request_stays_in_flight() -> Iterator[None]:
    yield
    assert in_flight() in (0, None)


@pytest.fixture
def client_without_exceptions(client: Client) -> Client:
    """Return a client that responds with 500 if a view raises, as a server does."""
    client.raise_request_exception = False
    return client
