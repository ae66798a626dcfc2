"""Whatever a client sends, responses stay the same and label sets bounded."""

from __future__ import annotations

import asyncio
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.test import Client, override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tachikoma_metrics import testing
from tachikoma_metrics.catalogue import FAMILIES
from tachikoma_metrics.catalogue.labels import MOST_OVERFLOWED
from tachikoma_metrics.testing import samples

MOST_SERIES = 6

methods = st.one_of(
    st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
)
paths = st.one_of(
    st.sampled_from(
        ["/", "/hello/", "/fail/", "/missing/", "/stream/", "/file/", "/no-content/", "/metrics"]
    ),
    st.integers(0, 10**6).map("/articles/{}/".format),
    st.uuids().map("/things/{}/parts/wheel/".format),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60).map("/{}".format),
)
headers = st.dictionaries(
    st.sampled_from(
        ["Content-Length", "Accept", "Accept-Encoding", "Host", "X-Tenant", "X-Forwarded-For"]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
)
requests = st.lists(
    st.tuples(methods, paths, headers, st.binary(max_size=200)), min_size=1, max_size=12
)
DECLARED = {
    "CARDINALITY_LIMIT": MOST_SERIES,
    "EXTRA_LABELS": {"tenant": "tests.views.tenant"},
    "LABELS": {"http_requests_total": ["method", "path", "status", "tenant"]},
}
WITHOUT = ["django.middleware.common.CommonMiddleware"]
WITH = ["tachikoma_metrics.middleware.MetricsMiddleware", *WITHOUT]
many = settings(
    max_examples=settings().max_examples * 6 // 10,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def send(middleware: list[str], method: str, path: str, sent: dict[str, str], body: bytes) -> Any:
    """Return status, headers and body of the response to one request."""
    client = Client(raise_request_exception=False)
    with override_settings(MIDDLEWARE=middleware):
        response: Any = client.generic(method, path, body, headers=sent)
        content = response.getvalue()
    return response.status_code, dict(response.headers), content


def series_of_families() -> dict[str, int]:
    """Return the number of label sets of each exposed metric."""
    found: dict[str, set[frozenset[tuple[str, str]]]] = {}
    for name, labels in samples():
        for suffix in ("", "_bucket", "_sum", "_count"):
            family = name.removesuffix(suffix) if suffix else name
            if family in FAMILIES:
                without_le = frozenset(pair for pair in labels if pair[0] != "le")
                found.setdefault(family, set()).add(without_le)
    return {family: len(label_sets) for family, label_sets in found.items()}


def is_within_bounds() -> bool:
    most = MOST_SERIES + MOST_OVERFLOWED
    return all(
        count <= most
        for family, count in series_of_families().items()
        if not FAMILIES[family].is_own_health
    )


@many
@given(requests)
def test_no_request_changes_a_response_raises_or_exceeds_the_limit(
    sequence: list[tuple[str, str, dict[str, str], bytes]],
):
    testing.reset()
    with override_settings(TACHIKOMA_METRICS=DECLARED):
        for method, path, sent, body in sequence:
            answers = [send(chain, method, path, sent, body) for chain in (WITHOUT, WITH)]
            if not path.startswith("/metrics"):
                assert answers[0] == answers[1]

        assert is_within_bounds()
        assert testing.sample_value("http_requests_in_flight") == 0


@settings(
    many, max_examples=many.max_examples // 3
)  # Each takes ten times as long: Django hops between threads.
@given(requests)
def test_no_request_under_asgi_changes_a_response_raises_or_exceeds_the_limit(
    sequence: list[tuple[str, str, dict[str, str], bytes]],
):
    async def send_all(middleware: list[str]) -> list[list[Any]]:
        with override_settings(MIDDLEWARE=middleware):
            handler = ASGIHandler()
            return [await serve(handler, *request) for request in sequence]

    testing.reset()
    with override_settings(TACHIKOMA_METRICS=DECLARED):
        without, with_ours = (asyncio.run(send_all(chain)) for chain in (WITHOUT, WITH))
        for (_, path, _, _), *answers in zip(sequence, without, with_ours, strict=True):
            assert path.startswith("/metrics") or answers[0] == answers[1]

        assert is_within_bounds()
        assert testing.sample_value("http_requests_in_flight") == 0


async def serve(
    handler: ASGIHandler, method: str, path: str, sent: dict[str, str], body: bytes
) -> list[Any]:
    """Serve one request as an ASGI server does; return the messages that the app sent."""
    incoming = [{"type": "http.request", "body": body, "more_body": False}]
    messages: list[Any] = []

    async def receive() -> Any:
        if incoming:
            return incoming.pop()
        await asyncio.sleep(3600)

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(k.lower().encode(), v.encode("latin1")) for k, v in sent.items()],
    }
    await handler(scope, receive, send)
    return messages
