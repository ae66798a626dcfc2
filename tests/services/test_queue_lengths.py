"""The lengths of queues: real brokers, which a refresh of business metrics asks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.processes import eventually, is_listening, missing
from tests.services.proxies import Proxy
from tests.services.sites import Site, total

NewSite = Callable[..., Site]

NAME = f"lengths-{os.getpid()}@%h"
"""The worker's name, which no other worker of the broker may have."""

BROKERS = {
    "redis": (6379, "redis://127.0.0.1:{port}/9"),
    "rabbitmq": (5672, "amqp://guest:guest@127.0.0.1:{port}//"),
}
REFRESH = "import depot.celery, tachikoma_metrics; tachikoma_metrics.update_business_metrics()"


@pytest.fixture(params=[pytest.param("redis", marks=pytest.mark.thorough), "rabbitmq"])
def proxy(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    """Stand between the site and a broker."""
    port, _ = BROKERS[request.param]
    if not is_listening(port):
        missing(f"nothing listens on port {port}")
    with Proxy(port) as proxy:
        yield proxy


@pytest.fixture
def site(request: pytest.FixtureRequest, new_site: NewSite, proxy: Proxy, tmp_path: Path) -> Site:
    """Return a site that has no other business metric than the lengths of its queues."""
    _, url = BROKERS[request.node.callspec.params["proxy"]]
    site = new_site(
        BROKER=url.format(port=proxy.port),
        QUEUE=f"orders-{os.getpid()}-{time.time()}",
        SQLITE=str(tmp_path / "db.sqlite3"),
        STORE_DIR=str(tmp_path / "store"),
        EXTRA_METRICS="task_queue_length",
    )
    site.command("migrate", "--verbosity", "0")
    return site


def refresh(site: Site) -> None:
    site.command("shell", "-c", REFRESH)
    # A process reads the snapshot once a second.
    time.sleep(1.1)


def length(site: Site) -> float | None:
    """Return the exported length of the site's queue."""
    queue = site.environment["QUEUE"]
    return site.page().get(("task_queue_length", frozenset({("queue", queue)})))


def test_the_lengths_are_those_of_the_last_refresh_that_reached_the_broker(
    site: Site, proxy: Proxy
):
    with site.gunicorn("-w", "2"):
        assert length(site) is None
        refresh(site)
        # The queue does not exist yet.
        assert length(site) == 0
        for _ in range(3):
            site.get("/deliver/")
        refresh(site)
        assert length(site) == 3

        proxy.refuse()
        refresh(site)
        assert length(site) == 3
        assert total(site.page(), "tachikoma_metrics_errors_total", source="business") == 1
        assert total(site.page(), "tachikoma_metrics_business_refresh_errors") == 1

        proxy.pass_on()
        with site.celery("-c", "1", "-n", NAME):
            eventually(lambda: total(site.page(), "depot_deliveries_total") == 3)
            refresh(site)
            assert length(site) == 0
            assert total(site.page(), "tachikoma_metrics_business_refresh_errors") == 0


def test_a_worker_refreshes_the_lengths_when_it_starts(site: Site):
    with site.gunicorn("-w", "1"), site.celery("-c", "1", "-n", NAME):
        eventually(lambda: length(site) == 0, 20)


def test_a_broker_that_hangs_delays_a_refresh_by_some_seconds(site: Site, proxy: Proxy):
    proxy.hang()
    with site.gunicorn("-w", "1"):
        began_at = time.monotonic()
        refresh(site)
        took = time.monotonic() - began_at

        assert length(site) is None
        assert total(site.page(), "tachikoma_metrics_business_refresh_errors") == 1
    assert took < 20
