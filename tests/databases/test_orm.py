"""The queries of Django's ORM are what is counted; Django's own log of them is the oracle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, connection, connections, transaction
from django.db.models import Count, F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from missions.models import FileChange, Mission, Spec
from tachikoma_metrics import METRICS
from tachikoma_metrics.testing import increase_of, sample_value, samples
from tests.database.sql_oracle import judged
from tests.databases.conftest import Queries, Recorded

pytestmark = pytest.mark.django_db

MISSIONS, SPECS, CHANGES = "missions_mission", "missions_spec", "missions_filechange"
USERS, GROUPS, MEMBERSHIPS = "auth_user", "auth_group", "auth_user_groups"
_OF_THE_DRIVER = frozenset({"BEGIN", "COMMIT", "ROLLBACK"})


@contextmanager
def as_django_logs(recorded: Recorded) -> Iterator[Queries]:
    """Compare the counts of a block with Django's log; transactions by their number."""
    connection.ensure_connection()
    with CaptureQueriesContext(connection) as captured, recorded() as counted:
        yield counted
    statements = [entry["sql"].removesuffix(";") for entry in captured.captured_queries]
    judgements = (judged(sql, connection.vendor) for sql in statements if sql not in _OF_THE_DRIVER)
    logged = Counter((operation, table or "other") for operation, table in judgements)
    counted_as_read = Counter(
        {key: number for key, number in counted.items() if key[0] != "transaction"}
    )
    assert counted_as_read == {key: n for key, n in logged.items() if key[0] != "transaction"}
    savepoints = sum(n for key, n in logged.items() if key[0] == "transaction")
    # Django begins transactions of SQLite with a statement; other drivers do so themselves.
    begun = statements.count("BEGIN") if connection.vendor == "sqlite" else 0
    assert counted["transaction", "other"] == savepoints + begun


def seed() -> Mission:
    mission = Mission.objects.create(name="Ghost")
    Spec.objects.bulk_create([Spec(mission=mission, title=f"Step {n}") for n in range(3)])
    return mission


def test_create_and_bulk_create(recorded: Recorded):
    with as_django_logs(recorded) as counted:
        seed()

    assert counted["insert", MISSIONS] == 1
    assert counted["insert", SPECS] == 1


def test_get_or_create(recorded: Recorded):
    with as_django_logs(recorded) as counted:
        Group.objects.get_or_create(name="pilots")
        Group.objects.get_or_create(name="pilots")

    assert counted["select", GROUPS] == 2
    assert counted["insert", GROUPS] == 1
    assert counted["transaction", "other"] == 2


def test_update_or_create_and_upserts(recorded: Recorded):
    with as_django_logs(recorded) as counted:
        Group.objects.update_or_create(name="pilots")
        Group.objects.bulk_create([Group(name="pilots")], ignore_conflicts=True)

    assert counted["insert", GROUPS] == 2


def test_select_related_and_prefetch_related(recorded: Recorded):
    seed()
    with as_django_logs(recorded) as counted:
        assert len(Spec.objects.select_related("mission")) == 3
        assert [len(mission.specs.all()) for mission in Mission.objects.prefetch_related("specs")]

    assert counted == {("select", SPECS): 2, ("select", MISSIONS): 1}


def test_many_to_many(recorded: Recorded):
    user, group = User.objects.create(username="motoko"), Group.objects.create(name="pilots")
    with as_django_logs(recorded) as counted:
        user.groups.add(group)
        assert list(user.groups.all()) == [group]
        user.groups.clear()

    assert counted["insert", MEMBERSHIPS] == 1
    assert counted["delete", MEMBERSHIPS] == 1
    assert counted["select", GROUPS] == 1


def test_aggregates_and_subqueries(recorded: Recorded):
    seed()
    with as_django_logs(recorded) as counted:
        assert Spec.objects.count() == 3
        assert Mission.objects.annotate(steps=Count("specs")).get().steps == 3
        assert Mission.objects.annotate(n=Count("specs")).aggregate(Count("n")) == {"n__count": 1}
        assert Spec.objects.filter(mission__in=Mission.objects.filter(name="Ghost")).exists()
        assert Spec.objects.values("status").distinct().count() == 1

    assert counted == {("select", SPECS): 3, ("select", MISSIONS): 2}


def test_unions_and_conditions(recorded: Recorded):
    seed()
    with as_django_logs(recorded) as counted:
        specs = Spec.objects.order_by()
        both = specs.filter(status="planned").union(specs.filter(status="done"))
        assert len(both) == 3
        assert not Spec.objects.exclude(title__contains="Step").filter(created_at__year=1999)

    assert counted == {("select", SPECS): 2}


def test_update_and_delete(recorded: Recorded):
    mission = seed()
    with as_django_logs(recorded) as counted:
        Spec.objects.update(status="done", title=F("title"))
        Spec.objects.filter(mission__name="Ghost").delete()
        mission.delete()

    assert counted["update", SPECS] == 1
    assert counted["delete", MISSIONS] == 1
    assert counted["delete", SPECS] + counted["select", SPECS] >= 2


