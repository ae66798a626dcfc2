"""Processes come and go; the page of any of them tells of all of them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.services.processes import eventually
from tests.services.sites import Load, Site, falls, requests, total

thorough = pytest.mark.thorough


@pytest.mark.parametrize(
    ("options", "workers", "count"),
    [
        pytest.param(["--preload"], 4, 400, id="sync-preloaded"),
        pytest.param(["--preload"], 4, 1000, id="sync-preloaded-long", marks=thorough),
        pytest.param(["--preload", "--threads", "4"], 4, 1000, id="threads-long", marks=thorough),
        # Each worker takes most of a second of a processor to start.
        pytest.param([], 2, 200, id="sync", marks=thorough),
        pytest.param(["--threads", "4"], 2, 200, id="threads"),
    ],
)
def test_no_request_is_lost_and_none_counted_twice_while_workers_change(
    site: Site, options: list[str], workers: int, count: int
):
    with site.gunicorn("-w", str(workers), "--max-requests", "50", *options) as server:
        with Load(site, count=count) as load:
            eventually(lambda: load.answered > count / 2, seconds=60)
            server.send_signal(signal.SIGHUP)
            load.join()
        pages = [site.page() for _ in range(20)]
        slots = site.slots()

        assert falls([*load.pages, *pages]) == []
        assert {requests(page) for page in pages} == {load.answered}
        assert {total(page, "http_requests_in_flight") for page in pages} == {0}
        assert "Traceback" not in site.log("gunicorn").read_text()
        # At a HUP old and new workers live side by side; the server itself may have a slot.
        assert len(slots) <= 2 * workers + 1


def test_one_worker_counts_on_however_often_it_is_replaced(site: Site):
    with site.gunicorn("-w", "1", "--max-requests", "20", "--preload"):
        for _ in range(100):
            site.get()

        assert requests(site.page()) == 100


def test_workers_of_uvicorn_share_one_page(site: Site):
    with site.uvicorn("--workers", "2"):
        with Load(site, count=200) as load:
            load.join()
        pages = [site.page() for _ in range(20)]

        assert falls([*load.pages, *pages]) == []
        assert {requests(page) for page in pages} == {load.answered}
        assert {total(page, "http_requests_in_flight") for page in pages} == {0}


@pytest.mark.usefixtures("broker")
def test_a_site_its_workers_and_its_commands_share_one_page(site: Site):
    with site.uvicorn("--workers", "2"), site.celery("-c", "2", "--max-tasks-per-child", "3"):
        for _ in range(20):
            site.get("/deliver/")
            site.get("/sell/site/")
        for _ in range(2):
            site.command("sell")

        # Whose counter is known to the worker alone.
        eventually(lambda: total(site.page(), "depot_deliveries_total") == 20)
        page = site.page()

        assert requests(page) == 40
        assert page["depot_sales_total", frozenset({("seller", "worker")})] == 20
        assert page["depot_sales_total", frozenset({("seller", "site")})] == 20
        assert page["depot_sales_total", frozenset({("seller", "command")})] == 2


@pytest.mark.usefixtures("broker")
def test_a_worker_keeps_the_totals_while_the_site_starts_anew(site: Site):
    with site.celery("-c", "1"):
        with site.gunicorn("-w", "2"):
            for _ in range(10):
                site.get("/deliver/")
            eventually(lambda: total(site.page(), "depot_deliveries_total") == 10)
        with site.gunicorn("-w", "2"):
            for _ in range(3):
                site.get()
            page = site.page()

        assert total(page, "depot_deliveries_total") == 10
        assert requests(page, path="/deliver/") == 10
        assert requests(page, path="/") == 3


def test_what_a_project_makes_with_prometheus_client_is_shared_too(site: Site):
    with site.gunicorn("-w", "2", "--max-requests", "30"):
        with Load(site, "/sell/site/", count=100) as load:
            load.join()
        page = site.page()

        assert total(page, "depot_sales_total") == load.answered
        assert total(page, "depot_price_count") == load.answered
        assert total(page, "depot_price_bucket", le="1.0") == 0
        assert total(page, "depot_price_bucket", le="10.0") == load.answered
        assert total(page, "depot_price_sum") == 5 * load.answered
        assert total(page, "depot_weight_count") == load.answered
        assert total(page, "depot_weight_sum") == load.answered / 2
        assert falls(load.pages) == []


def test_a_counter_that_is_made_with_the_models_is_shared_too(site: Site):
    with site.gunicorn("-w", "2"):
        with Load(site, "/sell/site/", count=100) as load:
            load.join()
        pages = [site.page() for _ in range(10)]

        assert {total(page, "depot_visits_total") for page in pages} == {load.answered}


def test_collectors_of_others_are_on_the_page(site: Site):
    with site.gunicorn("-w", "2"):
        # A worker has the collector once it has loaded the views, where this project makes it.
        eventually(lambda: "depot_stock" in site.get("/sell/site/") + site.get("/metrics"))
        page = site.page()

        assert total(page, "python_info") == 1
        assert total(page, "process_cpu_seconds_total") > 0
        assert total(page, "process_resident_memory_bytes") > 1_000_000


def test_the_page_tells_how_many_processes_live(site: Site):
    with site.gunicorn("-w", "1"):
        site.get()
        assert total(site.page(), "tachikoma_metrics_processes") == 1
    with site.gunicorn("-w", "3"):

        def all_are_seen() -> bool:
            site.get()
            return total(site.page(), "tachikoma_metrics_processes") == 3

        eventually(all_are_seen)


@pytest.mark.parametrize(("keep_totals", "total_after"), [("600", 17), ("0", 7)])
def test_a_site_that_is_started_again_goes_on_for_as_long_as_the_setting_says(
    new_site: Callable[..., Site], keep_totals: str, total_after: int
):
    site = new_site(KEEP_TOTALS=keep_totals)
    with site.gunicorn("-w", "2", "--preload"):
        for _ in range(10):
            site.get()
        assert requests(site.page()) == 10

    with site.gunicorn("-w", "2", "--preload"):
        for _ in range(7):
            site.get()

        assert requests(site.page()) == total_after


def test_two_sites_on_a_machine_do_not_mix(new_site: Callable[..., Site]):
    one, other = new_site("one"), new_site("other")
    with one.gunicorn("-w", "2"), other.gunicorn("-w", "2", "--preload"):
        for _ in range(5):
            one.get()
        for _ in range(3):
            other.get()

        assert requests(one.page()) == 5
        assert requests(other.page()) == 3


def test_fifty_scrapers_at_a_time_are_all_told_the_same(site: Site):
    with site.gunicorn("-w", "2", "--threads", "25", "--preload"):
        for _ in range(30):
            site.get()
        with ThreadPoolExecutor(50) as scrapers:
            pages = list(scrapers.map(lambda _: site.page(), range(100)))

        assert {requests(page) for page in pages} == {30}
        assert {total(page, "tachikoma_metrics_errors_total") for page in pages} == {0}
