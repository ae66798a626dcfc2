"""The seconds between the proxy and the middleware, by the headers that a proxy sets."""

from __future__ import annotations

import time

import pytest
from django.test import AsyncClient, Client, override_settings

from tachikoma_metrics.http.queue_time import queue_time
from tachikoma_metrics.testing import sample_value
from tests.http.recorded import instrumentation_errors, requests

NAME = "http_request_queue_seconds"
QUEUE_TIME = override_settings(TACHIKOMA_METRICS={"EXTRA_METRICS": [NAME]})
NOW = 1_764_530_000.25


def recorded() -> float | None:
    return sample_value(f"{NAME}_count")


@pytest.mark.parametrize(
    "header",
    [
        "1764530000.00",
        "t=1764530000",
        "1764530000000",
        "t=1764530000000",
        "1764530000000.5",
        "1764530000000000",
        "t=1764530000000000",
        " t=1764530000.000 ",
    ],
)
def test_seconds_milliseconds_and_microseconds_are_recognized(header: str):
    assert queue_time(header, NOW) == pytest.approx(0.25, abs=0.001)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "now",
        "t=",
        "-1764530000",
        "+1764530000",
        "1_764_530_000",
        "1.764530e9",
        "nan",
        "inf",
        "1764530000, 1764529999",
        "1764530000 1764529999",
        "0",
        "0.000000000",
        "1764530001",
        "1764526400",
        "1764530001000",
        "99999999999999999",
        "9" * 10_000,
        "١٧٦٤٥٣٠٠٠٠",
        "1764530000\n1",
        "t=t=1764530000",
    ],
)
def test_a_time_that_is_invalid_or_not_within_the_last_hour_is_unknown(header: str):
    assert queue_time(header, NOW) is None


def test_the_bounds_belong_to_the_hour():
    assert queue_time("1764530000", 1_764_530_000) == 0
    assert queue_time("1764526400", 1_764_530_000) == 3600


@pytest.mark.parametrize("header", ["X-Request-Start", "X-Queue-Start"])
def test_the_time_in_the_queue_is_recorded(client: Client, header: str):
    with QUEUE_TIME:
        client.get("/hello/", headers={header: f"t={time.time() - 2:.3f}"})

        assert recorded() == 1
        assert sample_value(f"{NAME}_sum") == pytest.approx(2, abs=0.5)
        assert sample_value(f"{NAME}_bucket", le="1.0") == 0


async def test_it_is_recorded_under_asgi(async_client: AsyncClient):
    with QUEUE_TIME:
        await async_client.get("/hello/", headers={"X-Request-Start": str(time.time() - 2)})

        assert recorded() == 1


def test_the_header_of_the_queue_does_not_replace_that_of_the_request(client: Client):
    start = {"X-Request-Start": "invalid", "X-Queue-Start": str(time.time() - 2)}
    with QUEUE_TIME:
        client.get("/hello/", headers=start)

        assert recorded() == 0


def test_nothing_is_recorded_without_a_valid_header(client: Client):
    with QUEUE_TIME:
        client.get("/hello/")
        client.get("/hello/", headers={"X-Request-Start": "yesterday"})

        assert recorded() == 0
        assert requests() == {("GET", "/hello/", "200"): 2}
        assert instrumentation_errors() == 0


def test_a_request_whose_view_raises_has_waited_as_well(client_without_exceptions: Client):
    with QUEUE_TIME:
        client_without_exceptions.get("/fail/", headers={"X-Request-Start": str(time.time())})

        assert recorded() == 1


def test_excluded_requests_and_scrapes_are_not_recorded(client: Client):
    settings = {"EXTRA_METRICS": [NAME], "EXCLUDE_PATHS": ["^/hello/$"]}
    with override_settings(TACHIKOMA_METRICS=settings):
        for path in ("/hello/", "/metrics"):
            client.get(path, headers={"X-Request-Start": str(time.time())})

        assert recorded() == 0


def test_it_is_off_by_default(client: Client):
    client.get("/hello/", headers={"X-Request-Start": str(time.time())})

    assert recorded() is None


@pytest.mark.parametrize(
    "switches", [{"DISABLED_METRICS": [NAME]}, {"ENABLED": False}], ids=lambda one: next(iter(one))
)
def test_it_can_be_switched_off(client: Client, switches: dict[str, object]):
    with override_settings(TACHIKOMA_METRICS={"EXTRA_METRICS": [NAME], **switches}):
        client.get("/hello/", headers={"X-Request-Start": str(time.time())})

    with QUEUE_TIME:
        assert recorded() == 0
