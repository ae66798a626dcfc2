"""The state of psycopg's pool, and the time that threads wait for its connections."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, connections
from django.test import override_settings

from tachikoma_metrics import METRICS, testing
from tachikoma_metrics.database import pools
from tachikoma_metrics.testing import sample_value
from tests.services.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = ["db_pool_connections", "db_pool_requests_waiting", "db_pool_wait_seconds_total"]
POOL = override_settings(TACHIKOMA_METRICS={"EXTRA_METRICS": NAMES})
SIZE = 8
"""The most connections that the pool of ``tests.databases.pooled`` opens."""


@pytest.fixture(autouse=True)
def _fresh_pool() -> Iterator[None]:
    if not connection.settings_dict["OPTIONS"].get("pool"):
        pytest.skip("There is no pool.")
    close_pool()
    testing.reset()
    with POOL:
        yield
    close_pool()


def close_pool() -> None:
    wrapper: Any = connections["default"]
    wrapper.close()
    wrapper.close_pool()


def pooled(state: str) -> float | None:
    return sample_value("db_pool_connections", alias="default", state=state)


def waiting() -> float | None:
    return sample_value("db_pool_requests_waiting", alias="default")


def waited() -> float:
    return sample_value("db_pool_wait_seconds_total", alias="default") or 0.0


class Holder(threading.Thread):
    """Take a connection of the pool and hold it until released."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.has_connection = threading.Event()
        self.is_released = threading.Event()

    def run(self) -> None:
        connection.ensure_connection()
        self.has_connection.set()
        self.is_released.wait(20)
        connection.close()


@pytest.fixture
def holders() -> Iterator[list[Holder]]:
    """Return one thread for each connection of the pool, which holds it."""
    threads = [Holder() for _ in range(SIZE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        assert thread.has_connection.wait(20)
    yield threads
    for thread in threads:
        thread.is_released.set()
        thread.join(20)


def test_connections_count_by_their_state():
    connection.ensure_connection()
    # The pool opens others in the background.
    eventually(lambda: pooled("used") == 1 and (pooled("idle") or 0) >= 1)
    idle = pooled("idle") or 0
    assert pooled("unopened") == SIZE - 1 - idle

    connection.close()
    eventually(lambda: pooled("idle") == idle + 1)
    assert (pooled("used"), pooled("unopened")) == (0, SIZE - 1 - idle)


def test_threads_that_wait_count_and_so_does_the_time(holders: list[Holder]):
    late = Holder()
    late.start()
    eventually(lambda: waiting() == 1)
    assert (pooled("used"), pooled("idle"), pooled("unopened")) == (SIZE, 0, 0)
    holders[0].is_released.set()
    assert late.has_connection.wait(20)
    late.is_released.set()
    late.join()

    eventually(lambda: waiting() == 0)
    assert 0 < waited() < 20


def test_the_state_is_read_while_nothing_is_recorded_and_nothing_scraped(holders: list[Holder]):
    cell = METRICS.db_pool_requests_waiting.labels("default").cell
    late = Holder()
    late.start()

    eventually(lambda: bool(cell.get() == 1))
    holders[0].is_released.set()
    late.is_released.set()
    late.join()
    eventually(lambda: bool(cell.get() == 0))


def test_no_query_is_sent(django_assert_num_queries: Any):
    connection.ensure_connection()
    with django_assert_num_queries(0):
        pools._read()


def test_statistics_that_were_reset_add_no_time_twice(holders: list[Holder]):
    late = Holder()
    late.start()
    eventually(lambda: waiting() == 1)
    holders[0].is_released.set()
    assert late.has_connection.wait(20)
    pools._read()
    before = waited()
    connections["default"].pool.pop_stats()  # type: ignore[attr-defined]
    pools._read()
    late.is_released.set()
    late.join()

    assert waited() == before > 0


def test_a_closed_pool_has_no_connections():
    connection.ensure_connection()
    eventually(lambda: pooled("used") == 1)
    close_pool()

    assert [pooled(state) for state in ("used", "idle", "unopened")] == [0, 0, 0]


def test_labels_that_are_left_out_are_added_up():
    settings = {"EXTRA_METRICS": NAMES, "LABELS": {"db_pool_connections": []}}
    with override_settings(TACHIKOMA_METRICS=settings):
        connection.ensure_connection()

        assert sample_value("db_pool_connections") == SIZE


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_counts_nothing_of_its_parent(holders: list[Holder]):
    late = Holder()
    late.start()
    eventually(lambda: waiting() == 1)
    holders[0].is_released.set()
    assert late.has_connection.wait(20)
    late.is_released.set()
    late.join()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        is_left = not pools._pools and pools._reader is None
        os.write(write, b"1" if is_left and any(pools._counted.values()) else b"0")
        os._exit(0)
    os.waitpid(pid, 0)

    assert os.read(read, 1) == b"1"
    os.close(read)
    os.close(write)


def test_an_error_is_counted_and_changes_nothing_for_the_project(monkeypatch: pytest.MonkeyPatch):
    connection.ensure_connection()
    pool: Any = connections["default"].pool  # type: ignore[attr-defined]
    monkeypatch.setattr(pool, "get_stats", lambda: 1 / 0)
    pools._read()

    assert (sample_value("tachikoma_metrics_errors_total", source="database") or 0) >= 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_it_is_off_by_default():
    with override_settings(TACHIKOMA_METRICS={}):
        eventually(lambda: pools._reader is None or not pools._reader.is_alive())
        connection.ensure_connection()

        assert pools._reader is None or not pools._reader.is_alive()
        assert pooled("used") is None
