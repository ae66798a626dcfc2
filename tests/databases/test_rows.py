"""Rows that statements changed, by table; the rows that the app wrote are the ledger."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import Error, connection, connections, transaction

from missions.models import FileChange, Mission, Spec
from tachikoma_metrics.testing import sample_value, samples

pytestmark = pytest.mark.django_db(transaction=True)

MISSIONS, SPECS = "missions_mission", "missions_spec"


@pytest.fixture(autouse=True)
def _switched_on(settings: Any) -> None:
    settings.TACHIKOMA_METRICS = {"EXTRA_METRICS": ["db_rows_total"]}
    connection.ensure_connection()


def rows() -> Counter[tuple[str, str]]:
    # sqlite3 reports the rows of an INSERT with RETURNING only after they were fetched.
    Mission.objects.count()
    found: Counter[tuple[str, str]] = Counter()
    for (name, labels), value in samples().items():
        if name == "db_rows_total":
            values = dict(labels)
            found[values["operation"], values["table"]] += int(value)
    return found


def test_rows_that_the_orm_writes_one_by_one_and_in_bulk():
    mission = Mission.objects.create(name="Ghost")
    specs = Spec.objects.bulk_create([Spec(mission=mission, title=str(n)) for n in range(30)])
    Spec.objects.filter(pk__in=[spec.pk for spec in specs[:7]]).update(title="changed")
    specs[0].title = "again"
    specs[0].save()
    Spec.objects.bulk_update(specs[:3], ["title"])
    Spec.objects.filter(pk__in=[spec.pk for spec in specs[20:]]).delete()

    assert rows() == {
        ("insert", MISSIONS): 1,
        ("insert", SPECS): 30,
        ("update", SPECS): 7 + 1 + 3,
        ("delete", SPECS): 10,
    }


def test_statements_that_change_nothing_or_fail():
    mission = Mission.objects.create(name="Ghost")
    Mission.objects.filter(name="nothing").update(name="x")
    Mission.objects.filter(name="nothing").delete()
    with pytest.raises(Error), transaction.atomic():
        Mission.objects.create(pk=mission.pk, name="Again")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE missions_mission SET name = 'x'")
        with pytest.raises(Error):
            cursor.execute("UPDATE missions_mission SET no_such_column = 'x'")
    assert list(Mission.objects.values_list("name", flat=True)) == ["x"]

    assert rows() == {("insert", MISSIONS): 1, ("update", MISSIONS): 1}
    assert sample_value("tachikoma_metrics_errors_total", source="database") is None


def test_statements_of_the_app_and_executemany():
    sql = (
        "INSERT INTO missions_mission (id, name, created_at) VALUES (%s, %s, '2026-01-01 00:00:00')"
    )
    with connection.cursor() as cursor:
        cursor.executemany(sql, [[f"{n:032x}", "x"] for n in range(5)])
        cursor.execute("SELECT name FROM missions_mission")
        assert len(cursor.fetchall()) == 5

    assert rows() == {("insert", MISSIONS): 5}


def test_a_cursor_that_is_used_again():
    Mission.objects.bulk_create([Mission(name=str(n)) for n in range(3)])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE missions_mission SET name = 'x'")
        cursor.execute("DELETE FROM missions_mission WHERE name = 'nothing'")
        cursor.execute("UPDATE missions_mission SET name = 'y'")

    assert rows() == {("insert", MISSIONS): 3, ("update", MISSIONS): 6}


async def test_async_calls():
    mission = await Mission.objects.acreate(name="Ghost")
    await Spec.objects.abulk_create([Spec(mission=mission, title=str(n)) for n in range(4)])
    await Spec.objects.all().aupdate(title="x")
    found = await sync_to_async(rows)()
    await sync_to_async(connections.close_all)()

    assert found == {("insert", MISSIONS): 1, ("insert", SPECS): 4, ("update", SPECS): 4}


def test_nothing_counts_when_it_is_off(settings: Any):
    settings.TACHIKOMA_METRICS = {}
    Mission.objects.create(name="Ghost")
    assert FileChange.objects.count() == 0

    assert rows() == {}
