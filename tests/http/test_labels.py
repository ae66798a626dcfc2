"""The labels of HTTP requests: method, path, view, language, and those of the settings."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from django.test import AsyncClient, Client, override_settings
from django.urls import set_script_prefix

from tachikoma_metrics.testing import sample_value, samples
from tests.http.recorded import instrumentation_errors, requests, total
from tests.http.servers import METRICS_MIDDLEWARE, serve


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/", "/"),
        (f"/things/{uuid.uuid4()}/parts/left-wheel/", "/things/:id/parts/:part/"),
        ("/archive/2026/feed.xml", "/archive/:year/feed.xml"),
        ("/groups/7/", "/groups/:var/page-:page/"),
        ("/groups/7/page-3/", "/groups/:var/page-:page/"),
        ("/articles/7/", "/articles/:pk/"),
        ("/mirror/7/", "/mirror/:pk/"),
        ("/articles/2026-11/", "/articles/:year-:var/"),
        ("/hello/?q=secret", "/hello/"),
        ("/nowhere/7/", "<unmatched>"),
        ("/hello", "<unmatched>"),
    ],
)
def test_the_path_label_is_the_route_and_never_the_url(client: Client, url: str, path: str):
    client.get(url)

    assert {found for _, found, _ in requests()} == {path}


LOCALE = "django.middleware.locale.LocaleMiddleware"


@pytest.mark.parametrize("language", ["en", "de", "pt-br"])
def test_a_language_prefix_becomes_a_placeholder(client: Client, language: str):
    with override_settings(MIDDLEWARE=[METRICS_MIDDLEWARE, LOCALE]):
        client.get(f"/{language}/about/")

    assert requests() == {("GET", "/:language/about/", "200"): 1}


def test_a_route_that_resembles_a_language_is_unchanged_without_i18n_patterns(client: Client):
    with override_settings(
        MIDDLEWARE=[METRICS_MIDDLEWARE, LOCALE], ROOT_URLCONF="tests.plain_urls"
    ):
        client.get("/en/plain/")

    assert requests() == {("GET", "/en/plain/", "200"): 1}


def test_the_script_prefix_is_not_part_of_the_path():
    try:
        serve("/hello/", SCRIPT_NAME="/mounted").close()
    finally:
        set_script_prefix("/")

    assert requests() == {("GET", "/hello/", "200"): 1}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "HEAD"])
def test_standard_methods_have_a_label_value_each(client: Client, method: str):
    client.generic(method, "/hello/")

    assert requests() == {(method, "/hello/", "200"): 1}


def test_nonstandard_methods_share_the_label_value_other(client: Client):
    for method in ("BREW", "PROPFIND", "X" * 5000):
        client.generic(method, "/hello/")

    assert requests() == {("other", "/hello/", "200"): 3}


@override_settings(MIDDLEWARE=[METRICS_MIDDLEWARE, "tests.views.as_delete"])
def test_the_method_is_that_of_the_original_request(client: Client):
    client.get("/hello/")

    assert requests() == {("GET", "/hello/", "200"): 1}


SERVING_FILES = override_settings(MIDDLEWARE=[METRICS_MIDDLEWARE, "tests.views.serve_files"])


@SERVING_FILES
@override_settings(STATIC_URL="assets/", MEDIA_URL="media/")
@pytest.mark.parametrize(
    ("url", "path", "status"),
    [
        ("/assets/css/site.css", "<static>", "200"),
        ("/assets/css/part.css", "<static>", "206"),
        ("/assets/css/known.css", "<static>", "304"),
        ("/media/css/site.css", "<static>", "200"),
        ("/assets/css/", "<unmatched>", "302"),
        ("/assets/missing.css", "<unmatched>", "404"),
        ("/other/css/site.css", "<unmatched>", "200"),
        ("/hello/", "/hello/", "200"),
    ],
)
def test_a_file_served_by_a_middleware_has_the_path_static(
    client: Client, url: str, path: str, status: str
):
    client.get(url)

    assert requests() == {("GET", path, status): 1}


@SERVING_FILES
@pytest.mark.parametrize(
    ("static_url", "url", "path"),
    [
        ("https://cdn.example/assets/", "/assets/css/site.css", "<static>"),
        ("//cdn.example/assets", "/assets/css/site.css", "<static>"),
        ("/assets/", "/assets/css/site.css", "<static>"),
        ("/assets/", "/assetsx/css/site.css", "<unmatched>"),
        ("https://cdn.example/", "/assets/css/site.css", "<unmatched>"),
        ("/", "/assets/css/site.css", "<unmatched>"),
        ("", "/assets/css/site.css", "<unmatched>"),
        (None, "/assets/css/site.css", "<unmatched>"),
    ],
)
def test_static_files_are_recognised_by_static_url(
    client: Client, static_url: str | None, url: str, path: str
):
    with override_settings(STATIC_URL=static_url):
        client.get(url)

    assert requests() == {("GET", path, "200"): 1}


@SERVING_FILES
def test_a_route_below_static_url_keeps_its_path(client: Client):
    with override_settings(STATIC_URL="/hello/"):
        client.get("/hello/")

    assert requests() == {("GET", "/hello/", "200"): 1}


@pytest.mark.parametrize("is_async", [False, True], ids=["wsgi", "asgi"])
def test_the_scheme_is_the_one_of_the_request(is_async: bool):
    forwarded = {"x-forwarded-proto": "https, http"}
    header = ("HTTP_X_FORWARDED_PROTO", "https")
    labels = {"LABELS": {"http_requests_total": ["scheme"]}}

    def get(**options: Any) -> None:
        if is_async:
            asyncio.run(AsyncClient().get("/hello/", **options))
        else:
            Client().get("/hello/", **options)

    with override_settings(TACHIKOMA_METRICS=labels):
        get(headers=forwarded)
        get(secure=True)
        with override_settings(SECURE_PROXY_SSL_HEADER=header):
            get(headers=forwarded)
            get(headers={"x-forwarded-proto": "http"}, secure=True)
            get(secure=True)
        get(headers=forwarded)

        found = [sample_value("http_requests_total", scheme=one) for one in ("http", "https")]
    assert found == [3, 3]


@override_settings(
    TACHIKOMA_METRICS={
        "EXTRA_LABELS": {"tenant": "tests.views.tenant"},
        "LABELS": {
            "http_requests_total": ["status", "view", "scheme", "tenant"],
            "http_request_duration_seconds": ["tenant"],
        },
    }
)
def test_optional_and_extra_labels_have_values(client: Client):
    client.get("/articles/7/", headers={"x-tenant": "blue"}, secure=True)
    client.get("/nowhere/", headers={"x-tenant": "blue"})

    labels = {"tenant": "blue", "status": "200", "scheme": "https", "view": "news:article"}
    assert sample_value("http_requests_total", **labels) == 1
    labels = {"tenant": "blue", "status": "404", "scheme": "http", "view": "<unmatched>"}
    assert sample_value("http_requests_total", **labels) == 1
    assert sample_value("http_request_duration_seconds_count", tenant="blue") == 2


@override_settings(
    TACHIKOMA_METRICS={
        "CARDINALITY_LIMIT": 4,
        "EXTRA_LABELS": {"tenant": "tests.views.tenant"},
        "LABELS": {"http_requests_total": ["tenant"]},
    }
)
def test_the_cardinality_limit_applies_to_extra_labels(client: Client):
    for number in range(9):
        client.get("/hello/", headers={"x-tenant": f"tenant-{number}"})

    assert sum(name == "http_requests_total" for name, _ in samples()) == 4
    assert sample_value("http_requests_total", tenant="overflow") == 6


@override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 2})
def test_the_status_is_kept_above_the_cardinality_limit(client_without_exceptions: Client):
    for url in ("/", "/hello/", "/articles/7/", "/fail/", "/fail/"):
        client_without_exceptions.get(url)

    assert requests() == {
        ("GET", "/", "200"): 1,
        ("GET", "overflow", "200"): 2,
        ("GET", "overflow", "500"): 2,
    }
    assert total("http_request_duration_seconds_count", "overflow") == 4


@pytest.mark.parametrize(
    ("path", "counted"), [("tests.views.failing_label", 1), ("tests.views.no_label", 0)]
)
def test_an_extra_label_without_a_value_is_empty(client: Client, path: str, counted: int):
    declared = {
        "EXTRA_LABELS": {"tenant": path},
        "LABELS": {"http_requests_total": ["method", "tenant"]},
    }
    with override_settings(TACHIKOMA_METRICS=declared):
        response = client.get("/hello/")

        assert response.content == b"hello"
        assert sample_value("http_requests_total", method="GET", tenant="") == 1
        assert instrumentation_errors() == counted


def test_an_extra_label_that_no_metric_has_is_not_computed(client: Client):
    declared = {"EXTRA_LABELS": {"tenant": "tests.views.failing_label"}}
    with override_settings(TACHIKOMA_METRICS=declared):
        client.get("/hello/")

        assert instrumentation_errors() == 0
        assert requests() == {("GET", "/hello/", "200"): 1}
