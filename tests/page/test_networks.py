"""``ALLOWED_NETWORKS``: the addresses of peers and of forwarded clients, and Unix sockets."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import AsyncClient, Client

from tests.conftest import found
from tests.page.scraping import FORWARDED, TOKEN, Declare, scrape

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

REJECTED: list[tuple[str | None, dict[str, str]]] = [
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
    # An empty node is unreadable.
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
    # Longer than is parsed.
    ("10.0.0.1", {FORWARDED: ", ".join(["10.0.0.2"] * 40)}),
    ("10.0.0.1", {FORWARDED: " " * 5000 + "10.0.0.2"}),
    # Other headers with the same meaning.
    ("10.0.0.1", {"x-envoy-external-address": "203.0.113.9"}),
    ("10.0.0.1", {"x-azure-clientip": "203.0.113.9"}),
    ("10.0.0.1", {"x-original-forwarded-for": "203.0.113.9"}),
    ("10.0.0.1", {"x-appengine-user-ip": "203.0.113.9"}),
    ("10.0.0.1", {"x-vercel-forwarded-for": "203.0.113.9"}),
    ("10.0.0.1", {"client-ip": "203.0.113.9"}),
    ("10.0.0.1", {"cf-connecting-ipv6": "2001:db8::1"}),
    ("10.0.0.1", {"cloudfront-viewer-address": "203.0.113.9:4711"}),
]


@pytest.mark.parametrize(("peer", "headers"), ALLOWED, ids=str)
def test_a_request_from_private_addresses_only_is_allowed(
    peer: str | None, headers: dict[str, str]
):
    assert scrape(peer, **headers).status_code == 200


@pytest.mark.parametrize(("peer", "headers"), REJECTED, ids=str)
def test_a_request_with_a_public_address_anywhere_is_rejected(
    peer: str | None, headers: dict[str, str]
):
    response = scrape(peer, **headers)

    assert response.status_code == 403
    assert b"http_requests" not in response.content
    assert b"ALLOWED_NETWORKS" in response.content
    assert response["Cache-Control"] == "private, no-store"
    assert response["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(("peer", "headers"), [*ALLOWED[:3], *REJECTED[:3]], ids=str)
def test_the_route_in_the_urlconf_follows_the_same_rule(
    peer: str, headers: dict[str, str], declare
):
    declare(PATH=None)
    expected = 200 if (peer, headers) in ALLOWED else 403

    assert scrape(peer, **headers).status_code == expected


async def test_asgi_follows_the_same_rule():
    client = AsyncClient()
    response = await client.get("/metrics", headers={FORWARDED: "203.0.113.9"})
    assert response.status_code == 403
    response = await client.get("/metrics")
    assert response.status_code == 200


def test_a_star_allows_every_address(declare: Declare):
    declare(ALLOWED_NETWORKS=["*"])
    assert scrape("203.0.113.9", **{FORWARDED: "garbage"}).status_code == 200
    assert scrape(None).status_code == 200


@pytest.mark.parametrize(
    ("peer", "status"), [("192.0.2.9", 200), ("2001:db8::9", 200), ("10.0.0.1", 403)]
)
def test_networks_replace_the_default(declare: Declare, peer: str, status: int):
    declare(ALLOWED_NETWORKS=["192.0.2.0/24", "2001:db8::/32"])
    assert scrape(peer).status_code == status


def test_an_empty_list_rejects_every_address(declare: Declare):
    declare(ALLOWED_NETWORKS=[])
    assert scrape().status_code == 403


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
def test_at_a_unix_socket_the_configured_header_decides(
    declare: Declare, networks: list[str], headers: dict[str, str], status: int
):
    declare(ALLOWED_NETWORKS=networks)

    assert scrape(None, **headers).status_code == status
    # Some servers have the forwarded address as the peer, and the path as the server name.
    claimed: dict[str, Any] = {"REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": "/run/uvicorn.sock"}
    response: Any = Client().get("/metrics", headers=headers, **claimed)
    assert response.status_code == status
    assert scrape("0.0.0.0", **headers).status_code == status  # noqa: S104  # As with uWSGI.


def test_private_networks_stay_allowed_if_only_a_header_is_configured(declare: Declare):
    declare(ALLOWED_NETWORKS=["unix:X-Forwarded-For"])
    assert scrape("10.0.0.1").status_code == 200
    assert scrape("203.0.113.9", **{FORWARDED: "10.0.0.2"}).status_code == 403


def test_at_a_unix_socket_the_rejection_names_the_setting():
    assert b"unix:X-Forwarded-For" in scrape(None).content


def test_at_a_unix_socket_a_token_is_enough(declare: Declare):
    declare(TOKENS=[TOKEN])
    assert scrape(None, authorization=f"Bearer {TOKEN}").status_code == 200


@pytest.mark.parametrize("entry", ["unix:", "unix:X Forwarded", "unix:X_Forwarded_For", "unix:,"])
def test_a_header_that_no_proxy_can_set_is_an_error(declare: Declare, entry: str):
    declare(ALLOWED_NETWORKS=[entry])
    assert entry in found()["E124"].msg
    assert scrape(None, **{FORWARDED: "10.0.0.2"}).status_code == 403
