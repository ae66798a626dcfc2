"""What networks alone cannot decide: proxies that name no client, spoofable peers, browsers."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.page.scraping import BROWSER_HEADERS, FORWARDED, TOKEN, Declare, scrape

PROXY_HEADERS = {
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
    "max-forwards": "10",
    "x-appgw-trace-id": "a6e4",
    "x-goog-iap-jwt-assertion": "a.b.c",
    "x-haproxy-server-state": "UP",
    "x-https": "1",
    "x-kong-request-id": "a6e4",
    "x-waws-unencoded-url": "/metrics",
}
"""Headers that a proxy sets, none of which names the client."""


@pytest.mark.parametrize("name", PROXY_HEADERS)
def test_a_proxy_that_names_no_client_is_rejected_with_the_reason(name: str):
    response = scrape("10.0.0.1", **{name: PROXY_HEADERS[name]})

    assert response.status_code == 403
    body = response.content.decode()
    assert name in body.lower()
    assert all(remedy in body for remedy in ("X-Forwarded-For", "TOKENS", "PERMISSION"))


@pytest.mark.parametrize("name", PROXY_HEADERS)
def test_a_proxy_may_name_no_client_if_tokens_or_a_permission_decide(
    name: str, tokens_or_permission: dict[str, str]
):
    headers = {name: PROXY_HEADERS[name], **tokens_or_permission}
    assert scrape("10.0.0.1", **headers).status_code == 200


def test_a_proxy_may_name_no_client_if_every_address_is_allowed(declare: Declare):
    declare(ALLOWED_NETWORKS=["*"])
    assert scrape("203.0.113.9", **PROXY_HEADERS).status_code == 200


def test_the_response_does_not_repeat_a_long_header():
    response = scrape("10.0.0.1", **{"x-forwarded-" + "a" * 5000: "1"})

    assert response.status_code == 403
    assert len(response.content) < 500


@pytest.mark.parametrize(
    "environ",
    [{"SERVER_SOFTWARE": "waitress"}, {"waitress.client_disconnected": lambda: False}],
    ids=list,
)
def test_behind_waitress_networks_alone_do_not_decide(environ: dict[str, Any], declare: Declare):
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
def test_networks_alone_do_not_decide_if_the_server_trusts_headers_of_all_peers(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], command: str, status: int
):
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", command.split())

    # A server that trusts the header of any client has the forwarded address as the peer.
    assert scrape("127.0.0.1", **{FORWARDED: "127.0.0.1"}).status_code == status
    # The server took the peer's address from the connection here.
    assert scrape("10.0.0.1", **{FORWARDED: "10.0.0.2"}).status_code == 200
    assert scrape("127.0.0.1").status_code == 200


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("gunicorn shop.wsgi --proxy-protocol --proxy-allow-from *", 403),
        ("gunicorn shop.wsgi --proxy-protocol --proxy-allow-from=10.0.0.1,*", 403),
        ("gunicorn shop.wsgi --proxy-protocol --proxy-allow-from 10.0.0.1", 200),
        ("gunicorn shop.wsgi --proxy-protocol --forwarded-allow-ips *", 200),
    ],
)
def test_networks_alone_do_not_decide_if_the_server_trusts_the_proxy_protocol_of_all_peers(
    monkeypatch: pytest.MonkeyPatch, command: str, status: int
):
    monkeypatch.setattr("sys.argv", command.split())
    by_protocol: dict[str, Any] = {"PROXY_PROTOCOL": "TCP4", "REMOTE_ADDR": "10.0.0.9"}

    assert Client().get("/metrics", **by_protocol).status_code == status
    assert scrape("10.0.0.9").status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        BROWSER_HEADERS,
        {"accept-language": ""},
        {"sec-fetch-site": "same-origin"},
        {"origin": "http://evil.example:8000"},
        {"referer": "http://evil.example:8000/attack.html"},
        {"cookie": "a=b"},
    ],
    ids=str,
)
@pytest.mark.parametrize("host", ["evil.example:8000", "evil.example.", "1.2.3.4.evil.example"])
def test_a_browser_under_a_foreign_host_is_rejected(host: str, sent: dict[str, str]):
    response = scrape(host=host, **sent)

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
def test_a_browser_under_a_host_of_the_project_is_allowed(host: str, settings):
    settings.ALLOWED_HOSTS = [".shop.example"]
    assert scrape(host=host, **BROWSER_HEADERS).status_code == 200


def test_a_scraper_under_any_host_is_allowed():
    assert scrape(host="pod-7.shop.svc.cluster.local:8000").status_code == 200
    assert scrape(host="no host at all").status_code == 200


def test_development_hosts_are_known_in_debug_mode(settings):
    settings.ALLOWED_HOSTS = []
    assert scrape(host="shop.localhost:8000", **BROWSER_HEADERS).status_code == 403
    settings.DEBUG = True
    assert scrape(host="shop.localhost:8000", **BROWSER_HEADERS).status_code == 200


def test_a_browser_under_any_host_is_allowed_if_tokens_or_a_permission_decide(
    tokens_or_permission: dict[str, str],
):
    headers = {"host": "evil.example", **BROWSER_HEADERS, **tokens_or_permission}
    assert scrape(**headers).status_code == 200
