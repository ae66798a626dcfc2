"""Exceptions by class: one for each request, whoever answers it."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings

from tachikoma_metrics.testing import samples
from tests.http.recorded import instrumentation_errors, requests
from tests.http.servers import METRICS_MIDDLEWARE

MIDDLEWARE = f"{__name__}."
WITH_LABELS = {"LABELS": {"http_exceptions_total": ["exception", "path", "view"]}}


def exceptions() -> dict[tuple[str, ...], float]:
    """Return the recorded exceptions by their label values, in the order of the labels' names."""
    return {
        tuple(value for _, value in sorted(labels)): value
        for (name, labels), value in samples().items()
        if name == "http_exceptions_total"
    }


class Answering:
    """A middleware that answers exceptions of views itself."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response: HttpResponse = self.get_response(request)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse:
        return HttpResponse("sorry", status=200)


def replacing(get_response: Any) -> Any:
    """Make a middleware that replaces what Django answers to an exception."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        return HttpResponse("sorry") if response.status_code == 500 else response

    return middleware


def failing_again(get_response: Any) -> Any:
    """Make a middleware that fails because of a response with the status 500."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = get_response(request)
        if response.status_code == 500:
            raise KeyError("no page")
        return response

    return middleware


def failing(get_response: Any) -> Any:
    """Make a middleware that fails before any route is resolved."""

    def middleware(request: HttpRequest) -> HttpResponse:
        raise LookupError("on purpose")

    return middleware


def test_each_exception_of_a_view_counts_by_its_class(client_without_exceptions: Client):
    for _ in range(3):
        client_without_exceptions.get("/fail/")
    client_without_exceptions.get("/hello/")

    assert exceptions() == {("ValueError",): 3}
    assert instrumentation_errors() == 0


@pytest.mark.parametrize("url", ["/fail/", "/async-fail/"])
async def test_exceptions_count_under_asgi(url: str):
    client = AsyncClient(raise_request_exception=False)
    await client.get(url)
    await client.get(url)

    assert exceptions() == {("ValueError",): 2}
    assert instrumentation_errors() == 0


@override_settings(TACHIKOMA_METRICS=WITH_LABELS)
def test_the_labels_show_the_route_and_the_view(client_without_exceptions: Client):
    client_without_exceptions.get("/fail/")

    assert exceptions() == {("ValueError", "/fail/", "tests.views.fail"): 1}


@override_settings(
    TACHIKOMA_METRICS=WITH_LABELS, MIDDLEWARE=[METRICS_MIDDLEWARE, MIDDLEWARE + "failing"]
)
def test_an_exception_of_a_middleware_has_no_route(client_without_exceptions: Client):
    client_without_exceptions.get("/hello/")

    assert exceptions() == {("LookupError", "<unmatched>", "<unmatched>"): 1}


@pytest.mark.parametrize(
    ("middleware", "status"), [("Answering", 200), ("replacing", 200), ("failing_again", 500)]
)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_an_exception_counts_once_whatever_middleware_makes_of_it(
    middleware: str, status: int, is_async: bool
):
    with override_settings(MIDDLEWARE=[METRICS_MIDDLEWARE, MIDDLEWARE + middleware]):
        answer: Any = (
            await AsyncClient(raise_request_exception=False).get("/async-fail/")
            if is_async
            else Client(raise_request_exception=False).get("/fail/")
        )

    assert answer.status_code == status
    assert exceptions() == {("ValueError",): 1}


@override_settings(
    DEBUG_PROPAGATE_EXCEPTIONS=True, MIDDLEWARE=[METRICS_MIDDLEWARE, MIDDLEWARE + "replacing"]
)
def test_an_exception_that_passes_through_every_middleware_counts_once(client: Client):
    with pytest.raises(ValueError, match="failed on purpose"):
        client.get("/fail/")

    assert exceptions() == {("ValueError",): 1}


@override_settings(MIDDLEWARE=[METRICS_MIDDLEWARE, MIDDLEWARE + "Answering"])
def test_what_django_answers_with_4xx_is_no_exception(client_without_exceptions: Client):
    client_without_exceptions.get("/missing/")
    client_without_exceptions.get("/no/such/page/")

    assert exceptions() == {}


@override_settings(TACHIKOMA_METRICS={"EXCLUDE_PATHS": ["/fail/"]})
def test_exceptions_of_excluded_paths_do_not_count(client_without_exceptions: Client):
    client_without_exceptions.get("/hello/")
    client_without_exceptions.get("/fail/")

    assert exceptions() == {}
    assert requests() == {("GET", "/hello/", "200"): 1}


@override_settings(TACHIKOMA_METRICS={"ENABLED": False})
def test_nothing_counts_when_metrics_are_off(client_without_exceptions: Client):
    assert client_without_exceptions.get("/fail/").status_code == 500
    assert exceptions() == {}


def test_a_signal_without_an_exception_counts_nothing(client: Client):
    client.get("/hello/")
    got_request_exception.send(sender=None, request=HttpRequest())

    assert exceptions() == {}
    assert instrumentation_errors() == 0


def test_the_exceptions_of_two_requests_in_one_count_for_each(client_without_exceptions: Client):
    client_without_exceptions.get("/fail/")
    client_without_exceptions.get("/fail/")

    assert sum(exceptions().values()) == sum(
        value for (_, _, status), value in requests().items() if status == "500"
    )
