"""Where ``MetricsMiddleware`` is in ``MIDDLEWARE``."""

from __future__ import annotations

import pytest
from django.test import override_settings

from tachikoma_metrics import checks
from tachikoma_metrics.middleware import MetricsMiddleware
from tests.checks.messages import message
from tests.conftest import found

METRICS = checks.middleware.MIDDLEWARE


OTHER = "django.middleware.common.CommonMiddleware"
TRACING = "opentelemetry.instrumentation.django.middleware.otel_middleware._DjangoMiddleware"


@pytest.mark.parametrize(
    ("middleware", "ids"),
    [
        ([METRICS, OTHER], set()),
        ([OTHER], {"W001"}),
        ([OTHER, METRICS], {"W002"}),
        ([METRICS, OTHER, METRICS], {"W006"}),
        ([TRACING, METRICS, OTHER], set()),
        ([TRACING, OTHER, METRICS], {"W002"}),
        (["tests.checks.test_middleware.Subclass", OTHER], set()),
        (["tests.nowhere.Middleware", OTHER], {"W001"}),
    ],
)
def test_the_middleware_must_be_first_and_there_once(middleware: list[str], ids: set[str]):
    with override_settings(MIDDLEWARE=middleware):
        assert {id for id in found() if id.startswith("W")} == ids


class Subclass(MetricsMiddleware):
    pass


def test_if_disabled_a_missing_middleware_is_allowed():
    with override_settings(MIDDLEWARE=[], TACHIKOMA_METRICS={"ENABLED": False}):
        assert found() == {}


def test_a_middleware_that_cannot_be_imported_does_not_stop_the_checks():
    with override_settings(MIDDLEWARE=["tests.raising.Middleware", METRICS]):
        assert checks.middleware.check_middleware_is_installed() == []
        assert [message.id for message in checks.middleware.check_middleware_is_first()] == [
            "tachikoma_metrics.W002"
        ]


@pytest.mark.parametrize(
    "path", ["tachikoma_metrics.MetricsMiddleware", "tachikoma-metrics.middleware.X"]
)
def test_a_middleware_that_cannot_be_imported_is_named(path: str):
    reported = message("W001", MIDDLEWARE=[path, OTHER])

    assert f"{path!r}, which cannot be imported" in reported.msg
    assert (reported.hint or "").startswith("Correct the path, and put it first. ")
    assert METRICS in (reported.hint or "")


@pytest.mark.parametrize(
    ("middleware", "id"),
    [
        ([OTHER], "W001"),
        ([OTHER, METRICS], "W002"),
        ([METRICS, OTHER, METRICS], "W006"),
    ],
)
def test_a_middleware_in_the_wrong_place_is_a_warning(middleware: list[str], id: str):
    assert message(id, MIDDLEWARE=middleware).hint
