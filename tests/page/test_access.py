"""Who may read the page, by address, by token and by permission."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.checks import run_checks
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, AsyncRequestFactory, Client, override_settings
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from tachikoma_metrics import catalogue
from tachikoma_metrics.middleware import MetricsMiddleware
from tachikoma_metrics.page.addresses import read_address
from tachikoma_metrics.testing import increase_of, sample_value, samples
from tests.conftest import found

TOKEN = "a-token-that-nobody-guesses"
OTHER_TOKEN = "another-one-for-the-rotation"

Declare = Callable[..., None]


@pytest.fixture
def declare(settings) -> Declare:
    def set_(**declared: object) -> None:
        settings.TACHIKOMA_METRICS = declared

    return set_


def ask(peer: str | None = "127.0.0.1", **headers: str) -> Any:
    """Ask for the page from an address; None for a Unix socket, which has none."""
    environ: dict[str, Any] = {"REMOTE_ADDR": "" if peer is None else peer}
    return Client().get("/metrics", headers=headers, **environ)


async def ask_asgi(peer: str | None, **headers: str) -> Any:
    """Ask as ``ask`` does, under ASGI."""

    async def nobody(request: HttpRequest) -> HttpResponse:
        raise AssertionError("The project was asked.")

    request = AsyncRequestFactory().get("/metrics", headers=headers)
    request.META["REMOTE_ADDR"] = peer or ""
    return await MetricsMiddleware(nobody)(request)  # type: ignore[misc]  # Here an awaitable.


FORWARDED = "x-forwarded-for"

ALLOWED: list[tuple[str | None, dict[str, str]]] = [
    ("127.0.0.1", {}),
    ("127.8.9.10", {}),
    ("::1", {}),
    ("10.1.2.3", {}),
    ("172.16.0.1", {}),
    ("172.31.255.255", {}),
    ("192.168.1.1", {}),
    ("169.254.1.1", {}),
    ("fe80::1", {}),
    ("fe80::1%eth0", {}),
    ("fd00::12", {}),
    ("::ffff:10.0.0.1", {}),
    ("10.0.0.1", {FORWARDED: "10.0.0.2"}),
    ("10.0.0.1", {FORWARDED: "10.0.0.2, 192.168.0.9"}),
    ("10.0.0.1", {FORWARDED: "10.0.0.2:4711"}),
    ("10.0.0.1", {FORWARDED: "[fd00::1]:4711"}),
    ("10.0.0.1", {FORWARDED: "fd00::1"}),
    ("10.0.0.1", {FORWARDED: " 10.0.0.2 ,10.0.0.3 "}),
    ("10.0.0.1", {"forwarded": "for=10.0.0.2;proto=http"}),
    ("10.0.0.1", {"forwarded": 'for="[fd00::1]:4711", for=10.0.0.3'}),
    ("10.0.0.1", {"forwarded": "for=10.0.0.2;proto=https;by=203.0.113.9"}),
    ("10.0.0.1", {"x-real-ip": "10.0.0.2"}),
    ("10.0.0.1", {FORWARDED: "10.0.0.2", "x-forwarded-proto": "https", "via": "1.1 proxy"}),
    ("10.0.0.1", {"x-real-ip": "10.0.0.2", "x-request-id": "3f"}),
]
REFUSED: list[tuple[str | None, dict[str, str]]] = [
    ("203.0.113.9", {}),
    ("8.8.8.8", {}),
    ("100.64.0.1", {}),
    ("172.32.0.1", {}),
    ("192.0.2.1", {}),
    ("0.0.0.0", {}),  # noqa: S104
    ("2001:db8::1", {}),
    ("::ffff:8.8.8.8", {}),
    ("64:ff9b::a00:1", {}),
    ("nonsense", {}),
    (None, {}),
    (None, {FORWARDED: "203.0.113.9"}),
    (None, {FORWARDED: "10.0.0.2"}),
    (None, {"x-real-ip": "127.0.0.1"}),
    (None, {"forwarded": "for=127.0.0.1"}),
    ("10.0.0.1", {FORWARDED: "203.0.113.9"}),
    ("10.0.0.1", {FORWARDED: "10.0.0.2, 203.0.113.9"}),
    ("10.0.0.1", {FORWARDED: "203.0.113.9, 10.0.0.2"}),
    ("203.0.113.9", {FORWARDED: "10.0.0.2"}),
    ("203.0.113.9", {FORWARDED: "127.0.0.1", "x-real-ip": "127.0.0.1"}),
    ("10.0.0.1", {FORWARDED: "203.0.113.9:80"}),
    ("10.0.0.1", {FORWARDED: "[2001:db8::1]:80"}),
    ("10.0.0.1", {FORWARDED: "2001:db8::1"}),
    ("10.0.0.1", {FORWARDED: "::ffff:203.0.113.9"}),
    ("10.0.0.1", {FORWARDED: "unknown"}),
    ("10.0.0.1", {FORWARDED: "10.0.0.2, garbage"}),
    ("10.0.0.1", {FORWARDED: "10.0.0.2" + "0" * 500}),
    ("10.0.0.1", {FORWARDED: "10.0.0.256"}),
    ("10.0.0.1", {FORWARDED: "0x0a000001"}),
    ("10.0.0.1", {FORWARDED: "010.0.0.1"}),
    ("10.0.0.1", {"forwarded": "for=203.0.113.9"}),
    ("10.0.0.1", {"forwarded": 'For="[2001:db8::1]:4711"'}),
    ("10.0.0.1", {"forwarded": "for=10.0.0.2, for=203.0.113.9"}),
    ("10.0.0.1", {"forwarded": 'for="[10.0.0.1], for="[2001:db8::1]"'}),
    ("10.0.0.1", {"forwarded": 'for="10.0.0.1:1, for="8.8.8.8:555"'}),
    ("10.0.0.1", {"forwarded": "for=_hidden"}),
    ("10.0.0.1", {"forwarded": "for=unknown"}),
    ("10.0.0.1", {"forwarded": "proto=http;for=203.0.113.9"}),
    ("10.0.0.1", {"x-real-ip": "203.0.113.9"}),
    ("10.0.0.1", {"cf-connecting-ip": "203.0.113.9"}),
    ("10.0.0.1", {"true-client-ip": "203.0.113.9"}),
    ("10.0.0.1", {FORWARDED: "10.0.0.2", "forwarded": "for=203.0.113.9"}),
    # An empty node is one that nobody can read.
    ("10.0.0.1", {FORWARDED: ""}),
    ("10.0.0.1", {FORWARDED: " "}),
    ("10.0.0.1", {FORWARDED: "10.0.0.2, "}),
    ("10.0.0.1", {FORWARDED: ",10.0.0.2"}),
    ("10.0.0.1", {"x-real-ip": ""}),
    ("10.0.0.1", {"forwarded": ""}),
    ("10.0.0.1", {"forwarded": "for="}),
    ("10.0.0.1", {"forwarded": 'for=""'}),
    ("10.0.0.1", {"forwarded": "for=;proto=https"}),
    ("10.0.0.1", {"forwarded": "for=10.0.0.2, proto=https"}),
    ("10.0.0.1", {"forwarded": "for=10.0.0.2, for="}),
    # More than anybody is to read.
    ("10.0.0.1", {FORWARDED: ", ".join(["10.0.0.2"] * 40)}),
    ("10.0.0.1", {FORWARDED: " " * 5000 + "10.0.0.2"}),
    # Other names for the same.
    ("10.0.0.1", {"x-envoy-external-address": "203.0.113.9"}),
    ("10.0.0.1", {"x-azure-clientip": "203.0.113.9"}),
    ("10.0.0.1", {"x-original-forwarded-for": "203.0.113.9"}),
    ("10.0.0.1", {"x-appengine-user-ip": "203.0.113.9"}),
    ("10.0.0.1", {"x-vercel-forwarded-for": "203.0.113.9"}),
    ("10.0.0.1", {"client-ip": "203.0.113.9"}),
    ("10.0.0.1", {"cf-connecting-ipv6": "2001:db8::1"}),
    ("10.0.0.1", {"cloudfront-viewer-address": "203.0.113.9:4711"}),
]

SIGNS_OF_A_PROXY = {
    "x-forwarded-proto": "https",
    "x-forwarded-host": "shop.example",
    "x-forwarded-port": "443",
    "x-forwarded-server": "edge",
    "x-forwarded-prefix": "/shop",
    "x-forwarded-client-cert": "By=spiffe://cluster.local",
    "via": "1.1 varnish",
    "forwarded": "by=10.0.0.9;proto=https",
    "x-request-id": "a6e4",
    "x-request-start": "t=1700000000.1",
    "cf-ray": "88-FRA",
    "cdn-loop": "cloudflare",
    "x-amzn-trace-id": "Root=1-67891233-abcdef",
    "x-envoy-attempt-count": "1",
    "x-original-url": "/metrics",
    "x-scheme": "https",
    "l5d-client-id": "web.shop.serviceaccount",
}
"""Headers that a proxy sets, none of which names the client."""

BY_A_BROWSER = {"accept-language": "en"}


@pytest.mark.parametrize(("peer", "headers"), ALLOWED, ids=str)
def test_private_all_the_way_may_read(peer: str | None, headers: dict[str, str]):
    assert ask(peer, **headers).status_code == 200


@pytest.mark.parametrize(("peer", "headers"), REFUSED, ids=str)
def test_public_anywhere_on_the_way_may_not(peer: str | None, headers: dict[str, str]):
    response = ask(peer, **headers)

    assert response.status_code == 403
    assert b"http_requests" not in response.content
    assert b"ALLOWED_NETWORKS" in response.content
    assert response["Cache-Control"] == "private, no-store"
    assert response["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(("peer", "headers"), [*ALLOWED[:3], *REFUSED[:3]], ids=str)
def test_the_route_and_asgi_follow_the_same_rule(peer: str, headers: dict[str, str], declare):
    declare(PATH=None)
    expected = 200 if (peer, headers) in ALLOWED else 403

    assert ask(peer, **headers).status_code == expected


async def test_asgi_follows_the_same_rule():
    client = AsyncClient()
    response = await client.get("/metrics", headers={FORWARDED: "203.0.113.9"})
    assert response.status_code == 403
    response = await client.get("/metrics")
    assert response.status_code == 200


def test_a_star_lets_everybody_read(declare: Declare):
    declare(ALLOWED_NETWORKS=["*"])
    assert ask("203.0.113.9", **{FORWARDED: "garbage"}).status_code == 200
    assert ask(None).status_code == 200


@pytest.mark.parametrize(
    ("peer", "status"), [("192.0.2.9", 200), ("2001:db8::9", 200), ("10.0.0.1", 403)]
)
def test_networks_narrow_and_widen(declare: Declare, peer: str, status: int):
    declare(ALLOWED_NETWORKS=["192.0.2.0/24", "2001:db8::/32"])
    assert ask(peer).status_code == status


def test_an_empty_list_lets_nobody_read(declare: Declare):
    declare(ALLOWED_NETWORKS=[])
    assert ask().status_code == 403


# --- where networks alone decide --------------------------------------------


@pytest.fixture(
    params=[
        {"TOKENS": [TOKEN]},
        {"TOKENS": [TOKEN], "ALLOWED_NETWORKS": ["private"]},
        {"PERMISSION": "tests.page.test_access.permits"},
    ],
    ids=str,
)
def more_than_networks(request: pytest.FixtureRequest, declare: Declare) -> dict[str, str]:
    """Declare what decides as well as networks; return the headers that satisfy it."""
    declare(**request.param)
    return {"authorization": f"Bearer {TOKEN}", "x-who": "the major"}


@pytest.mark.parametrize("name", SIGNS_OF_A_PROXY)
def test_a_proxy_that_names_no_client_is_refused_and_told_why(name: str):
    response = ask("10.0.0.1", **{name: SIGNS_OF_A_PROXY[name]})

    assert response.status_code == 403
    body = response.content.decode()
    assert name in body.lower()
    assert all(remedy in body for remedy in ("X-Forwarded-For", "TOKENS", "PERMISSION"))


@pytest.mark.parametrize("name", SIGNS_OF_A_PROXY)
def test_a_proxy_may_name_no_client_where_more_decides(
    name: str, more_than_networks: dict[str, str]
):
    headers = {name: SIGNS_OF_A_PROXY[name], **more_than_networks}
    assert ask("10.0.0.1", **headers).status_code == 200


def test_a_proxy_may_name_no_client_where_everybody_may_read(declare: Declare):
    declare(ALLOWED_NETWORKS=["*"])
    assert ask("203.0.113.9", **SIGNS_OF_A_PROXY).status_code == 200


def test_a_long_header_is_not_repeated_to_who_sent_it():
    response = ask("10.0.0.1", **{"x-forwarded-" + "a" * 5000: "1"})

    assert response.status_code == 403
    assert len(response.content) < 500


@pytest.mark.parametrize(
    "environ",
    [{"SERVER_SOFTWARE": "waitress"}, {"waitress.client_disconnected": lambda: False}],
    ids=list,
)
def test_a_server_that_removes_what_proxies_say_needs_more(
    environ: dict[str, Any], declare: Declare
):
    assert b"waitress" in Client().get("/metrics", **environ).content
    for headers in ({}, {FORWARDED: "10.0.0.2"}):
        assert Client().get("/metrics", headers=headers, **environ).status_code == 403
    declare(TOKENS=[TOKEN])
    given = {"authorization": f"Bearer {TOKEN}"}
    assert Client().get("/metrics", headers=given, **environ).status_code == 200


@pytest.mark.parametrize(
    ("variables", "command", "status"),
    [
        ({"FORWARDED_ALLOW_IPS": "*"}, "uvicorn shop.asgi", 403),
        ({"FORWARDED_ALLOW_IPS": "10.0.0.1, *"}, "uvicorn shop.asgi", 403),
        ({"FORWARDED_ALLOW_IPS": "0.0.0.0/0"}, "uvicorn shop.asgi", 403),
        ({"FORWARDED_ALLOW_IPS": "10.0.0.1"}, "uvicorn shop.asgi", 200),
        ({"GUNICORN_CMD_ARGS": "--forwarded-allow-ips='*'"}, "gunicorn shop.asgi", 403),
        ({}, "uvicorn shop.asgi --forwarded-allow-ips *", 403),
        ({}, "uvicorn shop.asgi --forwarded-allow-ips=*", 403),
        ({}, "uvicorn shop.asgi --forwarded-allow-ips 10.0.0.1 --reload", 200),
        ({}, "/venv/bin/daphne -p 8000 --proxy-headers shop.asgi:application", 403),
        ({}, "/venv/lib/daphne/__main__.py --proxy-headers shop.asgi:application", 403),
        ({}, "/venv/bin/daphne -p 8000 shop.asgi:application", 200),
        ({}, "/srv/daphne/venv/bin/uvicorn --proxy-headers shop.asgi", 200),
        ({}, "uvicorn shop.asgi", 200),
    ],
)
def test_a_server_that_takes_the_peer_from_any_header_needs_more(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], command: str, status: int
):
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", command.split())

    # So it looks if the server believed a client that says it is this one.
    assert ask("127.0.0.1", **{FORWARDED: "127.0.0.1"}).status_code == status
    # The server took the peer's address from the connection here.
    assert ask("10.0.0.1", **{FORWARDED: "10.0.0.2"}).status_code == 200
    assert ask("127.0.0.1").status_code == 200


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("gunicorn shop.wsgi --proxy-protocol --proxy-allow-from *", 403),
        ("gunicorn shop.wsgi --proxy-protocol --proxy-allow-from=10.0.0.1,*", 403),
        ("gunicorn shop.wsgi --proxy-protocol --proxy-allow-from 10.0.0.1", 200),
        ("gunicorn shop.wsgi --proxy-protocol --forwarded-allow-ips *", 200),
    ],
)
def test_a_server_that_takes_the_peer_from_any_first_line_needs_more(
    monkeypatch: pytest.MonkeyPatch, command: str, status: int
):
    monkeypatch.setattr("sys.argv", command.split())
    by_protocol: dict[str, Any] = {"PROXY_PROTOCOL": "TCP4", "REMOTE_ADDR": "10.0.0.9"}

    assert Client().get("/metrics", **by_protocol).status_code == status
    assert ask("10.0.0.9").status_code == 200


# --- browsers that are led here ---------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        BY_A_BROWSER,
        {"accept-language": ""},
        {"sec-fetch-site": "same-origin"},
        {"origin": "http://evil.example:8000"},
        {"referer": "http://evil.example:8000/attack.html"},
        {"cookie": "a=b"},
    ],
    ids=str,
)
@pytest.mark.parametrize("host", ["evil.example:8000", "evil.example.", "1.2.3.4.evil.example"])
def test_a_page_of_a_foreign_host_may_not_read(host: str, sent: dict[str, str]):
    response = ask(host=host, **sent)

    assert response.status_code == 403
    assert b"ALLOWED_HOSTS" in response.content


@pytest.mark.parametrize(
    "host",
    [
        "localhost:8000",
        "127.0.0.1:8000",
        "10.1.2.3",
        "[::1]:8000",
        "web",
        "web:8000",
        "shop.example",
        "www.shop.example:8000",
    ],
)
def test_a_browser_may_read_under_a_host_of_the_project(host: str, settings):
    settings.ALLOWED_HOSTS = [".shop.example"]
    assert ask(host=host, **BY_A_BROWSER).status_code == 200


def test_a_scraper_may_read_by_any_name():
    assert ask(host="pod-7.shop.svc.cluster.local:8000").status_code == 200
    assert ask(host="no host at all").status_code == 200


def test_hosts_of_development_are_known_while_developing(settings):
    settings.ALLOWED_HOSTS = []
    assert ask(host="shop.localhost:8000", **BY_A_BROWSER).status_code == 403
    settings.DEBUG = True
    assert ask(host="shop.localhost:8000", **BY_A_BROWSER).status_code == 200


def test_a_browser_may_read_by_any_name_where_more_decides(more_than_networks: dict[str, str]):
    headers = {"host": "evil.example", **BY_A_BROWSER, **more_than_networks}
    assert ask(**headers).status_code == 200


# --- Unix sockets -----------------------------------------------------------


@pytest.mark.parametrize(
    ("networks", "headers", "status"),
    [
        (["unix:X-Forwarded-For"], {FORWARDED: "10.0.0.2"}, 200),
        (["unix:x-forwarded-for"], {FORWARDED: "10.0.0.2, 10.0.0.3"}, 200),
        (["private", "unix:X-Forwarded-For"], {FORWARDED: "10.0.0.2"}, 200),
        (["unix:X-Forwarded-For"], {FORWARDED: "203.0.113.9"}, 403),
        (["unix:X-Forwarded-For"], {FORWARDED: "127.0.0.1, 203.0.113.9"}, 403),
        (["unix:X-Forwarded-For"], {FORWARDED: ""}, 403),
        (["unix:X-Forwarded-For"], {}, 403),
        (["unix:X-Forwarded-For"], {"x-real-ip": "127.0.0.1"}, 403),
        (["unix:X-Forwarded-For"], {"forwarded": "for=127.0.0.1"}, 403),
        (["unix:X-Forwarded-For"], {FORWARDED: "10.0.0.2", "x-real-ip": "203.0.113.9"}, 403),
        (["unix:X-Forwarded-For"], {FORWARDED: "10.0.0.2", "x-forwarded-proto": "https"}, 200),
        (["unix:Forwarded"], {"forwarded": "for=10.0.0.2"}, 200),
        (["unix:Forwarded"], {"forwarded": "proto=https"}, 403),
        (["unix:Forwarded"], {FORWARDED: "10.0.0.2"}, 403),
        (["unix:X-Client"], {"x-client": "10.0.0.2"}, 200),
        (["unix:X-Client"], {"x-client": "203.0.113.9"}, 403),
        (["192.0.2.0/24", "unix:X-Real-IP"], {"x-real-ip": "192.0.2.9"}, 200),
        (["192.0.2.0/24", "unix:X-Real-IP"], {"x-real-ip": "10.0.0.2"}, 403),
    ],
)
def test_at_a_unix_socket_the_header_that_is_named_decides(
    declare: Declare, networks: list[str], headers: dict[str, str], status: int
):
    declare(ALLOWED_NETWORKS=networks)

    assert ask(None, **headers).status_code == status
    # Some servers put what a header says in the peer's place, and the path in the server's.
    claimed: dict[str, Any] = {"REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": "/run/uvicorn.sock"}
    response: Any = Client().get("/metrics", headers=headers, **claimed)
    assert response.status_code == status
    assert ask("0.0.0.0", **headers).status_code == status  # noqa: S104  # As uWSGI has it.


def test_beside_no_network_a_header_at_a_socket_leaves_private_ones_in(declare: Declare):
    declare(ALLOWED_NETWORKS=["unix:X-Forwarded-For"])
    assert ask("10.0.0.1").status_code == 200
    assert ask("203.0.113.9", **{FORWARDED: "10.0.0.2"}).status_code == 403


def test_at_a_unix_socket_the_answer_says_how_to_get_in():
    assert b"unix:X-Forwarded-For" in ask(None).content


def test_at_a_unix_socket_a_token_is_enough(declare: Declare):
    declare(TOKENS=[TOKEN])
    assert ask(None, authorization=f"Bearer {TOKEN}").status_code == 200


@pytest.mark.parametrize("entry", ["unix:", "unix:X Forwarded", "unix:X_Forwarded_For", "unix:,"])
def test_a_header_that_no_proxy_can_set_is_an_error(declare: Declare, entry: str):
    declare(ALLOWED_NETWORKS=[entry])
    assert entry in found()["E124"].msg
    assert ask(None, **{FORWARDED: "10.0.0.2"}).status_code == 403


# --- what is counted and logged ---------------------------------------------


@pytest.mark.parametrize(
    ("reason", "declared", "peer", "headers"),
    [
        ("address", {}, "203.0.113.9", {}),
        ("address", {}, "10.0.0.1", {FORWARDED: "203.0.113.9"}),
        ("proxy", {}, "10.0.0.1", {"via": "1.1 proxy"}),
        ("browser", {}, "10.0.0.1", {"host": "evil.example", **BY_A_BROWSER}),
        ("unix_socket", {}, None, {FORWARDED: "10.0.0.2"}),
        ("token", {"TOKENS": [TOKEN]}, "10.0.0.1", {}),
        ("token", {"TOKENS": [TOKEN]}, "10.0.0.1", {"authorization": "Bearer wrong"}),
        ("permission", {"PERMISSION": "tests.page.test_access.permits"}, "10.0.0.1", {}),
        ("settings", {"ALLOWED_NETWORKS": "10.0.0.0/8"}, "10.0.0.1", {}),
    ],
)
async def test_a_refused_scrape_is_counted_by_its_reason(
    declare: Declare,
    reason: str,
    declared: dict[str, object],
    peer: str | None,
    headers: dict[str, str],
):
    declare(**declared)
    expected = 401 if reason == "token" else 403

    with increase_of("tachikoma_metrics_scrapes_refused_total", reason=reason) as increase:
        sync = await sync_to_async(ask)(peer, **headers)
        response = await ask_asgi(peer, **headers)

    assert (sync.status_code, response.status_code) == (expected, expected)
    assert increase.amount == 2
    assert reason in catalogue.REFUSALS


def test_a_scrape_that_is_answered_is_not_counted_as_refused():
    ask()

    name = "tachikoma_metrics_scrapes_refused_total"
    assert not any(value for (found, _), value in samples().items() if found == name)


def test_every_reason_is_documented():
    assert all(f"`{reason}`" in catalogue.REFUSAL.values for reason in catalogue.REFUSALS)


def refusals_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for text in caplog.messages if text.startswith("Rejected a scrape")]


def test_a_refusal_is_logged_once_for_a_network(caplog: pytest.LogCaptureFixture):
    for host in (9, 9, 10, 200):
        ask(f"203.0.113.{host}")
    ask("2001:db8::1")
    ask("2001:db8::2:1")
    ask("198.51.100.1")

    assert len(refusals_in(caplog)) == 3
    assert "203.0.113.9" in refusals_in(caplog)[0]
    assert "ALLOWED_NETWORKS" in refusals_in(caplog)[0]


def test_a_refusal_is_logged_with_the_address_that_was_forwarded(caplog: pytest.LogCaptureFixture):
    ask("10.0.0.1", **{FORWARDED: "203.0.113.9"})

    (text,) = refusals_in(caplog)
    assert "10.0.0.1" in text
    assert "203.0.113.9" in text


def test_what_is_logged_of_refusals_is_bounded(caplog: pytest.LogCaptureFixture):
    for number in range(300):
        ask(f"203.{number % 250}.{number}.9" if number < 256 else f"2001:db8:{number:x}::1")

    assert len(refusals_in(caplog)) == 100
    name = "tachikoma_metrics_scrapes_refused_total"
    assert sample_value(name, reason="address") == 300


# --- tokens -----------------------------------------------------------------


@pytest.mark.parametrize(
    "given_header",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        TOKEN,
        "Bearer ünïcödé",
        "Bearer \udcff",
    ],
)
def test_without_a_token_there_is_a_challenge(declare: Declare, given_header: str):
    declare(TOKENS=[TOKEN])
    response = Client().get("/metrics", HTTP_AUTHORIZATION=given_header)

    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert TOKEN.encode() not in response.content


@pytest.mark.parametrize("token", [TOKEN, OTHER_TOKEN])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_any_of_the_tokens_is_enough_from_anywhere(declare: Declare, token: str, scheme: str):
    declare(TOKENS=[TOKEN, OTHER_TOKEN])
    assert ask("203.0.113.9", authorization=f"{scheme} {token}").status_code == 200


def test_a_token_does_not_widen_networks_that_are_named(declare: Declare):
    declare(TOKENS=[TOKEN], ALLOWED_NETWORKS=["private"])
    assert ask("203.0.113.9", authorization=f"Bearer {TOKEN}").status_code == 403
    assert ask("10.0.0.1", authorization=f"Bearer {TOKEN}").status_code == 200


def test_tokens_may_be_the_lines_of_a_file(declare: Declare, tmp_path: Path):
    file = tmp_path / "tokens"
    file.write_text(f"{TOKEN}\n\n{OTHER_TOKEN}\n")
    declare(TOKENS=[f"file:{file}"])
    assert ask(authorization=f"Bearer {TOKEN}").status_code == 200
    assert ask(authorization=f"Bearer {OTHER_TOKEN}").status_code == 200
    assert ask(authorization="Bearer ").status_code == 401
    file.write_text("a-new-token-for-the-service\n")
    assert ask(authorization=f"Bearer {TOKEN}").status_code == 401
    assert ask(authorization="Bearer a-new-token-for-the-service").status_code == 200


def test_a_file_that_cannot_be_read_lets_nobody_in(declare: Declare, tmp_path: Path):
    declare(TOKENS=[f"file:{tmp_path}/missing"])
    response = ask(authorization=f"Bearer {TOKEN}")

    assert response.status_code == 401
    assert str(tmp_path).encode() not in response.content
    declare()
    assert sample_value("tachikoma_metrics_errors_total", source="access") == 1


# --- permission -------------------------------------------------------------


def permits(request: HttpRequest) -> bool:
    return request.headers.get("X-Who") == "the major"


def fails(request: HttpRequest) -> bool:
    raise RuntimeError("no idea")


def says_yes(request: HttpRequest) -> str:
    return "yes"


async def permits_later(request: HttpRequest) -> bool:
    return True


def test_a_permission_is_asked_last(declare: Declare):
    declare(PERMISSION="tests.page.test_access.permits")
    assert ask(**{"x-who": "the major"}).status_code == 200
    assert ask(**{"x-who": "somebody"}).status_code == 403
    assert ask("203.0.113.9", **{"x-who": "the major"}).status_code == 403


@pytest.mark.parametrize("name", ["fails", "says_yes", "nothing", "permits_later"])
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_a_permission_that_does_not_say_true_refuses(declare: Declare, name: str):
    declare(PERMISSION=f"tests.page.test_access.{name}")
    assert ask().status_code == 403
    gc.collect()


# --- settings ---------------------------------------------------------------


@pytest.mark.parametrize(
    "declared",
    [
        {"ALLOWED_NETWORKS": ["10.0.0.1/8"]},
        {"ALLOWED_NETWORKS": "10.0.0.0/8"},
        {"ALLOWED_NETWORKS": ["*"], "TOKENS": "a string"},
        {"ALLOWED_NETWORKS": ["*"], "PERMISSION": 5},
    ],
)
def test_nobody_may_read_where_the_rule_is_wrong(declare: Declare, declared: dict[str, object]):
    declare(**declared)
    assert ask().status_code == 403


def deployment_warnings() -> set[str]:
    messages = run_checks(include_deployment_checks=True)
    return {str(one.id).removeprefix("tachikoma_metrics.") for one in messages}


def test_an_open_page_is_warned_of_at_deployment(declare: Declare):
    declare(ALLOWED_NETWORKS=["*"])
    assert "W012" in deployment_warnings()
    declare(ALLOWED_NETWORKS=["*"], TOKENS=[TOKEN])
    assert "W012" not in deployment_warnings()
    declare()
    assert "W012" not in deployment_warnings()


def test_a_short_token_is_warned_of_at_deployment(declare: Declare):
    declare(TOKENS=["secret", TOKEN, "file:/x"])
    assert "W013" in deployment_warnings()
    declare(TOKENS=[TOKEN])
    assert "W013" not in deployment_warnings()


@pytest.mark.parametrize("name", ["nothing", "TOKEN", "permits_later"])
def test_a_permission_that_cannot_be_asked_is_an_error(name: str):
    with override_settings(TACHIKOMA_METRICS={"PERMISSION": f"tests.page.test_access.{name}"}):
        assert name in found()["E013"].msg


# --- parsing ----------------------------------------------------------------


@given(st.text() | st.from_regex(r"[0-9a-fA-F:.\[\]%]{0,60}"))
def test_whatever_a_header_says_is_read_or_not(text: str):
    address = read_address(text)
    assert address is None or str(address)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_addresses_are_read_with_and_without_port(address: Any, port: int):
    with_port = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    expected = getattr(address, "ipv4_mapped", None) or address

    assert read_address(str(address)) == expected
    assert read_address(with_port) == expected


# --- what nobody is told ----------------------------------------------------


def test_neither_the_page_nor_its_errors_tell_what_went_wrong(
    declare: Declare, registry: CollectorRegistry, tmp_path: Path
):
    secrets = ["SELECT password FROM users", str(tmp_path), TOKEN]

    class Talkative(Collector):
        def describe(self) -> list[Metric]:
            return []

        def collect(self) -> list[Metric]:
            raise RuntimeError(" ".join(secrets))

    registry.register(Talkative())
    declare(TOKENS=[TOKEN, f"file:{tmp_path}/missing"], STORE_DIR=str(tmp_path))
    pages = [
        ask(authorization=f"Bearer {TOKEN}"),
        ask(authorization="Bearer wrong"),
        ask(),
        Client().post("/metrics"),
    ]

    assert [page.status_code for page in pages] == [200, 401, 401, 405]
    for page in pages:
        told = page.content.decode() + str(dict(page.headers))
        assert not [secret for secret in secrets if secret in told]
