"""Tables of one name in several places, on databases that have such places."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, models

from tests.databases.conftest import Define, Recorded

pytestmark = pytest.mark.django_db(transaction=True)

_MAKE = {
    "mysql": ("CREATE DATABASE {}", "DROP DATABASE {}"),
    "postgresql": ("CREATE SCHEMA {}", "DROP SCHEMA {} CASCADE"),
    "sqlite": ("ATTACH DATABASE ':memory:' AS {}", "DETACH DATABASE {}"),
}


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.fixture
def place() -> Iterator[str]:
    """Make a schema, or what the database has instead; return its name."""
    name = f"place_{os.getpid()}"
    make, drop = _MAKE[connection.vendor]
    run(make.format(name))
    yield name
    run(drop.format(name))


def within(place: str, table: str) -> str:
    """Return a name as people write it into ``db_table``, for Django to quote."""
    quote = connection.ops.quote_name("x")[0]
    return f"{place}{quote}.{quote}{table}"


def table_of(define: Define, name: str, db_table: str) -> type[models.Model]:
    """Return a model of one column, whose table is there."""
    model = define(name, db_table, id=models.IntegerField(primary_key=True))
    run(f"CREATE TABLE {connection.ops.quote_name(db_table)} (id INTEGER PRIMARY KEY)")
    return model


@pytest.fixture
def orders(define: Define, place: str) -> Iterator[tuple[Any, Any]]:
    """Return two models whose tables have one name in two places."""
    models_ = table_of(define, "Live", "orders"), table_of(define, "Old", within(place, "orders"))
    yield models_
    run("DROP TABLE orders")


def test_tables_of_one_name_are_told_apart(orders, recorded: Recorded):
    live, old = orders
    with recorded() as counted:
        live.objects.create(id=1)
        live.objects.create(id=2)
        old.objects.create(id=1)
        assert old.objects.count() == 1

    assert counted == {
        ("insert", "orders"): 2,
        ("insert", old._meta.db_table): 1,
        ("select", old._meta.db_table): 1,
    }


def test_statements_that_are_written_by_hand(orders, place: str, recorded: Recorded):
    _, old = orders
    with recorded() as counted:
        run("SELECT * FROM orders")
        run(f"SELECT * FROM {place}.orders")
        run(f"UPDATE {place.upper() if connection.vendor == 'sqlite' else place}.orders SET id = 1")

    assert counted == {
        ("select", "orders"): 1,
        ("select", old._meta.db_table): 1,
        ("update", old._meta.db_table): 1,
    }


def test_a_name_with_its_quotes(define: Define, place: str, recorded: Recorded):
    quote = connection.ops.quote_name("x")[0]
    name = f"{quote}{within(place, 'letters')}{quote}"
    if connection.vendor != "mysql" and quote != '"':
        pytest.skip("Django quotes once more.")
    letters: Any = table_of(define, "Letter", name)
    with recorded() as counted:
        assert letters.objects.count() == 0

    assert counted == {("select", name): 1}


def test_a_table_elsewhere_that_no_model_has_is_other(place: str, recorded: Recorded):
    run(f"CREATE TABLE {place}.auth_group (id INTEGER PRIMARY KEY)")
    with recorded() as counted:
        run(f"SELECT * FROM {place}.auth_group")
        Group.objects.count()

    assert counted == {("select", "other"): 1, ("select", "auth_group"): 1}


def test_a_table_that_is_found_without_its_schema(define: Define, place: str, recorded: Recorded):
    name = within(place, "letters")
    table_of(define, "Letter", name)
    run("CREATE TABLE letters (id INTEGER PRIMARY KEY)")
    with recorded() as counted:
        run("SELECT * FROM letters")
    run("DROP TABLE letters")

    # The schemas that are searched are PostgreSQL's to know; MySQL searches none.
    assert counted == {("select", "other" if connection.vendor == "mysql" else name): 1}


def test_names_that_differ_in_case(define: Define, recorded: Recorded):
    if connection.vendor == "sqlite":
        pytest.skip("To SQLite they are one.")
    upper: Any = table_of(define, "Upper", "Depot")
    lower: Any = table_of(define, "Lower", "depot")
    quoted = connection.ops.quote_name("Depot")
    with recorded() as counted:
        assert upper.objects.count() + upper.objects.count() == 0
        assert lower.objects.count() == 0
    run(f"DROP TABLE {quoted}")
    run("DROP TABLE depot")

    assert counted == {("select", "Depot"): 2, ("select", "depot"): 1}


def test_two_models_of_one_table(define: Define, recorded: Recorded):
    connection.ensure_connection()
    again: Any = define("Again", "auth_group", id=models.IntegerField(primary_key=True))
    with recorded() as counted:
        assert again.objects.count() == Group.objects.count() == 0

    assert counted == {("select", "auth_group"): 2}


def test_a_model_that_comes_later_is_known(define: Define, recorded: Recorded):
    run("CREATE TABLE letters (id INTEGER PRIMARY KEY)")
    with recorded() as before:
        run("SELECT id FROM letters")
    define("Letter", "letters", id=models.IntegerField(primary_key=True))
    with recorded() as counted:
        run("SELECT 1 FROM letters")
        run("SELECT id FROM letters")
    run("DROP TABLE letters")

    assert before == {("select", "other"): 1}
    assert counted == {("select", "letters"): 2}
