"""Fixtures of the tests of access to the metrics endpoint."""

from __future__ import annotations

import pytest

from tests.page.scraping import TOKEN, Declare


@pytest.fixture
def declare(settings) -> Declare:
    """Return a function that sets ``TACHIKOMA_METRICS``."""

    def set_(**declared: object) -> None:
        settings.TACHIKOMA_METRICS = declared

    return set_


@pytest.fixture(
    params=[
        {"TOKENS": [TOKEN]},
        {"TOKENS": [TOKEN], "ALLOWED_NETWORKS": ["private"]},
        {"PERMISSION": "tests.page.permissions.permits"},
    ],
    ids=str,
)
def tokens_or_permission(request: pytest.FixtureRequest, declare: Declare) -> dict[str, str]:
    """Declare tokens or a permission; return the headers that satisfy them."""
    declare(**request.param)
    return {"authorization": f"Bearer {TOKEN}", "x-who": "the major"}
