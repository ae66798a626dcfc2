"""The label values of statements, as far as no server is needed to resolve their names."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.db import connection, connections
from django.db.models import Count, QuerySet

from tachikoma_metrics.database.sql import DIALECTS, STANDARD, parse
from tachikoma_metrics.database.statements import labels_of
from tachikoma_metrics.database.tables import ModelTables, SearchPath


def brackets(name: str) -> str:
    return name if name.startswith("[") and name.endswith("]") else f"[{name}]"


def capitals(name: str) -> str:
    return f'"{name.upper()}"'


def double(name: str) -> str:
    return name if name.startswith('"') and name.endswith('"') else f'"{name}"'


def label(
    text: str, tables: list[str], vendor: str, quote: Callable[[str], str], search_path: SearchPath
) -> str:
    dialect = DIALECTS.get(vendor, STANDARD)
    return ModelTables(tables, quote, dialect).label(parse(text, dialect), search_path)


SQL_SERVER = SearchPath("shop", ("dbo",))


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("SELECT [a].[b] FROM [live].[orders]", "live].[orders"),
        ("UPDATE LIVE.Orders SET a = 1", "live].[orders"),
        ("DELETE FROM [orders]", "orders"),
        ("DELETE FROM [dbo].[orders]", "orders"),
        ("DELETE FROM [shop]..[orders]", "orders"),
        ("DELETE FROM [other]..[orders]", "other"),
        ("DELETE FROM [other].[dbo].[orders]", "other"),
        ("SELECT * FROM archive.orders", "other"),
        ("SELECT * FROM [old].[letters]", "[old].[letters]"),
        ("SELECT * FROM sys.tables", "other"),
    ],
)
def test_tables_of_sql_server(text: str, table: str):
    tables = ["orders", "live].[orders", "[old].[letters]", "tables"]
    assert label(text, tables, "microsoft", brackets, SQL_SERVER) == table


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ('SELECT "A"."B" FROM "ORDERS"', "orders"),
        ("select * from orders", "orders"),
        ('SELECT * FROM "orders"', "other"),
        ("SELECT * FROM shop.orders", "orders"),
        ("SELECT * FROM live.orders", 'live"."orders'),
        ("SELECT * FROM other.orders", "other"),
    ],
)
def test_tables_of_oracle(text: str, table: str):
    search_path = SearchPath("db", ("SHOP",))
    assert label(text, ["orders", 'live"."orders'], "oracle", capitals, search_path) == table


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("SELECT * FROM orders", 'archive"."orders'),
        ("SELECT * FROM live.orders", 'live"."orders'),
        ("SELECT * FROM public.letters", "letters"),
        ("SELECT * FROM archive.letters", "letters"),
        ("SELECT * FROM live.letters", "other"),
        ('SELECT * FROM "Letters"', "other"),
        ("SELECT * FROM pg_catalog.letters", "other"),
    ],
)
def test_the_search_path_of_postgresql(text: str, table: str):
    tables = ["letters", 'live"."orders', 'archive"."orders']
    search_path = SearchPath("shop", ("archive", "public"))
    assert label(text, tables, "postgresql", double, search_path) == table


def test_the_schemas_of_an_unknown_database_are_unknown():
    tables = ["letters", 'live"."orders']
    found = [
        label(f"SELECT * FROM {name}", tables, "", double, SearchPath("", ()))
        for name in ("some.letters", "live.letters", "information_schema.letters", "ORDERS")
    ]
    assert found == ["letters", "other", "other", 'live"."orders']


def test_of_several_matching_tables_it_is_always_the_same():
    tables = ['b"."orders', 'a"."orders', 'a"."Orders']
    found = {
        label("SELECT * FROM orders", list(order), "", double, SearchPath("", ()))
        for order in itertools.permutations(tables)
    }
    assert found == {'a"."Orders'}


def test_what_is_no_name_is_no_table():
    assert (
        label('SELECT * FROM "a"', ['a" b "c'], "postgresql", double, SearchPath("", ())) == "other"
    )


@pytest.mark.django_db
def test_the_cache_of_statements_is_limited_to_some_megabytes():
    labels = labels_of(connection)
    texts = [f"SELECT {number}, '{'x' * 9_000}' FROM auth_group" for number in range(1_000)]
    for text in texts:
        assert labels.find(text, connection).values == ("select", "auth_group", "default")

    assert 0 < sum(map(sys.getsizeof, (*labels.by_beginning, *labels.by_text))) <= 4 * 2**20


@pytest.mark.django_db
def test_a_very_long_statement_is_not_cached():
    labels = labels_of(connection)
    text = f"SELECT * FROM auth_group WHERE id IN ({'1, ' * 100_000}1)"

    assert labels.find(text, connection).values == ("select", "auth_group", "default")
    assert text not in labels.by_text


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query",
    [
        lambda number: Group.objects.filter(pk__in=range(number)),
        lambda number: Group.objects.order_by("name")[number : 2 * number],
        lambda number: Group.objects.filter(pk__in=range(number)).annotate(users=Count("user")),
        lambda number: Group.objects.filter(pk__in=range(number), user__isnull=True).distinct(),
    ],
    ids=["list", "part", "aggregate", "join"],
)
def test_texts_that_differ_after_the_table_only_are_cached_once(
    query: Callable[[int], QuerySet[Group]],
):
    labels = labels_of(connection)
    labels.clear()
    for number in (10, 20, 30):
        text = str(query(number).query)
        assert labels.find(text, connection).values == ("select", "auth_group", "default")

    assert (len(labels.by_beginning), len(labels.by_text)) == (1, 0)


@pytest.mark.django_db
def test_texts_that_begin_alike_may_be_about_different_tables():
    labels = labels_of(connection)
    for text, table in [
        ("SELECT 'F WHERE a ' FROM auth_group", "auth_group"),
        ("SELECT 'F WHERE a b' FROM auth_user", "auth_user"),
    ]:
        assert labels.find(text, connection).values == ("select", table, "default")


@pytest.mark.django_db
def test_connections_to_one_database_share_the_cache():
    assert labels_of(connection.copy()) is labels_of(connections["default"])
