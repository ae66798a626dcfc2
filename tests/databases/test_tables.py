"""Tables of one name in several schemas, or databases in MySQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, models

from tests.databases.conftest import Define, Recorded

pytestmark = pytest.mark.django_db(transaction=True)

_DDL = {
    "mysql": ("CREATE DATABASE {}", "DROP DATABASE {}"),
    "postgresql": ("CREATE SCHEMA {}", "DROP SCHEMA {} CASCADE"),
    "sqlite": ("ATTACH DATABASE ':memory:' AS {}", "DETACH DATABASE {}"),
}


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.fixture
def schema() -> Iterator[str]:
    """Create a schema, or its equivalent in the database; return its name."""
    name = f"place_{os.getpid()}"
    create, drop = _DDL[connection.vendor]
    run(create.format(name))
    yield name
    run(drop.format(name))


def within(schema: str, table: str) -> str:
    """Return a qualified name in the form that ``db_table`` takes, for Django to quote."""
    quote = connection.ops.quote_name("x")[0]
    return f"{schema}{quote}.{quote}{table}"


def table_of(define: Define, name: str, db_table: str) -> type[models.Model]:
    """Return a model of one column, and create its table."""
    model = define(name, db_table, id=models.IntegerField(primary_key=True))
    run(f"CREATE TABLE {connection.ops.quote_name(db_table)} (id INTEGER PRIMARY KEY)")
    return model


@pytest.fixture
def orders(define: Define, schema: str) -> Iterator[tuple[Any, Any]]:
    """Return two models whose tables have one name in two schemas."""
    models_ = table_of(define, "Live", "orders"), table_of(define, "Old", within(schema, "orders"))
    yield models_
    run("DROP TABLE orders")


def test_tables_of_one_name_have_different_labels(orders, recorded: Recorded):
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


def test_raw_statements_are_resolved(orders, schema: str, recorded: Recorded):
    _, old = orders
    in_other_case = schema.upper() if connection.vendor == "sqlite" else schema
    with recorded() as counted:
        run("SELECT * FROM orders")
        run(f"SELECT * FROM {schema}.orders")
        run(f"UPDATE {in_other_case}.orders SET id = 1")

    assert counted == {
        ("select", "orders"): 1,
        ("select", old._meta.db_table): 1,
        ("update", old._meta.db_table): 1,
    }


def test_a_table_name_that_is_already_quoted(define: Define, schema: str, recorded: Recorded):
    quote = connection.ops.quote_name("x")[0]
    name = f"{quote}{within(schema, 'letters')}{quote}"
    if connection.vendor != "mysql" and quote != '"':
        pytest.skip("Django quotes the name again.")
    letters: Any = table_of(define, "Letter", name)
    with recorded() as counted:
        assert letters.objects.count() == 0

    assert counted == {("select", name): 1}


def test_a_table_of_no_model_in_another_schema_is_other(schema: str, recorded: Recorded):
    run(f"CREATE TABLE {schema}.auth_group (id INTEGER PRIMARY KEY)")
    with recorded() as counted:
        run(f"SELECT * FROM {schema}.auth_group")
        Group.objects.count()

    assert counted == {("select", "other"): 1, ("select", "auth_group"): 1}


def test_a_table_that_is_found_without_its_schema(define: Define, schema: str, recorded: Recorded):
    name = within(schema, "letters")
    table_of(define, "Letter", name)
    run("CREATE TABLE letters (id INTEGER PRIMARY KEY)")
    with recorded() as counted:
        run("SELECT * FROM letters")
    run("DROP TABLE letters")

    # PostgreSQL searches the schemas of a session; MySQL searches none.
    assert counted == {("select", "other" if connection.vendor == "mysql" else name): 1}


def test_names_that_differ_in_case(define: Define, recorded: Recorded):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite ignores case.")
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


def test_a_model_that_is_defined_later_is_known(define: Define, recorded: Recorded):
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
