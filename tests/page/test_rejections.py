"""The count, the log and the response of a rejected scrape."""

from __future__ import annotations

from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from tachikoma_metrics import catalogue
from tachikoma_metrics.testing import increase_of, sample_value, samples
from tests.page.scraping import BROWSER_HEADERS, FORWARDED, TOKEN, Declare, scrape, scrape_asgi


@pytest.mark.parametrize(
    ("reason", "declared", "peer", "headers"),
    [
        ("address", {}, "203.0.113.9", {}),
        ("address", {}, "10.0.0.1", {FORWARDED: "203.0.113.9"}),
        ("proxy", {}, "10.0.0.1", {"via": "1.1 proxy"}),
        ("browser", {}, "10.0.0.1", {"host": "evil.example", **BROWSER_HEADERS}),
        ("unix_socket", {}, None, {FORWARDED: "10.0.0.2"}),
        ("token", {"TOKENS": [TOKEN]}, "10.0.0.1", {}),
        ("token", {"TOKENS": [TOKEN]}, "10.0.0.1", {"authorization": "Bearer wrong"}),
        ("permission", {"PERMISSION": "tests.page.permissions.permits"}, "10.0.0.1", {}),
        ("settings", {"ALLOWED_NETWORKS": "10.0.0.0/8"}, "10.0.0.1", {}),
    ],
)
async def test_a_rejected_scrape_is_counted_by_reason(
    declare: Declare,
    reason: str,
    declared: dict[str, object],
    peer: str | None,
    headers: dict[str, str],
):
    declare(**declared)
    expected = 401 if reason == "token" else 403

    with increase_of("tachikoma_metrics_scrapes_refused_total", reason=reason) as increase:
        sync = await sync_to_async(scrape)(peer, **headers)
        response = await scrape_asgi(peer, **headers)

    assert (sync.status_code, response.status_code) == (expected, expected)
    assert increase.amount == 2
    assert reason in catalogue.REFUSALS


def test_an_allowed_scrape_is_not_counted_as_rejected():
    scrape()

    name = "tachikoma_metrics_scrapes_refused_total"
    assert not any(value for (found, _), value in samples().items() if found == name)


def test_every_reason_is_documented():
    assert all(f"`{reason}`" in catalogue.REFUSAL.values for reason in catalogue.REFUSALS)


def logged_rejections(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for text in caplog.messages if text.startswith("Rejected a scrape")]


def test_a_rejection_is_logged_once_for_each_network(caplog: pytest.LogCaptureFixture):
    for host in (9, 9, 10, 200):
        scrape(f"203.0.113.{host}")
    scrape("2001:db8::1")
    scrape("2001:db8::2:1")
    scrape("198.51.100.1")

    assert len(logged_rejections(caplog)) == 3
    assert "203.0.113.9" in logged_rejections(caplog)[0]
    assert "ALLOWED_NETWORKS" in logged_rejections(caplog)[0]


def test_a_rejection_is_logged_with_the_forwarded_address(caplog: pytest.LogCaptureFixture):
    scrape("10.0.0.1", **{FORWARDED: "203.0.113.9"})

    (text,) = logged_rejections(caplog)
    assert "10.0.0.1" in text
    assert "203.0.113.9" in text


def test_the_number_of_logged_rejections_is_bounded(caplog: pytest.LogCaptureFixture):
    for number in range(300):
        scrape(f"203.{number % 250}.{number}.9" if number < 256 else f"2001:db8:{number:x}::1")

    assert len(logged_rejections(caplog)) == 100
    name = "tachikoma_metrics_scrapes_refused_total"
    assert sample_value(name, reason="address") == 300


def test_no_response_reveals_the_details_of_an_error(
    declare: Declare, registry: CollectorRegistry, tmp_path: Path
):
    secrets = ["SELECT password FROM users", str(tmp_path), TOKEN]

    class RaisingCollector(Collector):
        def describe(self) -> list[Metric]:
            return []

        def collect(self) -> list[Metric]:
            raise RuntimeError(" ".join(secrets))

    registry.register(RaisingCollector())
    declare(TOKENS=[TOKEN, f"file:{tmp_path}/missing"], STORE_DIR=str(tmp_path))
    pages = [
        scrape(authorization=f"Bearer {TOKEN}"),
        scrape(authorization="Bearer wrong"),
        scrape(),
        Client().post("/metrics"),
    ]

    assert [page.status_code for page in pages] == [200, 401, 401, 405]
    for page in pages:
        text = page.content.decode() + str(dict(page.headers))
        assert not [secret for secret in secrets if secret in text]


def test_the_body_names_the_setting_that_rejects():
    response = scrape("203.0.113.9")

    assert response.content == b"Forbidden: client address is not in ALLOWED_NETWORKS.\n"
