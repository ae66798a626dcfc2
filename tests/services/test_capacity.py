"""Saturation, over all processes of real servers: queues, pools, event loops and pauses."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.services.nginx import configuration
from tests.services.processes import (
    ROOT,
    answers,
    eventually,
    free_port,
    get,
    is_listening,
    missing,
    program,
    running,
)
from tests.services.sites import Site, total

GUIDE = (ROOT / "docs" / "guides" / "autoscaling.md").read_text(encoding="utf-8")
POSTGRESQL = 5432
POOL = "db_pool_connections db_pool_requests_waiting db_pool_wait_seconds_total"
LAG = "asgi_event_loop_lag_seconds"


@pytest.fixture
def new_capacity_site(tmp_path: Path) -> Callable[..., Site]:
    """Return a maker of sites that record these opt-in metrics."""

    def new(extra_metrics: str, **environment: str) -> Site:
        store = str(tmp_path / "store")
        return Site(tmp_path / "site", EXTRA_METRICS=extra_metrics, STORE_DIR=store, **environment)

    return new


def in_background(target: Callable[[], object], count: int) -> list[threading.Thread]:
    threads = [threading.Thread(target=target, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def ask_all_workers(site: Site, path: str, count: int) -> int:
    """Send requests until each worker has answered one; return how many were sent."""
    found: list[str] = []

    def have_all_answered() -> bool:
        found.append(site.get(path))
        return len(set(found)) == count

    eventually(have_all_answered)
    return len(found)


def test_the_queue_time_of_all_workers_is_recorded(new_capacity_site: Callable[..., Site]):
    site = new_capacity_site("http_request_queue_seconds")
    name = "http_request_queue_seconds"
    with site.gunicorn("-w", "3"):
        for _ in range(30):
            get(f"{site.url}/", **{"X-Request-Start": f"t={time.time() - 3:.3f}"})
        get(f"{site.url}/", **{"X-Request-Start": "invalid"})

        page = site.page()
        assert total(page, f"{name}_count") == 30
        assert 90 <= total(page, f"{name}_sum") < 120


def test_a_request_that_waits_for_the_only_worker_has_waited(
    new_capacity_site: Callable[..., Site],
):
    site = new_capacity_site("http_request_queue_seconds")
    with site.gunicorn("-w", "1"):
        holder = in_background(lambda: get(f"{site.url}/wait/"), 1)
        waiting = site.home / "waiting"
        eventually(waiting.exists)
        start = {"X-Request-Start": str(int(time.time() * 1000))}
        waiter = in_background(lambda: get(f"{site.url}/", **start), 1)
        time.sleep(0.6)
        waiting.unlink()
        for thread in holder + waiter:
            thread.join(20)

        page = site.page()
        assert total(page, "http_request_queue_seconds_count") == 1
        assert 0.5 <= total(page, "http_request_queue_seconds_sum") < 20


def test_behind_nginx_as_the_guide_has_it_a_client_cannot_choose_the_time(
    new_capacity_site: Callable[..., Site],
):
    site = new_capacity_site("http_request_queue_seconds")
    with site.gunicorn("-w", "1"):
        port = free_port()
        server = GUIDE.partition("```nginx\n")[2].partition("```")[0]
        server = server.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
        path = site.home / "nginx.conf"
        path.write_text(configuration(server.replace("http://127.0.0.1:8000", site.url), site.home))
        command = [program("nginx"), "-p", str(site.home), "-c", str(path), "-g", "daemon off;"]
        with running(command, site.home / "nginx.log"):
            url = f"http://127.0.0.1:{port}/"
            eventually(lambda: answers(url))
            before = total(site.page(), "http_request_queue_seconds_count")
            long_ago = str(time.time() - 1800)
            assert get(url, **{"X-Request-Start": long_ago, "X-Queue-Start": long_ago})[0] == 200

        page = site.page()
        assert total(page, "http_request_queue_seconds_count") == before + 1
        assert total(page, "http_request_queue_seconds_sum") < 60


@pytest.fixture
def pooled_site(new_capacity_site: Callable[..., Site]) -> Site:
    """Return a site of which each process has a pool of two connections."""
    if not is_listening(POSTGRESQL):
        missing(f"nothing listens on port {POSTGRESQL}")
    return new_capacity_site(POOL, POSTGRESQL_PORT=str(POSTGRESQL), POOL_SIZE="2")


def test_the_pools_of_all_workers_are_added_up(pooled_site: Site):
    with pooled_site.gunicorn("-w", "3"):
        ask_all_workers(pooled_site, "/ask/", 3)
        # Each is idle, and publishes the state of its pool nevertheless.
        eventually(lambda: total(pooled_site.page(), "db_pool_connections", state="idle") >= 3)

        eventually(lambda: total(pooled_site.page(), "db_pool_connections", state="used") == 0)
        assert total(pooled_site.page(), "db_pool_connections") == 6


def test_the_pool_of_a_killed_worker_is_gone(pooled_site: Site):
    with pooled_site.gunicorn("-w", "1") as server:
        worker = int(pooled_site.get("/ask/"))
        eventually(lambda: total(pooled_site.page(), "db_pool_connections") == 2)
        os.kill(worker, 9)
        eventually(lambda: pooled_site.get("/") != str(worker) and server.poll() is None)

        assert total(pooled_site.page(), "db_pool_connections") == 0


def test_threads_that_wait_for_a_connection_are_seen_while_they_wait(pooled_site: Site):
    with pooled_site.gunicorn("-w", "1", "--threads", "8"):
        threads = in_background(lambda: get(f"{pooled_site.url}/hold/"), 5)
        eventually(lambda: total(pooled_site.page(), "db_pool_requests_waiting") == 3)
        assert total(pooled_site.page(), "db_pool_connections", state="used") == 2
        (pooled_site.home / "released").touch()
        for thread in threads:
            thread.join(30)

        eventually(lambda: total(pooled_site.page(), "db_pool_requests_waiting") == 0)
        assert total(pooled_site.page(), "db_pool_wait_seconds_total") > 0


def test_the_time_that_threads_waited_is_complete_after_a_worker_has_ended(pooled_site: Site):
    with pooled_site.gunicorn("-w", "1", "--threads", "8"):
        threads = in_background(lambda: get(f"{pooled_site.url}/hold/"), 5)
        eventually(lambda: total(pooled_site.page(), "db_pool_requests_waiting") == 3)
        time.sleep(1)
        (pooled_site.home / "released").touch()
        for thread in threads:
            thread.join(30)
    with pooled_site.gunicorn("-w", "1"):
        assert total(pooled_site.page(), "db_pool_wait_seconds_total") >= 3


def lag(site: Site, suffix: str, **labels: str) -> float:
    return total(site.page(), f"{LAG}_{suffix}", **labels)


def probe_rate_is_right(site: Site, workers: int) -> bool:
    """Return whether each loop has had about ten probes in a second."""
    before = lag(site, "count")
    time.sleep(2)
    return 10 * workers <= lag(site, "count") - before <= 22 * workers


def test_the_loops_of_all_workers_are_probed(new_capacity_site: Callable[..., Site]):
    site = new_capacity_site(LAG)
    with site.uvicorn("--workers", "2"):
        ask_all_workers(site, "/", 2)
        eventually(lambda: probe_rate_is_right(site, 2))
        before = lag(site, "count") - lag(site, "bucket", le="0.25")
        site.get("/block/")
        eventually(lambda: lag(site, "count") - lag(site, "bucket", le="0.25") > before)
    assert "Traceback" not in site.log("uvicorn").read_text()


def test_a_server_with_a_probe_stops_immediately(new_capacity_site: Callable[..., Site]):
    site = new_capacity_site(LAG)
    with site.uvicorn() as process:
        site.get("/")
        eventually(lambda: lag(site, "count") >= 2)
        began_at = time.monotonic()
        process.terminate()
        process.wait(20)
        assert time.monotonic() - began_at < 5


def test_gunicorn_without_an_event_loop_exposes_no_lag(new_capacity_site: Callable[..., Site]):
    site = new_capacity_site(LAG)
    with site.gunicorn("-w", "2"):
        site.get("/")
        assert f"{LAG}_count" not in {name for name, _ in site.page()}


def test_the_pauses_of_all_workers_are_recorded(new_capacity_site: Callable[..., Site]):
    site = new_capacity_site("python_gc_pause_seconds")
    with site.gunicorn("-w", "2"):
        before = total(site.page(), "python_gc_pause_seconds_count")
        runs = 10 * ask_all_workers(site, "/collect/", 2)

        page = site.page()
        assert total(page, "python_gc_pause_seconds_count") >= before + runs
        assert total(page, "python_gc_pause_seconds_sum") > 0
