"""The response of the metrics endpoint: format, compression, selection, headers."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest
from django.core.cache import caches
from django.core.handlers.asgi import ASGIRequest
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.views.decorators.cache import cache_page
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from tachikoma_metrics import METRICS, record_cache_hit
from tachikoma_metrics.exposition.parse import parse_text
from tachikoma_metrics.store import STORE, Incomplete
from tachikoma_metrics.views import metrics
from tests.exposition.decoded import decode

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
PROTOBUF = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)
PROTOBUF_ASKED = PROTOBUF.replace(" ", "")
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
    "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_2_NATIVE = f"{PROTOBUF_ASKED},{PROMETHEUS_2}".replace("1.0.0,", "1.0.0;q=0.8,")
PROMETHEUS_3_NATIVE = f"{PROTOBUF_ASKED};q=0.7,{PROMETHEUS_3}"
BOTH_ROUTES = [{}, {"PATH": None}]


@pytest.fixture(params=BOTH_ROUTES, ids=["middleware", "urlconf"])
def endpoint(request: pytest.FixtureRequest) -> Any:
    """Serve the metrics by the middleware, then by the URLconf."""
    with override_settings(TACHIKOMA_METRICS=request.param):
        yield


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, TEXT),
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT),
        ("application/json", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("garbage", TEXT),
        ("text/plain; a*=bogus''x", TEXT),
        ("application/openmetrics-text;q=0, text/plain", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text; version=1.0.0", OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1", TEXT),
        ("application/openmetrics-text;version=2.0.0,text/plain;q=0.5", TEXT),
        ("text/plain;q=0.9,application/openmetrics-text;q=0.1", TEXT),
        ("text/plain;q=0.1,application/openmetrics-text;q=0.9", OPENMETRICS),
        (PROMETHEUS_2, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        (PROMETHEUS_2_NATIVE, PROTOBUF),
        (PROMETHEUS_3_NATIVE, PROTOBUF),
        (PROTOBUF_ASKED, PROTOBUF),
        (PROTOBUF_ASKED.upper().replace("APPLICATION", "application"), TEXT),
        (PROTOBUF_ASKED.replace("delimited", '"delimited"'), PROTOBUF),
        (PROTOBUF_ASKED.replace("delimited", "text"), TEXT),
        (PROTOBUF_ASKED.replace("MetricFamily", "Metric"), TEXT),
        ("application/vnd.google.protobuf", TEXT),
        (f"{PROTOBUF_ASKED};q=0", TEXT),
        (f"text/plain,{PROTOBUF_ASKED}", TEXT),
        (f"application/openmetrics-text,{PROTOBUF_ASKED}", OPENMETRICS),
        (f"{PROTOBUF_ASKED},application/openmetrics-text", PROTOBUF),
        (f"*/*,{PROTOBUF_ASKED}", PROTOBUF),
        (f"text/plain;q=0.5,{PROTOBUF_ASKED};q=0.5", TEXT),
        (f"{PROTOBUF_ASKED};q=0.4,application/openmetrics-text;q=0.5", OPENMETRICS),
        (f"{PROTOBUF_ASKED};q=0.5,text/plain;q=0.5,*/*;q=0.9", TEXT),
    ],
)
@pytest.mark.usefixtures("endpoint")
def test_the_format_follows_the_accept_header(
    client: Client, accept: str | None, content_type: str
):
    response = client.get("/metrics", headers={} if accept is None else {"accept": accept})

    assert response["Content-Type"] == content_type
    assert response.content.endswith(b"# EOF\n") == (content_type == OPENMETRICS)
    assert response.content.startswith(b"# HELP") == (content_type != PROTOBUF)


@pytest.mark.usefixtures("endpoint")
def test_the_response_parses_in_both_formats(client: Client):
    record_cache_hit()

    text = parse_text(client.get("/metrics").content.decode())
    page = client.get("/metrics", headers={"accept": PROMETHEUS_3}).content.decode()
    metrics_by_name = {metric.name: metric for metric in parse_openmetrics(page)}

    assert text["cache_hits_total", frozenset()] == 1
    assert metrics_by_name["cache_hits"].type == "counter"
    assert metrics_by_name["cache_hits"].samples[0].value == 1


@pytest.mark.parametrize("accept_encoding", ["gzip", "identity"])
@pytest.mark.usefixtures("endpoint")
def test_the_response_decodes_in_protobuf(client: Client, accept_encoding: str):
    record_cache_hit()
    headers = {"accept": PROMETHEUS_3_NATIVE, "accept-encoding": accept_encoding}

    whole = client.get("/metrics", headers=headers)
    named = client.get("/metrics?name[]=cache_hits_total", headers=headers)

    for response, most in ((whole, 1000), (named, 1)):
        body = (
            response.content if accept_encoding == "identity" else gzip.decompress(response.content)
        )
        decoded = decode(body)
        assert response["Content-Length"] == str(len(response.content))
        assert decoded.value("cache_hits_total") == 1
        assert len(decoded.families) <= most


@pytest.mark.parametrize(
    ("accept_encoding", "encoding"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("GZip ; q=0.5", "gzip"),
        ("deflate, gzip;q=1.0, *;q=0.5", "gzip"),
        ("*", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0.000, *", None),
        ("*;q=0", None),
        ("gzip;q=garbage", None),
        ("gzip;level=1;q=0.5", "gzip"),
        ("notgzip", None),
    ],
)
@pytest.mark.usefixtures("endpoint")
def test_the_response_is_compressed_if_the_client_accepts_gzip(
    client: Client, accept_encoding: str | None, encoding: str | None
):
    headers = {} if accept_encoding is None else {"accept-encoding": accept_encoding}
    response = client.get("/metrics", headers=headers)

    body = gzip.decompress(response.content) if encoding else response.content
    assert response.get("Content-Encoding") == encoding
    assert response["Content-Length"] == str(len(response.content))
    assert b"# TYPE http_requests_total counter" in body


@pytest.mark.usefixtures("endpoint")
def test_names_select_metrics_and_samples(client: Client):
    METRICS.http_request_duration_seconds.labels("GET", "/").observe(0.1)
    query = {
        "name[]": ["cache_hits_total", "http_request_duration_seconds_count", "python_info", "no"]
    }

    page = client.get("/metrics", query).content.decode()

    names = {name for name, _ in parse_text(page)}
    assert names == {"cache_hits_total", "http_request_duration_seconds_count", "python_info"}


def test_the_name_of_a_metric_selects_all_its_samples(client: Client):
    METRICS.http_request_duration_seconds.labels("GET", "/").observe(0.1)

    page = client.get("/metrics?name[]=http_request_duration_seconds").content.decode()

    names = {name.removeprefix("http_request_duration_seconds") for name, _ in parse_text(page)}
    assert names == {"_bucket", "_count", "_sum"}


def test_a_collector_without_the_name_is_not_called(client: Client, registry: CollectorRegistry):
    class Slow(Counter):
        def collect(self) -> Any:
            raise AssertionError("was called")

    Slow("slow_total", "Own.", registry=registry)

    page = client.get("/metrics?name[]=cache_hits_total").content.decode()
    assert page.count("# TYPE") == 1

    called = client.get("/metrics?name[]=tachikoma_metrics_errors_total&name[]=slow_total")
    assert "was called" not in called.content.decode()
    assert b'source="collector"} 1.0' in called.content


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.usefixtures("endpoint")
def test_only_get_and_head_are_allowed(client: Client, method: str):
    for sender in (client, Client(enforce_csrf_checks=True)):
        response = sender.generic(method, "/metrics")

        assert response.status_code == 405
        assert response["Allow"] == "GET, HEAD"
        assert response["Cache-Control"] == "private, no-store"


@pytest.mark.usefixtures("endpoint")
def test_head_has_the_headers_and_no_body(client: Client):
    response = client.head("/metrics")

    assert response.status_code == 200
    assert response["Content-Type"] == TEXT
    assert int(response["Content-Length"]) > 1000
    assert response.content == b""


@pytest.mark.parametrize("declared", BOTH_ROUTES)
def test_the_endpoint_is_not_found_if_metrics_are_disabled(
    client: Client, declared: dict[str, Any]
):
    with override_settings(TACHIKOMA_METRICS={**declared, "ENABLED": False}):
        response = client.get("/metrics")

    assert response.status_code == 404
    assert response["Cache-Control"] == "private, no-store"


@pytest.mark.usefixtures("endpoint")
def test_too_many_names_are_a_bad_request(client: Client):
    with override_settings(DATA_UPLOAD_MAX_NUMBER_FIELDS=3):
        response = client.get("/metrics", {"name[]": ["a"] * 9})

    assert response.status_code == 400


@pytest.mark.usefixtures("endpoint")
def test_the_response_forbids_caching(client: Client):
    response = client.get("/metrics")

    assert response["Cache-Control"] == "private, no-store"
    assert response["Vary"].startswith("Accept, Accept-Encoding")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("declared", [{}, {"ALLOWED_NETWORKS": []}, {"TOKENS": ["x" * 20]}])
@pytest.mark.parametrize("path", [None, "/metrics"])
async def test_every_response_has_the_security_headers(
    async_client: AsyncClient, path: str | None, declared: dict[str, Any], method: str
):
    with override_settings(TACHIKOMA_METRICS={**declared, "PATH": path}):
        response = await async_client.generic(method, "/metrics")

    assert response["Cache-Control"] == "private, no-store"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"


SITE_CACHE = [
    "tachikoma_metrics.middleware.MetricsMiddleware",
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
]
BY_TOKEN = {"authorization": f"Bearer {'x' * 20}"}


@pytest.mark.parametrize(
    ("declared", "given", "rejected"), [({}, {}, 403), ({"TOKENS": ["x" * 20]}, BY_TOKEN, 401)]
)
def test_the_cache_middleware_stores_no_response(
    client: Client, declared: dict[str, Any], given: dict[str, str], rejected: int
):
    caches["default"].clear()
    stranger: dict[str, Any] = {"REMOTE_ADDR": "203.0.113.9"}
    seen = []
    with override_settings(MIDDLEWARE=SITE_CACHE, TACHIKOMA_METRICS={**declared, "PATH": None}):
        for _ in range(2):
            record_cache_hit(cache="of the test")
            page = parse_text(client.get("/metrics", headers=given).content.decode())
            seen.append(page["cache_hits_total", frozenset()])
            assert client.get("/metrics", **stranger).status_code == rejected

    assert seen[1] > seen[0]


def test_a_cached_view_stores_no_response(rf: RequestFactory):
    caches["default"].clear()
    view = cache_page(600)(metrics)

    assert view(rf.get("/cached/")).status_code == 200
    assert view(rf.get("/cached/", REMOTE_ADDR="203.0.113.9")).status_code == 403


def test_the_middleware_responds_before_host_validation_and_redirects(client: Client):
    with override_settings(ALLOWED_HOSTS=["shop.example"], SECURE_SSL_REDIRECT=True):
        response = client.get("/metrics", headers={"host": "10.0.0.7:8000"})

    assert response.status_code == 200


def test_the_route_in_the_urlconf_needs_no_login(client: Client):
    middleware = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    with override_settings(MIDDLEWARE=middleware):
        assert client.get("/metrics").status_code == 200


def test_the_path_can_be_configured(client: Client):
    with override_settings(TACHIKOMA_METRICS={"PATH": "/internal/metrics"}):
        assert client.get("/internal/metrics").status_code == 200


@pytest.mark.usefixtures("endpoint")
async def test_the_response_is_made_off_the_event_loop(
    async_client: AsyncClient, registry: CollectorRegistry
):
    made_in = []

    class Watching(Counter):
        def collect(self) -> Any:
            made_in.append(threading.current_thread())
            return []

    Watching("watching_total", "Own.", registry=registry)

    response = await async_client.get("/metrics")

    assert response.status_code == 200
    assert isinstance(response.asgi_request, ASGIRequest)
    assert made_in
    assert threading.current_thread() not in made_in


def test_the_duration_of_the_previous_scrape_is_exported(client: Client):
    name = ("tachikoma_metrics_scrape_duration_seconds", frozenset[tuple[str, str]]())

    assert name not in parse_text(client.get("/metrics").content.decode())
    assert parse_text(client.get("/metrics").content.decode())[name] > 0


# --- values that cannot be read -----------------------------------------------


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the memory-mapped file of a process unreadable."""

    def readings() -> NoReturn:
        raise Incomplete("/shm/slot-1", OSError(24, "Too many\nopen files"))

    monkeypatch.setattr(STORE, "readings", readings)


