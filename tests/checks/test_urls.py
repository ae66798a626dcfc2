"""The route of the metrics endpoint, and the number of all routes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import override_settings
from django.urls import include, path
from django.views.decorators.cache import never_cache

from tachikoma_metrics import catalogue, checks, views
from tests.checks.messages import message
from tests.conftest import found


def _view(request: object) -> HttpResponse:
    return HttpResponse("other")


OWN_ROUTE = [path("internal/", include([path("metrics", views.metrics)]))]


WRAPPED_ROUTE = [path("metrics", never_cache(views.metrics))]


ROUTE_OF_DJANGO_PROMETHEUS = [path("metrics", _view, name="prometheus-django-metrics")]


@pytest.fixture
def route(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Callable[..., None]:
    """Return what gives the project a URLconf of these patterns."""

    def set_(patterns: list[Any]) -> None:
        module = ModuleType(f"urls_of_{len(patterns)}_{id(patterns)}")
        module.urlpatterns = patterns  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        settings.ROOT_URLCONF = module.__name__

    return set_


def test_metrics_without_path_and_route_are_a_warning(route: Callable[..., None]):
    route([])

    reported = message("W020", {"PATH": None})

    assert "nothing serves the metrics" in reported.msg
    assert 'include("tachikoma_metrics.urls")' in (reported.hint or "")


@pytest.mark.parametrize(
    ("declared", "patterns"),
    [
        ({"PATH": None}, OWN_ROUTE),
        ({"PATH": None}, WRAPPED_ROUTE),
        ({"PATH": None, "WORKER_PORT": 9100}, []),
        ({}, []),
    ],
)
def test_metrics_that_are_served_somehow_are_fine(
    route: Callable[..., None], declared: object, patterns: list[Any]
):
    route(patterns)

    with override_settings(TACHIKOMA_METRICS=declared):
        assert found() == {}


def test_before_the_route_of_django_prometheus_is_removed_its_view_is_enabled(
    route: Callable[..., None],
):
    route(ROUTE_OF_DJANGO_PROMETHEUS)

    hint = message("W003").hint or ""

    assert 'then remove include("django_prometheus.urls")' in hint
    assert 'Example: "VIEWS": ["django-prometheus"]' in hint
    assert "manage.py metrics_migrate" in hint


def test_with_its_view_the_route_of_django_prometheus_is_to_be_removed(
    route: Callable[..., None],
):
    route(ROUTE_OF_DJANGO_PROMETHEUS)

    hint = message("W003", {"VIEWS": ["django-prometheus"]}).hint or ""

    assert hint.startswith('Remove include("django_prometheus.urls") from the URLconf')
    assert "manage.py metrics_migrate" in hint
    assert "Example" not in hint


def test_a_view_that_the_middleware_shadows_is_a_warning():
    with override_settings(TACHIKOMA_METRICS={"PATH": "/hello/"}):
        message = found()["W003"]

    assert "'hello/'" in message.msg


@pytest.mark.parametrize("path", ["/metrics", "/nowhere", None])
def test_a_path_that_shadows_nothing_is_fine(path: str | None):
    with override_settings(TACHIKOMA_METRICS={"PATH": path}):
        assert found() == {}


MANY = override_settings(ROOT_URLCONF="tests.many_urls")


@MANY
def test_more_routes_than_the_limit_are_a_warning():
    message = found()["W014"]

    assert "has 2002 routes, but CARDINALITY_LIMIT is 2000" in message.msg
    assert 'Set "CARDINALITY_LIMIT": 9000' in str(message.hint)


@MANY
@pytest.mark.parametrize(
    "declared",
    [
        {"CARDINALITY_LIMIT": 2003},
        {"ENABLED": False},
        {
            "LABELS": {
                name: ["method"]
                for name, family in catalogue.FAMILIES.items()
                if catalogue.PATH in family.labels
            }
        },
    ],
)
def test_routes_below_the_limit_or_without_a_label_are_fine(declared: dict[str, Any]):
    with override_settings(TACHIKOMA_METRICS=declared):
        assert "W014" not in found()


@pytest.mark.parametrize("urlconf", ["tests.no_such_module", "tests.views", "tests"])
def test_a_urlconf_without_routes_does_not_stop_the_check(urlconf: str):
    # Django's own checks would import it, and raise.
    with override_settings(ROOT_URLCONF=urlconf, TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 1}):
        assert checks.urls.check_routes_have_room() == []
