"""Fixtures of the tests of business metrics."""

from __future__ import annotations

from typing import Any

import pytest

from tests.business.declarations import Declare


@pytest.fixture
def declare(settings) -> Declare:
    """Return a function that sets ``BUSINESS_METRICS`` and other settings."""

    def set_(metrics: dict[str, Any], **others: object) -> None:
        settings.TACHIKOMA_METRICS = {"BUSINESS_METRICS": metrics, **others}

    return set_
