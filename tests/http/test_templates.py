"""Responses by template: those that views return as ``TemplateResponse``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.template import TemplateDoesNotExist, engines
from django.template.response import TemplateResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path

from tachikoma_metrics.testing import samples
from tests.http.recorded import instrumentation_errors
from tests.http.servers import METRICS_MIDDLEWARE

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [("django.template.loaders.locmem.Loader", {"a.html": "a", "b.html": "b"})]
        },
    }
]


def one(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, "a.html")


async def asynchronous(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, "b.html")


def several(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, ["no.html", "b.html"])


def listed(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, ["a.html"])


def none_exists(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, ["no.html", "never.html"])


def nameless(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, engines["django"].from_string("text"))


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("text")


VIEWS: list[Any] = [one, asynchronous, several, listed, none_exists, nameless, plain]
urlpatterns = [path(f"{view.__name__}/", view) for view in VIEWS]
ON = {"EXTRA_METRICS": ["http_responses_by_template_total"], "EXCLUDE_PATHS": ["/listed/"]}


@pytest.fixture(autouse=True)
def _site() -> Iterator[None]:
    with override_settings(
        ROOT_URLCONF=__name__,
        TEMPLATES=TEMPLATES,
        MIDDLEWARE=[METRICS_MIDDLEWARE],
        TACHIKOMA_METRICS=ON,
    ):
        yield


def templates() -> dict[str, float]:
    return {
        dict(labels)["template"]: value
        for (name, labels), value in samples().items()
        if name == "http_responses_by_template_total"
    }


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("/one/", {"a.html": 1}),
        ("/asynchronous/", {"b.html": 1}),
        ("/several/", {"b.html": 1}),
        ("/nameless/", {"other": 1}),
        ("/plain/", {}),
        ("/listed/", {}),
    ],
)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_response_counts_by_the_template_that_renders_it(
    url: str, found: dict[str, float], is_async: bool
):
    response = asyncio.run(AsyncClient().get(url)) if is_async else Client().get(url)

    assert response.status_code == 200
    assert len(response.content) in (1, 4)
    assert templates() == found
    assert instrumentation_errors() == 0


def test_a_list_of_one_counts_by_its_name():
    with override_settings(TACHIKOMA_METRICS={"EXTRA_METRICS": ON["EXTRA_METRICS"]}):
        Client().get("/listed/")

        assert templates() == {"a.html": 1}


def test_templates_that_do_not_exist_raise_as_before():
    with pytest.raises(TemplateDoesNotExist, match=r"no\.html, never\.html"):
        Client().get("/none_exists/")

    assert templates() == {"other": 1}


def test_nothing_counts_when_it_is_off():
    with override_settings(TACHIKOMA_METRICS={}):
        Client().get("/one/")

        assert templates() == {}
