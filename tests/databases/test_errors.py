"""Errors of real databases: their counts are those of a ledger of what the app catches."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import ObjectDoesNotExist
from django.db import (
    DatabaseError,
    Error,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    connection,
    connections,
    transaction,
    utils,
)

from missions.models import Mission, Spec
from tachikoma_metrics.testing import sample_value, samples
from tests.databases.test_connections import is_pooled

pytestmark = pytest.mark.django_db(transaction=True)

_PATIENCE = 20
WITH_LABELS = {"LABELS": {"db_errors_total": ["error_type", "alias", "operation"]}}


class Ledger(Counter[str]):
    """What the app caught, by class; several threads may write."""

    @contextmanager
    def catching(self) -> Iterator[None]:
        """Catch an error of the database in the block, and note its class."""
        try:
            yield
        except Error as error:
            self[type(error).__name__] += 1


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """Return an empty ledger, and compare it with the metrics endpoint after the test."""
    connection.ensure_connection()
    written = Ledger()
    yield written
    assert errors() == written
    assert sample_value("tachikoma_metrics_errors_total", source="database") is None


def errors() -> Counter[str]:
    found: Counter[str] = Counter()
    for (name, labels), value in samples().items():
        if name == "db_errors_total":
            found[dict(labels)["error_type"]] += int(value)
    return +found


def operations() -> dict[str, float]:
    return {
        dict(labels)["operation"]: value
        for (name, labels), value in samples().items()
        if name == "db_errors_total" and value
    }


def twice(mission: Mission) -> None:
    Mission.objects.create(pk=mission.pk, name="Again")


def test_errors_of_every_kind(ledger: Ledger):
    mission = Mission.objects.create(name="Ghost")
    for _ in range(3):
        with ledger.catching():
            twice(mission)
    with ledger.catching(), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_table")
    with ledger.catching(), connection.cursor() as cursor:
        cursor.execute("SELECT nonsense FROM")
    with ledger.catching(), connection.cursor() as cursor:
        cursor.executemany("INSERT INTO no_such_table VALUES (%s)", [[1], [2]])
    with pytest.raises(ObjectDoesNotExist):
        Mission.objects.get(name="nothing")

    assert ledger["IntegrityError"] == 3
    assert sum(ledger.values()) == 6


def test_a_query_that_the_app_recovers_from_counts(ledger: Ledger):
    mission = Mission.objects.create(name="Ghost")
    with transaction.atomic():
        with ledger.catching(), transaction.atomic():
            twice(mission)
        assert Mission.objects.count() == 1


async def test_errors_of_async_calls(ledger: Ledger):
    mission = await Mission.objects.acreate(name="Ghost")
    with ledger.catching():
        await Mission.objects.acreate(pk=mission.pk, name="Again")
    await sync_to_async(connections.close_all)()

    assert ledger == {"IntegrityError": 1}


def test_a_constraint_that_is_checked_at_the_commit(ledger: Ledger):
    with ledger.catching(), transaction.atomic():
        Spec.objects.create(mission_id="00000000-0000-0000-0000-000000000000", title="Step")

    assert ledger == {"IntegrityError": 1}


def test_threads_count_exactly(ledger: Ledger):
    is_in_memory = getattr(connection, "is_in_memory_db", lambda: False)
    if is_in_memory():
        pytest.skip("A thread cannot close its connection to a database in memory.")
    mission = Mission.objects.create(name="Ghost")
    caught: list[str] = []

    def work() -> None:
        try:
            for _ in range(10):
                try:
                    twice(mission)
                except IntegrityError as error:
                    caught.append(type(error).__name__)
        finally:
            connection.close()

    run_together(*[work] * 4)
    ledger.update(caught)
    assert ledger == {"IntegrityError": 40}


def run_together(*functions: Callable[[], None]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_PATIENCE)
        assert not thread.is_alive()


def test_a_deadlock(ledger: Ledger):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite locks the whole database.")
    rows = [Mission.objects.create(name=name).pk for name in "ab"]
    barrier = threading.Barrier(2)
    caught: list[str] = []

    def work(first: Any, second: Any) -> None:
        try:
            with transaction.atomic():
                Mission.objects.filter(pk=first).update(name="x")
                barrier.wait(_PATIENCE)
                Mission.objects.filter(pk=second).update(name="x")
        except DatabaseError as error:
            caught.append(type(error).__name__)
        finally:
            connection.close()

    run_together(lambda: work(*rows), lambda: work(*reversed(rows)))
    ledger.update(caught)
    assert ledger == {"OperationalError": 1}


def test_a_lock_that_is_not_released_in_time(ledger: Ledger):
    if connection.vendor == "sqlite":
        pytest.skip("The time-out of SQLite is 20 seconds here.")
    setting = {
        "postgresql": "SET lock_timeout = '200ms'",
        "mysql": "SET innodb_lock_wait_timeout = 1",
    }[connection.vendor]
    row = Mission.objects.create(name="a").pk
    other = connection.copy()
    other.ensure_connection()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("UPDATE missions_mission SET name = 'x'")
        with connection.cursor() as cursor:
            cursor.execute(setting)
        with ledger.catching():
            Mission.objects.filter(pk=row).update(name="y")
        with ledger.catching(), transaction.atomic():
            Mission.objects.filter(pk=row).update(name="y")
        other.rollback()
    finally:
        other.close()
        # The setting is that of the session.
        connection.close()

    assert ledger == {"OperationalError": 2}


def terminate(wrapper: Any) -> None:
    """End the session of a connection by another one."""
    other = connection.copy()
    statement, session = {
        "postgresql": (
            "SELECT pg_terminate_backend(%s)",
            lambda: wrapper.connection.info.backend_pid,
        ),
        "mysql": ("KILL %s", lambda: wrapper.connection.thread_id()),
    }[connection.vendor]
    try:
        with other.cursor() as cursor:
            cursor.execute(statement, [session()])
        time.sleep(0.1)
    finally:
        other.close()


@pytest.mark.parametrize("is_atomic", [False, True], ids=["alone", "in a transaction"])
def test_a_lost_connection(ledger: Ledger, is_atomic: bool):
    if connection.vendor == "sqlite":
        pytest.skip("There is no session.")
    Mission.objects.count()
    if is_atomic:
        with ledger.catching(), transaction.atomic():
            Mission.objects.create(name="a")
            terminate(connection)
            # What Django tries then, to roll back, fails as well.
            Mission.objects.count()
    else:
        terminate(connection)
        for _ in range(2):
            with ledger.catching():
                Mission.objects.count()
        connection.close()

    assert sum(ledger.values()) == (1 if is_atomic else 2)
    assert Mission.objects.count() == 0


def test_an_error_while_rows_are_read(ledger: Ledger):
    if connection.vendor == "mysql":
        pytest.skip("The driver reads all rows of a query with the query.")
    if connection.vendor == "sqlite":
        statement = (
            "WITH RECURSIVE n(x) AS (SELECT -500 UNION ALL SELECT x + 1 FROM n WHERE x < 9)"
            " SELECT abs(CASE WHEN x < 0 THEN 1 ELSE -9223372036854775807 - 1 END) FROM n"
        )
        with ledger.catching(), connection.cursor() as cursor:
            cursor.execute(statement)
            cursor.fetchall()
    else:
        with ledger.catching(), transaction.atomic(), connection.chunked_cursor() as cursor:
            cursor.execute("SELECT 1 / (500 - n) FROM generate_series(1, 900) AS n")
            cursor.fetchmany(100)
            cursor.fetchmany(900)

    assert sum(ledger.values()) == 1


def test_errors_of_the_app_are_not_errors_of_the_database(ledger: Ledger):
    def fail(*arguments: object) -> None:
        raise LookupError("in a wrapper")

    with connection.execute_wrapper(fail), pytest.raises(LookupError):
        Mission.objects.count()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        _ = 1 / 0


def test_the_error_that_the_app_catches_is_the_one_of_django(ledger: Ledger):
    with pytest.raises(DatabaseError) as info, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_table")
    ledger[type(info.value).__name__] += 1

    assert type(info.value) in (ProgrammingError, OperationalError)
    assert info.value.__cause__ is not None
    assert connection.errors_occurred


def test_the_labels_show_the_database_and_the_operation(settings):
    settings.TACHIKOMA_METRICS = WITH_LABELS
    mission = Mission.objects.create(name="Ghost")
    ledger = Ledger()
    with ledger.catching():
        twice(mission)
    with ledger.catching(), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_table")
    with ledger.catching(), connection.cursor() as cursor:
        cursor.execute("UPDATE no_such_table SET x = 1")

    assert operations() == {"insert": 1, "select": 1, "update": 1}
    assert all(
        dict(labels)["alias"] == "default"
        for name, labels in samples()
        if name == "db_errors_total"
    )


@pytest.mark.parametrize("wanted", [False, ["other"]], ids=str)
def test_databases_that_are_not_listed_count_nothing(settings, wanted: object):
    settings.TACHIKOMA_METRICS = {"INSTRUMENT_DATABASES": wanted}
    with Ledger().catching(), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_table")

    assert errors() == {}


# --- before the first error ---------------------------------------------------

CLASSES = {
    name
    for name, value in vars(utils).items()
    if isinstance(value, type) and issubclass(value, Error)
}


def zeros(name: str, *labels: str) -> set[tuple[str, ...]]:
    """Return the values of these labels of each time series at zero."""
    return {
        tuple(dict(found)[label] for label in labels)
        for (one, found), value in samples().items()
        if one == name and value == 0
    }


@contextmanager
def opened_connection() -> Iterator[None]:
    made = new_connection()
    made.ensure_connection()
    try:
        yield
    finally:
        made.close()
        # Django does not close a SQLite database in memory.
        if made.connection is not None:
            made.connection.close()


def test_each_class_of_error_is_at_zero_from_the_first_connection():
    with opened_connection():
        assert zeros("db_errors_total", "error_type") == {(name,) for name in CLASSES}
        assert refused() == 0


def test_an_error_that_happened_leaves_the_others_at_zero():
    with opened_connection():
        with Ledger().catching():
            twice(Mission.objects.create(name="Ghost"))

        assert errors()["IntegrityError"] == 1
        found = zeros("db_errors_total", "error_type")
        assert found == {(name,) for name in CLASSES - {"IntegrityError"}}


def test_each_database_and_operation_has_its_zeros(settings):
    settings.TACHIKOMA_METRICS = {
        "LABELS": {**WITH_LABELS["LABELS"], "db_connection_errors_total": ["alias"]}
    }
    with opened_connection():
        found = zeros("db_errors_total", "alias", "error_type", "operation")

        assert {alias for alias, _, _ in found} == {"default"}
        assert {kind for _, kind, _ in found} == CLASSES
        assert {operation for _, _, operation in found} >= {"select", "transaction", "other"}
        assert zeros("db_connection_errors_total", "alias") == {("default",)}


def test_a_database_that_is_not_listed_has_no_zeros(settings):
    settings.TACHIKOMA_METRICS = {"INSTRUMENT_DATABASES": ["other"]}
    with opened_connection():
        assert zeros("db_errors_total") == set()


# --- connections -------------------------------------------------------------


def opened() -> float:
    return sample_value("db_connections_opened_total") or 0


def refused() -> float:
    return sample_value("db_connection_errors_total") or 0


def test_each_opened_connection_counts():
    if is_pooled() or connection.settings_dict["NAME"].startswith("file:memory"):
        pytest.skip("Connections stay open.")
    connection.close()
    before = opened()
    for _ in range(3):
        connection.ensure_connection()
        connection.ensure_connection()
        connection.close()

    assert opened() - before == 3
    assert refused() == 0


def test_the_connections_of_a_pool_count_when_they_are_opened():
    if not is_pooled():
        pytest.skip("There is no pool.")
    Mission.objects.count()
    time.sleep(0.3)
    Mission.objects.count()
    before = opened()
    for _ in range(5):
        Mission.objects.count()
        connection.close()

    assert opened() == before


def new_connection(**settings: Any) -> Any:
    """Return a connection that Django makes with other settings."""
    made: Any = connections.create_connection("default")
    made.settings_dict = {**made.settings_dict, **settings}
    return made


def test_each_failed_connect_counts_and_is_no_failed_query():
    if is_pooled():
        pytest.skip("The pool has its connections.")
    is_file = connection.vendor == "sqlite"
    made = new_connection(**{"NAME": "/no/such/folder/db"} if is_file else {"PORT": "1"})
    before = errors()
    for _ in range(3):
        with pytest.raises(OperationalError):
            made.ensure_connection()
    with pytest.raises(OperationalError):
        made.cursor()

    assert refused() == 4
    assert errors() == before
    assert made.connection is None


def test_a_connect_that_fails_after_a_success_counts_once():
    if is_pooled() or connection.vendor == "sqlite":
        pytest.skip("No server refuses the connection immediately.")
    made = new_connection()
    made.ensure_connection()
    made.close()
    made.settings_dict["PORT"] = "1"
    with pytest.raises(OperationalError):
        made.ensure_connection()

    assert refused() == 1
    assert errors() == {}


def test_a_failed_connect_of_a_database_that_is_not_listed(settings):
    if is_pooled() or connection.vendor == "sqlite":
        pytest.skip("No server refuses the connection immediately.")
    settings.TACHIKOMA_METRICS = {"INSTRUMENT_DATABASES": ["other"]}
    with pytest.raises(OperationalError):
        new_connection(PORT="1").ensure_connection()

    assert refused() == 0
