"""The age of business metrics."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from tests.conftest import found


@pytest.mark.parametrize(
    ("settings", "is_warned_of"),
    [
        ({"BUSINESS_MAX_AGE": 30}, True),
        ({"BUSINESS_MAX_AGE": 60, "BUSINESS_INTERVAL": 600}, True),
        ({"BUSINESS_MAX_AGE": 31}, False),
        ({"BUSINESS_INTERVAL": 600}, False),
    ],
)
def test_business_metrics_that_expire_before_a_refresh_are_a_warning(
    settings: dict[str, Any], is_warned_of: bool
):
    with override_settings(
        TACHIKOMA_METRICS={
            "BUSINESS_METRICS": {"missions_total": {"model": "missions.Mission"}},
            **settings,
        }
    ):
        assert ("W026" in found()) is is_warned_of
    with override_settings(TACHIKOMA_METRICS=settings):
        assert "W026" not in found()
