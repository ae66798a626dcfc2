"""Who may read the page, by address, by token and by permission."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.http import HttpRequest
from django.test import AsyncClient, Client, override_settings
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from tachikoma_metrics.access import read_address
from tachikoma_metrics.testing import sample_value
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
    ("10.0.0.1", {FORWARDED: " 10.0.0.2 , "}),
    ("10.0.0.1", {FORWARDED: ""}),
    ("10.0.0.1", {"forwarded": "for=10.0.0.2;proto=http"}),
    ("10.0.0.1", {"forwarded": 'for="[fd00::1]:4711", for=10.0.0.3'}),
    ("10.0.0.1", {"forwarded": "proto=https;by=203.0.113.9"}),
    ("10.0.0.1", {"x-real-ip": "10.0.0.2"}),
    (None, {FORWARDED: "10.0.0.2"}),
    (None, {"x-real-ip": "127.0.0.1"}),
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
]


@pytest.mark.parametrize(("peer", "headers"), ALLOWED, ids=str)
def test_private_all_the_way_may_read(peer: str | None, headers: dict[str, str]):
    assert ask(peer, **headers).status_code == 200


@pytest.mark.parametrize(("peer", "headers"), REFUSED, ids=str)
def test_public_anywhere_on_the_way_may_not(peer: str | None, headers: dict[str, str]):
    response = ask(peer, **headers)

    assert response.status_code == 403
    assert b"http_requests" not in response.content
    assert b"ALLOWED_NETWORKS" in response.content
    assert response["Cache-Control"] == "no-store"
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
    declare(PERMISSION="tests.test_access.permits")
    assert ask(**{"x-who": "the major"}).status_code == 200
    assert ask(**{"x-who": "somebody"}).status_code == 403
    assert ask("203.0.113.9", **{"x-who": "the major"}).status_code == 403


@pytest.mark.parametrize("name", ["fails", "says_yes", "nothing", "permits_later"])
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_a_permission_that_does_not_say_true_refuses(declare: Declare, name: str):
    declare(PERMISSION=f"tests.test_access.{name}")
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
    with override_settings(TACHIKOMA_METRICS={"PERMISSION": f"tests.test_access.{name}"}):
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
