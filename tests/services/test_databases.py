"""Queries and connections of real servers; PostgreSQL says who is connected."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psycopg
import pytest

from tests.services.processes import eventually, free_port, get, is_listening, missing
from tests.services.sites import Site, children, total

POSTGRESQL = 5432


@pytest.fixture
def asking_site(tmp_path: Path) -> Site:
    """Return a site with a PostgreSQL database, in which it goes by a name of its own."""
    if not is_listening(POSTGRESQL):
        missing(f"nothing listens on port {POSTGRESQL}")
    name = f"depot {os.getpid()} {tmp_path.name}"
    return Site(
        tmp_path / "site",
        POSTGRESQL_PORT=str(POSTGRESQL),
        APPLICATION_NAME=name[-60:],
        STORE_DIR=str(tmp_path / "store"),
    )


def connected(site: Site) -> int:
    """Return the number of connections that PostgreSQL has of the site."""
    with psycopg.connect("host=127.0.0.1 user=postgres dbname=postgres") as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s",
            [site.environment["APPLICATION_NAME"]],
        ).fetchone()
    return int(row[0]) if row else 0


@pytest.mark.parametrize("options", [["-w", "3"], ["-w", "1", "--threads", "4"]], ids=str)
def test_all_processes_count_their_queries_and_connections(asking_site: Site, options: list[str]):
    with asking_site.gunicorn(*options):
        for _ in range(40):
            asking_site.get("/ask/")
        page = asking_site.page()

        assert total(page, "db_queries_total", operation="select", table="other") == 40
        assert total(page, "db_query_duration_seconds_count", operation="select") == 40
        assert total(page, "db_connections_current") == connected(asking_site) > 0


def test_the_connections_of_a_killed_worker_are_gone(asking_site: Site):
    with asking_site.gunicorn("-w", "3", "--preload") as server:
        for _ in range(40):
            asking_site.get("/ask/")
        for worker in children(server):
            os.kill(worker, signal.SIGKILL)
        eventually(lambda: connected(asking_site) == 0)

        assert total(asking_site.page(), "db_connections_current") == 0
        assert total(asking_site.page(), "db_queries_total") == 40


def test_a_database_that_is_down_changes_nothing_but_the_answers_that_need_it(tmp_path: Path):
    site = Site(
        tmp_path / "site",
        POSTGRESQL_PORT=str(free_port()),
        STORE_DIR=str(tmp_path / "store"),
    )
    with site.gunicorn("-w", "2"):
        status, _ = get(f"{site.url}/ask/")
        page = site.page()

        assert status == 500
        assert site.get("/")
        assert total(page, "http_requests_total", path="/ask/", status="500") == 1
        assert total(page, "db_connections_current") == 0