def test_select_for_update(recorded: Recorded):
    seed()
    with as_django_logs(recorded) as counted, transaction.atomic():
        assert len(Spec.objects.select_for_update()) == 3

    assert counted["select", SPECS] == 1


def test_raw_sql(recorded: Recorded):
    seed()
    with as_django_logs(recorded) as counted:
        assert len(list(Spec.objects.raw("SELECT * FROM missions_spec"))) == 3
        with connection.cursor() as cursor:
            cursor.execute("/* why */ SELECT count(*) FROM missions_spec WHERE title <> %s", ["?"])
            cursor.execute("WITH s AS (SELECT * FROM missions_spec) SELECT count(*) FROM s")
            cursor.execute("SELECT 1")

    assert counted["select", SPECS] == 3
    assert counted["select", "other"] == 1


def test_savepoints(recorded: Recorded):
    with as_django_logs(recorded) as counted, transaction.atomic():
        seed()
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            raise ZeroDivisionError

    # Two savepoints begin and end, for the test itself runs in a transaction.
    assert counted["transaction", "other"] >= 4


@pytest.mark.django_db(transaction=True)
def test_transactions(recorded: Recorded):
    with as_django_logs(recorded) as counted, transaction.atomic():
        seed()

    assert counted["insert", SPECS] == 1


def test_executemany_is_one_query(recorded: Recorded):
    with recorded() as counted, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO auth_group (name) VALUES (%s)", [["pilots"], ["drivers"], ["cooks"]]
        )

    assert counted == {("insert", GROUPS): 1}
    assert Group.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_server_side_cursors(recorded: Recorded):
    seed()
    with recorded() as counted:
        assert len(list(Spec.objects.iterator(chunk_size=1))) == 3

    assert counted["select", SPECS] == 1


@pytest.mark.django_db(transaction=True)
async def test_async_calls(recorded: Recorded):
    with recorded() as counted:
        mission = await Mission.objects.acreate(name="Ghost")
        await Spec.objects.abulk_create([Spec(mission=mission, title="Step")])
        assert [spec.title async for spec in Spec.objects.all()] == ["Step"]
        assert await mission.specs.acount() == 1
        await sync_to_async(connections.close_all)()

    assert counted["insert", MISSIONS] == 1
    assert counted["insert", SPECS] == 1
    assert counted["select", SPECS] == 2


@pytest.mark.django_db(transaction=True)
def test_a_query_that_fails_is_counted_and_raises(recorded: Recorded):
    connection.ensure_connection()
    with recorded() as counted, connection.cursor() as cursor, pytest.raises(DatabaseError) as info:
        cursor.execute("SELECT nothing FROM missions_spec WHERE %s", [1])

    assert counted == {("select", SPECS): 1}
    assert info.value.__cause__ is not None


def test_wrappers_receive_the_arguments_of_the_caller():
    given: list[tuple[object, ...]] = []

    def look(execute: Callable[..., object], *arguments: object) -> object:
        given.append(arguments)
        return execute(*arguments)

    sql, params = "SELECT %s", ["x"]
    with connection.execute_wrapper(look), connection.cursor() as cursor:
        cursor.execute(sql, params)

    assert given[0][0] is sql
    assert given[0][1] is params


def test_each_query_has_a_duration():
    with increase_of("db_query_duration_seconds_count", operation="select") as queries:
        Spec.objects.count()
        Mission.objects.count()

    assert queries.amount == 2


def test_the_queries_of_a_request_are_recorded(client: Client, settings):
    settings.TACHIKOMA_METRICS = {
        "EXTRA_METRICS": ["http_request_db_queries", "http_request_db_seconds"]
    }
    seed()
    client.get("/api/v1/missions/")
    client.get("/hello/")

    labels = {"method": "GET", "path": "/api/v1/missions/"}
    assert sample_value("http_request_db_queries_sum", **labels) == 1
    assert sample_value("http_request_db_queries_count", **labels) == 1
    assert (sample_value("http_request_db_seconds_sum", **labels) or 0) > 0
    assert sample_value("http_request_db_queries_sum", method="GET", path="/hello/") == 0
    assert METRICS.http_request_db_queries.series == 2
    assert FileChange.objects.count() == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"ENABLED": False},
        {"INSTRUMENT_DATABASES": False},
        {"DISABLED_METRICS": ["db_queries_total"]},
        {"LABELS": {"db_queries_total": ["operation"]}},
        {"EXTRA_METRICS": ["db_rows_total"]},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_statement_that_was_made_before_follows_changed_settings(
    changed: dict[str, object], settings: Any
):
    def counted() -> float:
        values = {key: value for key, value in samples().items() if key[0] == "db_queries_total"}
        return sum(values.values())

    def change() -> float:
        before = counted()
        Group.objects.filter(name="a").update(name="b")
        return counted() - before

    assert change() == 1
    settings.TACHIKOMA_METRICS = changed
    under_others = change()
    settings.TACHIKOMA_METRICS = {}

    assert under_others == len({"LABELS", "EXTRA_METRICS"} & changed.keys())
    assert change() == 1