REASON = b"Service Unavailable: /shm/slot-1 cannot be read: [Errno 24] Too many open files.\n"


@pytest.mark.usefixtures("endpoint", "unreadable")
@pytest.mark.parametrize("query", ["", "?name[]=http_requests_total"])
def test_incomplete_metrics_are_not_served(client: Client, query: str):
    with increase_of_store_errors() as errors:
        response = client.get(f"/metrics{query}")

    assert response.status_code == 503
    assert response.content == REASON
    assert response.headers["Retry-After"] == "1"
    assert response.headers["Cache-Control"] == "private, no-store"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert errors == [1]


@pytest.mark.usefixtures("endpoint", "unreadable")
async def test_incomplete_metrics_are_not_served_under_asgi(async_client: AsyncClient):
    response: Any = await async_client.get("/metrics")

    assert (response.status_code, response.content) == (503, REASON)


@pytest.mark.usefixtures("unreadable")
def test_incomplete_metrics_are_not_encoded():
    with pytest.raises(Incomplete, match=r"slot-1 cannot be read"):
        METRICS.encode()


@pytest.mark.usefixtures("unreadable")
def test_a_rejected_client_does_not_learn_what_is_unreadable(client: Client):
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.7").status_code == 403


@contextmanager
def increase_of_store_errors() -> Iterator[list[float]]:
    """Yield a list, to which the number of store errors in the block is added at its end."""
    counter = METRICS.tachikoma_metrics_errors_total.labels("store")._value
    before = counter.get()
    counted: list[float] = []
    yield counted
    counted.append(counter.get() - before)
