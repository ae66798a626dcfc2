"""What a statement does and to which table; sqlglot, which parses SQL, is the oracle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachikoma_metrics.statements import Statement, read
from tests.sql_oracle import judged

ORM_SELECT = (
    'SELECT "missions_spec"."id", "missions_spec"."title" AS "t" FROM "missions_spec" LIMIT 3'
)


@pytest.mark.parametrize(
    ("text", "operation", "table"),
    [
        (ORM_SELECT, "select", "missions_spec"),
        (ORM_SELECT.replace('"', "`"), "select", "missions_spec"),
        ('SELECT DISTINCT "a"."b" FROM "a"', "select", "a"),
        ('SELECT "a"."b" FROM "s"."a"', "select", "a"),
        ("select 1", "select", ""),
        ("  \n select x from t;", "select", "T"),
        ("SELECT COUNT(*) FROM (SELECT x FROM inner_t) subquery", "select", "INNER_T"),
        ("SELECT (SELECT x FROM y), a FROM z", "select", "Z"),
        ("SELECT EXTRACT(YEAR FROM d) FROM t", "select", "T"),
        ("SELECT a IS NOT DISTINCT FROM b FROM t", "select", "T"),
        ("SELECT ' FROM x ', \" FROM y \" FROM t", "select", "T"),
        ("SELECT $$ FROM x $$, $a$ FROM y $a$, $1 FROM t", "select", "T"),
        ("SELECT %(from)s FROM t", "select", "T"),
        ("-- FROM x\n/* FROM y */ SELECT 1 /* FROM z */ FROM t", "select", "T"),
        ("SELECT * FROM ONLY t", "select", "T"),
        ("SELECT * FROM ((t JOIN u ON TRUE))", "select", "T"),
        ("SELECT * FROM LATERAL (SELECT * FROM t) x", "select", "T"),
        ("(SELECT * FROM t) UNION (SELECT * FROM u)", "select", "T"),
        ("SELECT 1 UNION SELECT x FROM t", "select", "T"),
        ("SELECT * FROM db.schema.t AS x", "select", "T"),
        ('SELECT * FROM "db"."sch""ema"."ta""ble"', "select", 'ta"ble'),
        ("SELECT * FROM [dbo].[t]", "select", "t"),
        ("SELECT * FROM (VALUES (1)) v", "select", "VALUES"),
        ("WITH c AS (SELECT * FROM t) SELECT * FROM c", "select", "T"),
        ("WITH RECURSIVE c(n) AS (SELECT 1 FROM t UNION SELECT 2 FROM c) SELECT * FROM c",
         "select", "T"),
        ("WITH c AS NOT MATERIALIZED (SELECT 1), d AS (SELECT * FROM t) (SELECT * FROM d)",
         "select", "T"),
        ("WITH c AS (INSERT INTO t VALUES (1) RETURNING *) UPDATE u SET x = 1 FROM c",
         "update", "U"),
        ("INSERT INTO t (a) SELECT b FROM u RETURNING a", "insert", "T"),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 2", "insert", "T"),
        ("INSERT OR IGNORE INTO t VALUES (1)", "insert", "T"),
        ("INSERT IGNORE t VALUES (1)", "insert", "T"),
        ("REPLACE INTO t VALUES (1)", "insert", "T"),
        ("UPDATE ONLY t SET a = (SELECT b FROM u)", "update", "T"),
        ("UPDATE OR REPLACE t SET a = 1", "update", "T"),
        ("DELETE FROM t USING u", "delete", "T"),
        ("DELETE `t` FROM `t` INNER JOIN `u`", "delete", "t"),
        ("DELETE s FROM t AS s JOIN u", "delete", "T"),
        ("DELETE t WHERE a IN (SELECT b FROM u)", "delete", "T"),
        ("SET SESSION TRANSACTION READ ONLY", "transaction", ""),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "transaction", ""),
        ("MERGE INTO t USING u ON TRUE", "other", "T"),
        ('SAVEPOINT "s1"', "transaction", ""),
        ("ROLLBACK TO SAVEPOINT s1", "transaction", ""),
        ("RELEASE SAVEPOINT s1", "transaction", ""),
        ("BEGIN", "transaction", ""),
        ("BEGIN IMMEDIATE", "transaction", ""),
        ("BEGIN; SELECT 1", "transaction", ""),
        ("BEGIN :x := 1; END;", "other", ""),
        ("START TRANSACTION", "transaction", ""),
        ("START REPLICA", "other", ""),
        ("SET TRANSACTION READ ONLY", "transaction", ""),
        ("SET search_path TO x", "other", ""),
        ("CREATE TEMPORARY TABLE IF NOT EXISTS t (a int)", "ddl", "T"),
        ("CREATE UNIQUE INDEX CONCURRENTLY i ON ONLY t (a)", "ddl", "T"),
        ("ALTER TABLE IF EXISTS t ADD COLUMN a int", "ddl", "T"),
        ("DROP TABLE t", "ddl", "T"),
        ("DROP INDEX i", "ddl", ""),
        ("TRUNCATE TABLE t, u", "ddl", "T"),
        ("COMMENT ON TABLE t IS 'x'", "ddl", "T"),
        ("CREATE EXTENSION hstore", "ddl", ""),
        ("PRAGMA foreign_keys", "other", ""),
        ("EXPLAIN SELECT * FROM t", "other", ""),
        ("SELECT 1; DROP TABLE t", "select", ""),
        ("", "other", ""),
        ("???", "other", ""),
    ],
)  # fmt: skip
def test_statements(text: str, operation: str, table: str):
    assert read(text) == Statement(operation, table)


NAMES = st.sampled_from(["t", "spec", "missions_mission", "Über", "a b", 'q"q', "from", "select"])
QUOTED = NAMES.map(lambda name: '"{}"'.format(name.replace('"', '""')))
TABLES = QUOTED | QUOTED.map('"public".{}'.format) | st.sampled_from(["t", "Spec", "public.spec"])
COLUMNS = QUOTED.map('"t".{}'.format) | st.sampled_from(
    ["1", "'it''s FROM x'", "count(*)", "extract(year FROM d)", "(SELECT max(x) FROM u)", "%s"]
)
COMMENTS = st.sampled_from([" ", "\n", " /* FROM x */ ", " -- FROM y\n"])


@st.composite
def selects(draw: st.DrawFn, depth: int = 2) -> str:
    columns = ", ".join(draw(st.lists(COLUMNS, min_size=1, max_size=4)))
    source = draw(TABLES)
    if depth and draw(st.booleans()):
        source = f"({draw(selects(depth - 1))}) AS sub"
    parts = ["SELECT", draw(st.sampled_from(["", "DISTINCT"])), columns, "FROM", source]
    return draw(COMMENTS).join(filter(None, parts)) + draw(
        st.sampled_from(["", " WHERE a IN (SELECT b FROM c)", " ORDER BY 1 LIMIT 3", " GROUP BY 1"])
    )


@st.composite
def statements(draw: st.DrawFn) -> str:
    table, select = draw(TABLES), draw(selects())
    text: str = draw(
        st.sampled_from(
            [
                select,
                f"{select} UNION ALL {draw(selects())}",
                f"WITH c AS ({select}) SELECT * FROM c",
                f"WITH c AS ({select}), d AS (SELECT * FROM c) SELECT * FROM d",
                f"INSERT INTO {table} (a, b) {select}",
                f"INSERT INTO {table} (a) VALUES (%s) ON CONFLICT DO NOTHING RETURNING a",
                f"UPDATE {table} SET a = ({select}) WHERE b = 1",
                f"DELETE FROM {table} WHERE a IN ({select})",
                f"CREATE TABLE IF NOT EXISTS {table} (a INT)",
                f"CREATE TABLE {table} AS {select}",
                f"ALTER TABLE {table} ADD COLUMN a INT",
                f"DROP TABLE IF EXISTS {table}",
                f"SAVEPOINT {draw(QUOTED)}",
            ]
        )
    )
    return text.replace("%s", "?") if draw(st.booleans()) else text


@given(statements())
def test_sqlglot_agrees(text: str):
    found = read(text)

    assert (found.operation, found.table.lower()) == judged(text.replace("%s", "?"), "postgres")


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            [
                "SELECT",
                "FROM",
                "WITH",
                "AS",
                "(",
                ")",
                "'",
                '"',
                "`",
                "[",
                ";",
                ",",
                ".",
                "$a$",
                "--",
                "/*",
                "t",
            ]
        )
    ).map(" ".join)
)
def test_nothing_that_is_no_sql_raises(text: str):
    assert read(text).operation in {
        "select", "insert", "update", "delete", "transaction", "ddl", "other",
    }  # fmt: skip


LONG = 200_000


@pytest.mark.parametrize(
    "text",
    [
        "(" * LONG,
        "SELECT " + "(" * LONG + " FROM t",
        "SELECT " + "x, " * (LONG // 3) + "y FROM t",
        "SELECT * FROM t WHERE a IN (" + "%s, " * (LONG // 4) + "%s)",
        "'" * LONG,
        '"' * LONG,
        "/*" * (LONG // 2),
        "--" * (LONG // 2),
        "$a$" * (LONG // 3),
        "$" * LONG,
        "".join(f"$t{n}$" for n in range(LONG // 8)),
        "\0" * LONG,
        "SELECT * FROM " + "(SELECT * FROM " * (LONG // 15),
        "WITH a AS (" * (LONG // 11),
        "SELECT " + '"a"."b", ' * (LONG // 9) + " FROM",
        "a." * (LONG // 2),
        "SELECT * FROM " + "a." * (LONG // 2),
        "%(" * (LONG // 2),
    ],
    ids=lambda text: text[:20].strip(),
)
def test_long_ones_are_read_once(text: str):
    """Were one of them read many times over, the tests would not end."""
    assert read(text).table in ("", "T", "A")
