"""The number of open connections; PostgreSQL itself is the oracle."""

from __future__ import annotations

import copy
import gc
import threading
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import pytest
from django.db import (
    DatabaseError,
    OperationalError,
    close_old_connections,
    connection,
    connections,
    transaction,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.module_loading import import_string

from missions.models import Mission
from tachikoma_metrics import testing
from tests.databases.conftest import Recorded
from tests.services.processes import eventually, missing

pytestmark = pytest.mark.django_db(transaction=True)

_PATIENCE = 20


def is_pooled() -> bool:
    return bool(connection.settings_dict["OPTIONS"].get("pool"))


def close_pool() -> None:
    wrapper: Any = connections["default"]
    wrapper.close_pool()


def pooled_by_sqlalchemy() -> BaseDatabaseWrapper:
    """Return a connection of django-db-connection-pool, which keeps two."""
    if connection.vendor == "sqlite" or is_pooled():
        pytest.skip("django-db-connection-pool does not support these settings.")
    try:
        engine = import_module(f"dj_db_conn_pool.backends.{connection.vendor}.base")
    except ImportError:
        missing("django-db-connection-pool is not installed")
    options = {"POOL_SIZE": 2, "MAX_OVERFLOW": 1}
    wrapper: BaseDatabaseWrapper = engine.DatabaseWrapper(
        {**connection.settings_dict, "POOL_OPTIONS": options}, alias="default"
    )
    return wrapper


def open_connections() -> float:
    return testing.sample_value("db_connections_current") or 0.0


def connections_of_server() -> int | None:
    """Return the number that the server reports; None if it cannot report one."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name LIKE %s",
            [connection.settings_dict["OPTIONS"]["application_name"]],
        )
        return int(cursor.fetchone()[0])


def agrees_with_server() -> bool:
    """Return whether the gauge equals the server's number within some seconds.

    The connections that a pool opens are counted when one is next taken or returned.
    """
    deadline = time.monotonic() + _PATIENCE
    while open_connections() != connections_of_server() and time.monotonic() < deadline:
        time.sleep(0.02)
        if is_pooled():
            connection.close()
    return open_connections() == connections_of_server()


@pytest.fixture(autouse=True)
def _no_connection() -> None:
    """Start without an open connection: the gauge was reset before the test."""
    if connection.settings_dict["NAME"].startswith("file:memory"):
        pytest.skip("A database in memory has one connection, which stays open.")
    connection.close()
    if is_pooled():
        close_pool()
    gc.collect()
    testing.reset()


def test_a_connection_counts_while_it_is_open():
    connection.ensure_connection()
    assert open_connections() == 1 or is_pooled()
    connection.close()
    connection.close()
    assert open_connections() == 0 or is_pooled()
    connection.ensure_connection()
    assert open_connections() == 1 or is_pooled()


def test_the_idle_connections_of_a_pool_count():
    if not is_pooled():
        pytest.skip("There is no pool.")
    Mission.objects.count()
    # The pool opens the second one in the background.
    eventually(lambda: agrees_with_server() and open_connections() >= 2)
    connection.close()
    close_pool()
    gc.collect()
    assert open_connections() == 0


def test_the_idle_connections_of_a_pool_of_sqlalchemy_count():
    opened = [pooled_by_sqlalchemy() for _ in range(3)]
    pools: Any = import_module("dj_db_conn_pool.core").pool_container
    for one in opened:
        one.ensure_connection()
    assert open_connections() == 3
    for one in opened:
        one.close()
    assert open_connections() == 2
    opened[0].ensure_connection()
    assert open_connections() == 2
    opened[0].close()
    pools.get("default").dispose()
    gc.collect()
    assert open_connections() == 0


def test_queries_count_once_after_reconnecting(recorded: Recorded):
    for _ in range(3):
        connection.close()
        connection.ensure_connection()
    with recorded() as counted:
        Mission.objects.count()

    assert counted == {("select", "missions_mission"): 1}


def test_the_list_of_wrappers_has_those_of_the_project_only(recorded: Recorded):
    connection.ensure_connection()
    assert connection.execute_wrappers == []
    connection.execute_wrappers.clear()

    with recorded() as counted:
        Mission.objects.count()

    assert counted == {("select", "missions_mission"): 1}


def test_the_measuring_wrapper_is_the_outermost(recorded: Recorded):
    def answer_itself(*arguments: object) -> object:
        raise DatabaseError("not sent")

    # Opening a connection may run more queries.
    Mission.objects.count()
    with (
        recorded() as counted,
        connection.execute_wrapper(answer_itself),
        pytest.raises(DatabaseError, match="not sent"),
    ):
        Mission.objects.count()

    assert counted == {("select", "missions_mission"): 1}


def test_a_connection_that_opens_within_a_wrapper_is_measured(recorded: Recorded):
    def pass_on(execute: Callable[..., object], *arguments: object) -> object:
        return execute(*arguments)

    fresh = connection.copy()
    try:
        with fresh.execute_wrapper(pass_on):
            fresh.ensure_connection()
        with recorded() as counted:
            fresh.cursor().execute("SELECT 1")
        assert (fresh.execute_wrappers, sum(counted.values())) == ([], 1)
    finally:
        fresh.close()


def test_connections_of_50_threads_that_come_and_go():
    count = 8 if is_pooled() else 50
    barrier = threading.Barrier(count + 1)

    def work() -> None:
        Mission.objects.count()
        barrier.wait(_PATIENCE * 4)
        barrier.wait(_PATIENCE * 4)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    barrier.wait(_PATIENCE * 4)
    assert open_connections() == count
    barrier.wait(_PATIENCE * 4)
    for thread in threads:
        thread.join()
    if connection.vendor == "postgresql":
        assert agrees_with_server()
    else:
        assert open_connections() == 0


@pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning")
@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning")
def test_a_connection_ends_with_its_thread():
    def work() -> None:
        Mission.objects.count()

    for _ in range(5):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    gc.collect()

    assert open_connections() <= (2 if is_pooled() else 0)
    assert connection.vendor != "postgresql" or agrees_with_server()


def test_old_connections_are_closed():
    connection.ensure_connection()
    connection.close_at = 0
    close_old_connections()
    assert open_connections() == 0 or is_pooled()
    Mission.objects.count()
    assert connection.vendor != "postgresql" or agrees_with_server()


def test_persistent_connections_stay():
    connection.ensure_connection()
    connection.close_at = None
    close_old_connections()
    assert open_connections() == 1 or is_pooled()


def test_a_connection_that_the_server_closes_counts_until_it_is_replaced():
    if connection.vendor != "postgresql" or is_pooled():
        pytest.skip("Only PostgreSQL can terminate a connection here.")
    other = connection.copy()
    Mission.objects.count()
    with other.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(%s)",
            [connection.connection.info.backend_pid],
        )
    other.close()
    connection.errors_occurred = True
    close_old_connections()
    assert open_connections() == 0
    assert agrees_with_server()


def test_a_failed_connection_does_not_count():
    if connection.vendor == "sqlite" or is_pooled():
        pytest.skip("No server refuses the connection immediately.")
    fresh = connection.copy()
    fresh.settings_dict["PORT"] = "1"
    with pytest.raises(OperationalError):
        fresh.ensure_connection()
    assert open_connections() == 0


def test_a_mock_of_close_on_the_class_is_called(monkeypatch: pytest.MonkeyPatch):
    calls: list[object] = []
    connection.ensure_connection()
    with monkeypatch.context() as patched:
        patched.setattr(type(connections["default"]), "close", lambda self: calls.append(self))
        connection.close()
    assert [type(call) for call in calls] == [type(connections["default"])]


def test_a_replaced_close_of_one_connection_is_called():
    calls: list[str] = []
    fresh = connection.copy()
    close = fresh.close

    def replacement() -> None:
        calls.append("close")
        close()

    fresh.close = replacement  # type: ignore[method-assign]
    fresh.ensure_connection()
    fresh.close()

    assert calls == ["close"]
    assert fresh.connection is None


def test_a_connection_counts_whatever_wraps_its_close():
    for is_before in (True, False):
        fresh = connection.copy()
        if not is_before:
            fresh.ensure_connection()
        fresh.close = partial(fresh.close)  # type: ignore[method-assign]
        fresh.ensure_connection()
        assert open_connections() == 1 or is_pooled()
        fresh.close()
        assert open_connections() == 0 or is_pooled()
        assert fresh.connection is None


def test_a_connection_counts_after_its_close_is_put_back():
    fresh = connection.copy()
    before = fresh.close
    fresh.ensure_connection()
    fresh.close = before  # type: ignore[method-assign]
    del fresh.close
    fresh.close()

    assert open_connections() == 0 or is_pooled()
    assert fresh.connection is None


def test_a_copied_connection_closes_itself():
    first = connection.copy()
    first.ensure_connection()
    second: Any = copy.copy(first)
    second.connection = None
    second.ensure_connection()
    assert open_connections() == 2 or is_pooled()

    second.close()
    assert (second.connection, first.is_usable()) == (None, True)
    assert open_connections() == 1 or is_pooled()
    first.close()
    assert open_connections() == 0 or is_pooled()


def test_a_connection_keeps_its_class():
    kind = import_string(f"{connection.settings_dict['ENGINE']}.base.DatabaseWrapper")
    fresh = kind(connection.settings_dict.copy(), "default")
    fresh.ensure_connection()

    assert fresh.__class__ is kind
    assert fresh.copy().__class__ is kind
    assert fresh.close.__qualname__ == kind.close.__qualname__
    fresh.close()


def test_a_connection_that_is_closed_within_a_transaction_does_not_count():
    connection.ensure_connection()
    before = open_connections()
    with transaction.atomic():
        connection.close()
        assert open_connections() == before - 1 or is_pooled()


def test_databases_that_are_not_listed_are_not_instrumented(settings):
    settings.TACHIKOMA_METRICS = {"INSTRUMENT_DATABASES": ["other"]}
    fresh: BaseDatabaseWrapper = connection.copy()
    fresh.ensure_connection()
    assert type(fresh.execute_wrappers) is list
    assert "close" not in vars(fresh)
    fresh.close()
    assert open_connections() == 0
