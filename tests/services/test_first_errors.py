"""A real Prometheus counts the first error of each route and database after a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.processes import eventually, free_port, get, program
from tests.services.prometheus import (
    CONFIGURATION,
    PROMETHEUSES,
    Prometheus,
    running_prometheus,
)
from tests.services.sites import Site

ROUTES = {
    "/shelves/": "/shelves/",
    "/shelves/7/": "/shelves/:shelf/",
    "/shelves/7/boxes/red/": "/shelves/:shelf/boxes/:box/",
}
WORKERS = ("--workers", "2")


class SiteWithOnePort(Site):
    """A site that listens on the same port after a restart."""

    def new_port(self) -> int:
        return self.port or free_port()


@pytest.fixture(
    params=[PROMETHEUSES[-1], pytest.param(PROMETHEUSES[0], marks=pytest.mark.thorough)]
)
def run_prometheus(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[int], Any]:
    program(request.param)
    return lambda port: running_prometheus(request.param, CONFIGURATION.format(port=port), tmp_path)


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    # With KEEP_TOTALS, a zero from before the restart would do.
    site = SiteWithOnePort(tmp_path.resolve() / "site", KEEP_TOTALS="0", **request.param)
    yield site
    site.clear()


def increase_after_a_restart(site: Site, run_prometheus: Callable[[int], Any]) -> dict[str, float]:
    """Let each route fail once after a restart; return the increases that Prometheus sees."""
    with site.gunicorn(*WORKERS):
        request_each_route(site)
    with site.gunicorn(*WORKERS), run_prometheus(site.port) as prometheus:
        request_each_route(site)
        eventually(lambda: has_scraped(prometheus, "200"))
        request_each_route(site, "?fail")
        eventually(lambda: has_scraped(prometheus, "500"))
        increase = 'round(increase(http_requests_total{status="500", path!=""}[5m]))'
        found = prometheus.values(increase, "path")
    return {path: value for (path,), value in found.items() if path in ROUTES.values()}


def request_each_route(site: Site, query: str = "") -> None:
    for path in ROUTES:
        get(f"{site.url}{path}{query}")


def has_scraped(prometheus: Prometheus, status: str) -> bool:
    """Return whether Prometheus knows of one request to each route, from two scrapes."""
    series = f'http_requests_total{{status="{status}"}}'
    expression = f"{series} == 1 and count_over_time({series}[1m]) >= 2"
    return {(path,) for path in ROUTES.values()} <= prometheus.values(expression, "path").keys()


@pytest.mark.parametrize("site", [{}], indirect=True)
def test_the_first_error_of_each_route_is_in_the_increase(
    site: Site, run_prometheus: Callable[[int], Any]
):
    assert increase_after_a_restart(site, run_prometheus) == dict.fromkeys(ROUTES.values(), 1.0)


@pytest.mark.parametrize("site", [{"ZERO_STATUSES": ""}], indirect=True)
def test_with_start_timestamps_it_is_in_the_increase_without_a_zero(site: Site, tmp_path: Path):
    program("prometheus3")

    def run(port: int) -> Any:
        option = "--enable-feature=created-timestamp-zero-ingestion"
        configuration = CONFIGURATION.format(port=port)
        return running_prometheus("prometheus3", configuration, tmp_path, option)

    assert increase_after_a_restart(site, run) == dict.fromkeys(ROUTES.values(), 1.0)


@pytest.mark.parametrize("site", [{"ZERO_STATUSES": ""}], indirect=True)
def test_without_a_zero_before_it_the_first_error_is_not(
    site: Site, run_prometheus: Callable[[int], Any]
):
    assert increase_after_a_restart(site, run_prometheus) == dict.fromkeys(ROUTES.values(), 0.0)


@pytest.mark.parametrize("site", [{"SQLITE": "db.sqlite3"}], indirect=True)
def test_the_first_error_of_a_database_is_in_the_increase(
    site: Site, run_prometheus: Callable[[int], Any]
):
    series = 'db_errors_total{error_type="OperationalError"}'
    with site.gunicorn(*WORKERS):
        get(f"{site.url}/look-up/?fail")
    with site.gunicorn(*WORKERS), run_prometheus(site.port) as prometheus:
        get(f"{site.url}/look-up/")
        eventually(lambda: prometheus.values(series) == {(): 0})
        get(f"{site.url}/look-up/?fail")
        eventually(lambda: prometheus.values(series) == {(): 1})
        assert prometheus.values(f"round(increase({series}[5m]))") == {(): 1}
