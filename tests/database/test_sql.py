"""The SQL parser, compared with sqlglot."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachikoma_metrics.database.sql import DIALECTS, STANDARD, parse, parse_beginning
from tests.database.sql_oracle import judged


def parsed(text: str, vendor: str = "") -> tuple[str, str]:
    """Return the operation and the table of a statement."""
    statement = parse(text, DIALECTS.get(vendor, STANDARD))
    return statement.operation, statement.table


ORM_SELECT = (
    'SELECT "missions_spec"."id", "missions_spec"."title" AS "t" FROM "missions_spec" LIMIT 3'
)


@pytest.mark.parametrize(
    ("text", "operation", "table"),
    [
        (ORM_SELECT, "select", "missions_spec"),
        (ORM_SELECT.replace('"', "`"), "select", "missions_spec"),
        ('SELECT COUNT(*) AS "__count" FROM "spec" WHERE "spec"."a" = %s', "select", "spec"),
        ('SELECT "a"."b", MAX("a"."c") AS "m", "a"."d" FROM "a" GROUP BY 1', "select", "a"),
        ('SELECT EXTRACT("a" FROM "b") AS "c" FROM "a"', "select", "a"),
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
        ("SELECT * FROM (VALUES (1)) v", "select", ""),
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
    assert parsed(text) == (operation, table)


@pytest.mark.parametrize(
    ("text", "operation", "table"),
    [
        (r"SELECT E'\' FROM x', 'a\', b FROM t", "select", "t"),
        ("SELECT e'a''b FROM x\\' FROM y' FROM t", "select", "t"),
        ("SELECT 1 /* a /* FROM x */ FROM y */ FROM t", "select", "t"),
        ("/* a /* b */ c */ SELECT 1 FROM t", "select", "t"),
        ("SELECT 1 -- FROM x\r FROM t", "select", "t"),
        ("SELECT $$ ' FROM x $$, a$b$c, $q$ $$ FROM y $q$ FROM t", "select", "t"),
        ('SELECT U&"d\\0061t FROM x" FROM U&"t"', "select", "t"),
        ("SELECT 1 # 2 FROM t", "select", "t"),
        ("SELECT tags[array_upper(tags[1:2], 1)], ARRAY['a]'] FROM t", "select", "t"),
        ("SELECT a->>'from', b - -1, c / 2 FROM T", "select", "t"),
        ("SELECT 1 AS from, u.from FROM t", "select", "t"),
        ("SELECT a IS DISTINCT FROM b FROM t", "select", "t"),
        ("SELECT EXISTS (SELECT 1 FROM t)", "select", "t"),
        ("SELECT coalesce((SELECT max(a) FROM t), 0)", "select", "t"),
        ("SELECT * FROM t('x')", "select", ""),
        ("SELECT * FROM generate_series(1, 3) JOIN t ON true", "select", ""),
        ("SELECT * FROM (VALUES (1)) t", "select", ""),
        ("TABLE t", "select", "t"),
        ("TABLE ONLY t", "select", "t"),
        ("SELECT * FROM (TABLE t) s", "select", "t"),
        ("SELECT count(*) FROM (WITH c AS (SELECT * FROM t) SELECT * FROM c) s", "select", "t"),
        ("WITH t AS (SELECT * FROM u) INSERT INTO t SELECT * FROM t", "insert", "t"),
        ("WITH t AS (SELECT * FROM u) UPDATE t SET a = 1", "update", "t"),
        ("WITH t AS (SELECT * FROM u) DELETE FROM t", "delete", "t"),
        ("WITH t AS (SELECT * FROM u) SELECT * FROM s.t", "select", "t"),
        ('WITH "T" AS (SELECT * FROM u) SELECT * FROM t', "select", "t"),
        ('WITH "T" AS (SELECT * FROM u) SELECT * FROM "T"', "select", "u"),
        ("WITH c AS MATERIALIZED (DELETE FROM t RETURNING *) SELECT * FROM c", "select", "t"),
        ("WITH c AS (VALUES (1)) UPDATE t SET a = 1 FROM c", "update", "t"),
        ("WITH RECURSIVE c(n) AS (SELECT 1 FROM t UNION SELECT n FROM c)"
         " SEARCH BREADTH FIRST BY n, m SET o SELECT * FROM c", "select", "t"),
        ("WITH RECURSIVE c(n) AS (SELECT 1 FROM t UNION SELECT n FROM c)"
         " CYCLE n SET x TO 'y' DEFAULT 'n' USING path, d AS (SELECT * FROM c) SELECT * FROM d",
         "select", "t"),
        ("WITH RECURSIVE t AS (SELECT 1 UNION SELECT n FROM t) SELECT * FROM t", "select", ""),
        ("WITH t AS (SELECT * FROM t) SELECT * FROM t", "select", "t"),
        ("WITH c AS (WITH d AS (SELECT * FROM t) TABLE d) SELECT * FROM ONLY (c)", "select", "t"),
        ("SELECT/**/a/**/FROM/**/t", "select", "t"),
        ("UPDATE ONLY t SET a = 1 FROM u", "update", "t"),
        ("DELETE FROM ONLY t USING u", "delete", "t"),
        ("MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE", "other", "t"),
    ],
)  # fmt: skip
def test_statements_of_postgresql(text: str, operation: str, table: str):
    assert parsed(text, "postgresql") == (operation, table)


@pytest.mark.parametrize(
    ("text", "operation", "table"),
    [
        (r"SELECT 'it\'s FROM x', '\\' FROM t", "select", "t"),
        (r"SELECT REPLACE(a, '\'', ''), 'a''b' FROM t", "select", "t"),
        (r'SELECT "it\"s FROM x" FROM t', "select", "t"),
        ('SELECT "a"."b" FROM "t"', "select", "t"),
        ("SELECT 1 # FROM x\n FROM t", "select", "t"),
        ("# FROM x\nSELECT 1 FROM t", "select", "t"),
        ("SELECT 5--1 FROM t", "select", "t"),
        ("SELECT 5 -- 1 FROM x\n FROM t", "select", "t"),
        ("SELECT 5 --\n FROM t", "select", "t"),
        ("SELECT 1 /* a /* FROM x */ FROM t", "select", "t"),
        ("SELECT /*!40001 SQL_NO_CACHE */ a FROM t", "select", "t"),
        ("SELECT a /*! FROM t */", "select", "t"),
        ("SELECT /*M!100100 1, */ a FROM t", "select", "t"),
        ("SELECT @from, t.from FROM T", "select", "T"),
        ("SELECT * FROM `d`.`t``t`", "select", "t`t"),
        ("TABLE t ORDER BY a", "select", "t"),
        ("SELECT EXISTS (SELECT 1 FROM t)", "select", "t"),
        ("INSERT LOW_PRIORITY IGNORE INTO t SET a = 1", "insert", "t"),
        ("REPLACE DELAYED t VALUES (1)", "insert", "t"),
        ("UPDATE LOW_PRIORITY IGNORE t SET a = 1", "update", "t"),
        ("UPDATE u JOIN t ON (t.a = u.a) SET t.b = 1", "update", "t"),
        ("UPDATE u AS x LEFT JOIN t AS y USING (a), v SET y.b = 1", "update", "t"),
        ("UPDATE (SELECT a FROM u) x JOIN t y ON x.a = y.a SET y.b = 1", "update", "t"),
        ("UPDATE (SELECT a FROM u) x JOIN t ON x.a = t.a SET b = 1", "update", "t"),
        ("UPDATE t, d.t x SET d.t.a = 1", "update", "t"),
        ("WITH c AS (SELECT * FROM u) UPDATE c JOIN t ON t.a = c.a SET b = 1", "update", "t"),
        ("WITH t AS (SELECT * FROM t) SELECT * FROM t", "select", "t"),
        ("DELETE QUICK FROM t WHERE a IN (SELECT a FROM u)", "delete", "t"),
        ("DELETE FROM t AS x WHERE x.a = 1", "delete", "t"),
        ("DELETE FROM x USING t AS x JOIN u ON u.a = x.a", "delete", "t"),
        ("DELETE FROM x, y USING t x, u y", "delete", "t"),
        ("DELETE x FROM u JOIN t AS x", "delete", "t"),
        ("DELETE x.*, u.* FROM t x, u", "delete", "t"),
        ("DELETE t FROM u JOIN t", "delete", "t"),
    ],
)  # fmt: skip
def test_statements_of_mysql(text: str, operation: str, table: str):
    assert parsed(text, "mysql") == (operation, table)


@pytest.mark.parametrize(
    ("text", "operation", "table"),
    [
        ("SET NOCOUNT ON INSERT INTO [t] ([a]) VALUES (?); SELECT SCOPE_IDENTITY()",
         "insert", "t"),
        ("SET NOCOUNT OFF; UPDATE [t] SET [a] = ?", "update", "t"),
        ("SET NOCOUNT OFF; DELETE FROM [t]", "delete", "t"),
        ("SET IDENTITY_INSERT [t] ON; SET NOCOUNT ON INSERT INTO [t] VALUES (?);"
         " SET IDENTITY_INSERT [t] OFF", "insert", "t"),
        ("SET NOCOUNT ON; IF OBJECT_ID('tempdb..#x') IS NOT NULL DROP TABLE #x;"
         " SELECT TOP 0 [a] INTO #x FROM [u]; INSERT INTO [t] OUTPUT INSERTED.[a] INTO #x"
         " VALUES (?); SELECT [a] FROM #x; DROP TABLE #x", "insert", "t"),
        ("DECLARE @v INT = (SELECT 1), @w TABLE (a INT) SELECT @v FROM t", "select", "t"),
        ("SELECT a INTO #x FROM t", "select", "t"),
        ("SET DATEFORMAT ymd; SET DATEFIRST 7", "other", ""),
        ("SET TRANSACTION ISOLATION LEVEL SNAPSHOT", "transaction", ""),
        ("SAVE TRANSACTION s1", "transaction", ""),
        ("BEGIN TRAN", "transaction", ""),
        ("ROLLBACK TRANSACTION s1", "transaction", ""),
        ("SELECT @@TRANCOUNT", "select", ""),
        ("SELECT TOP (5) [a]] FROM x], N'FROM y' FROM [d]..[t]", "select", "t"),
        ("SELECT 1 /* a /* FROM x */ FROM y */ FROM t WITH (NOLOCK)", "select", "t"),
        ("SELECT * FROM t (NOLOCK)", "select", "t"),
        ("SELECT * FROM t(1)", "select", ""),
        ("SELECT * FROM @x", "select", "@x"),
        ("INSERT TOP (5) INTO t OUTPUT inserted.a SELECT a FROM u", "insert", "t"),
        ("UPDATE TOP (5) PERCENT t SET a = 1 OUTPUT deleted.a", "update", "t"),
        ("UPDATE x SET a = 1 FROM [dbo].[t] AS x JOIN u ON u.a = x.a", "update", "t"),
        ("UPDATE t SET a = 1 FROM u JOIN t ON u.a = t.a", "update", "t"),
        ("DELETE TOP (5) FROM t", "delete", "t"),
        ("DELETE x OUTPUT deleted.a FROM u JOIN t x ON 1 = 1", "delete", "t"),
        ("DELETE FROM x FROM t AS x", "delete", "t"),
        ("WITH c AS (SELECT TOP 5 * FROM t) DELETE FROM c", "delete", "t"),
        ("WITH c AS (SELECT * FROM t) UPDATE c SET a = 1", "update", "t"),
        ("WITH t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT * FROM t", "select", ""),
        ("IF EXISTS (SELECT 1 FROM u) UPDATE t SET a = 1", "update", "t"),
        ("WITH s AS (SELECT 1 AS x) MERGE INTO [t] USING s ON 1 = 0", "other", "t"),
    ],
)  # fmt: skip
def test_statements_of_sql_server(text: str, operation: str, table: str):
    assert parsed(text, "microsoft") == (operation, table)


@pytest.mark.parametrize(
    ("text", "operation", "table"),
    [
        ("SELECT q'[it's FROM x]', nq'!it's FROM y!', 'a' FROM t", "select", "T"),
        ("SELECT q'(a) FROM x)', Q'<FROM '>' FROM t", "select", "T"),
        ('SELECT "a" FROM "S"."t"', "select", "t"),
        ("SELECT 1 /* a /* FROM x */ FROM t", "select", "T"),
        ("SELECT /*+ FULL(x) */ * FROM (SELECT a FROM t) x", "select", "T"),
        ("SELECT * FROM TABLE(f(1))", "select", ""),
        ("SELECT * FROM t@elsewhere", "select", ""),
        ("INSERT ALL WHEN 1 = 1 THEN INTO t VALUES (1) SELECT 1 FROM dual", "insert", "T"),
        ("INSERT INTO (SELECT a FROM t) VALUES (1)", "insert", "T"),
        ("DELETE t WHERE a = :arg0", "delete", "T"),
        ("WITH c (n) AS (SELECT a FROM t) SEARCH DEPTH FIRST BY n SET o"
         " CYCLE n SET x TO 1 DEFAULT 0 SELECT * FROM c", "select", "T"),
        ("BEGIN f(1); END;", "other", ""),
    ],
)  # fmt: skip
def test_statements_of_oracle(text: str, operation: str, table: str):
    assert parsed(text, "oracle") == (operation, table)


@pytest.mark.parametrize(
    ("text", "operation", "table"),
    [
        ("SELECT [it's FROM x], `it's FROM y`, \"it's FROM z\" FROM [t]", "select", "t"),
        ("SELECT 1 /* a /* FROM x */ FROM T", "select", "T"),
        ("SELECT 'a\\', b FROM main.t", "select", "t"),
        ("INSERT OR REPLACE INTO `t` VALUES (1)", "insert", "t"),
        ("UPDATE OR IGNORE t SET a = 1 FROM u", "update", "t"),
        ("WITH t AS (SELECT * FROM u) DELETE FROM t", "delete", "t"),
        ("BEGIN EXCLUSIVE", "transaction", ""),
    ],
)  # fmt: skip
def test_statements_of_sqlite(text: str, operation: str, table: str):
    assert parsed(text, "sqlite") == (operation, table)


@pytest.mark.parametrize(
    ("text", "vendor", "qualifiers"),
    [
        ('SELECT * FROM "d"."s"."t"', "postgresql", ("d", "s")),
        ('SELECT "s"."t"."a" FROM "s"."t"', "postgresql", ("s",)),
        ("INSERT INTO S.t VALUES (1)", "postgresql", ("s",)),
        ("UPDATE `d`.`t` SET a = 1", "mysql", ("d",)),
        ("DELETE FROM [d]..[t]", "microsoft", ("d", "")),
        ("SELECT * FROM s.t", "oracle", ("S",)),
        ("SELECT * FROM t", "sqlite", ()),
    ],
)
def test_the_schema_of_a_table(text: str, vendor: str, qualifiers: tuple[str, ...]):
    assert parse(text, DIALECTS[vendor]).qualifiers == qualifiers


@dataclass(frozen=True)
class Samples:
    """Quotes of a dialect, and its values and comments that look like clauses."""

    quotes: str
    values: tuple[str, ...]
    comments: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()

    def quoted(self, name: str) -> str:
        opening, closing = self.quotes[0], self.quotes[1]
        return f"{opening}{name.replace(closing, closing * 2)}{closing}"


SAMPLES = {
    "postgresql": Samples(
        '""',
        (r"E'it\'s FROM x'", r"'\'", "$$ FROM 'x $$", "$a$ FROM x $$ $a$", "ARRAY['FROM x']"),
        (" /* a /* FROM x */ b */ ",),
        (
            "INSERT INTO {table} (a) VALUES (1) ON CONFLICT DO NOTHING RETURNING a",
            "WITH c AS MATERIALIZED ({select}) DELETE FROM {table} USING c",
            "UPDATE ONLY {table} SET a = 1 FROM u",
        ),
    ),
    "mysql": Samples(
        "``",
        (r"'it\'s FROM x'", r"'\\'", '"FROM \'x"', r'"it\"s FROM x"'),
        (" # FROM x\n ", " -- FROM 'x\n "),
        ("INSERT IGNORE INTO {table} (a) VALUES (1) ON DUPLICATE KEY UPDATE a = 1",),
    ),
    "sqlite": Samples(
        '""',
        (r"'\'", "'it''s FROM x'", "`it's FROM x`", "[it's FROM x]"),
        (),
        ("INSERT OR IGNORE INTO {table} (a) VALUES (1)",),
    ),
    "oracle": Samples('""', ("q'[it's FROM x]'", r"'\'", "q'{{it's FROM x}}'")),
    "microsoft": Samples(
        "[]",
        (r"'\'", "N'it''s FROM x'", "[it's FROM x]", '"it\'s FROM x"'),
        (" /* a /* FROM x */ b */ ",),
        (
            "INSERT INTO {table} (a) OUTPUT inserted.a VALUES (1)",
            "WITH c AS (SELECT TOP 5 * FROM {table}) SELECT * FROM c",
            "DELETE TOP (5) FROM {table}",
        ),
    ),
}
TEMPLATES = (
    "{select}",
    "{select} UNION ALL {other}",
    "WITH c AS ({select}) SELECT * FROM c",
    "WITH c AS ({select}), d AS (SELECT * FROM c) SELECT * FROM d",
    "WITH c AS ({select}) SELECT * FROM s.c",
    "SELECT * FROM (WITH c AS ({select}) SELECT * FROM c) x",
    "SELECT ({select})",
    "INSERT INTO {table} (a, b) {select}",
    "UPDATE {table} SET a = ({select}) WHERE b = 1",
    "DELETE FROM {table} WHERE a IN ({select})",
    "CREATE TABLE {table} (a INT)",
    "ALTER TABLE {table} ADD a INT",
    "DROP TABLE IF EXISTS {table}",
)
NAMES = ("t", "spec", "missions_mission", "Über", "a b", "from", "select")
VALUES = ("1", "'it''s FROM x'", "count(*)", "(SELECT max(x) FROM u)", "?", "- 1", "(a + (b))")


@st.composite
def texts(draw: st.DrawFn, vendor: str) -> str:
    """Make a statement of a dialect."""
    samples = SAMPLES[vendor]
    values = st.sampled_from([*VALUES, *samples.values])
    comments = st.sampled_from([" ", "\n", " /* FROM x */ ", " -- FROM y\n", *samples.comments])
    names = st.sampled_from(NAMES).map(samples.quoted)
    tables = names | names.map(f"{samples.quoted('s')}.{{}}".format)
    tables = tables | st.sampled_from(["t", "Spec", "s.spec"])

    def select(depth: int) -> str:
        columns = ", ".join(draw(st.lists(values, min_size=1, max_size=4)))
        source = draw(tables)
        if depth and draw(st.booleans()):
            source = f"({select(depth - 1)}) sub"
        parts = ["SELECT", draw(st.sampled_from(["", "DISTINCT"])), columns, "FROM", source]
        return draw(comments).join(filter(None, parts)) + draw(
            st.sampled_from(["", " WHERE a IN (SELECT b FROM c)", " GROUP BY 1"])
        )

    template = draw(st.sampled_from([*TEMPLATES, *samples.templates]))
    return template.format(table=draw(tables), select=select(2), other=select(1))


@pytest.mark.parametrize("vendor", SAMPLES)
@given(data=st.data())
def test_sqlglot_agrees(vendor: str, data: st.DataObject):
    text = data.draw(texts(vendor))
    operation, table = parsed(text, vendor)

    assert (operation, table.lower()) == judged(text, vendor)


FRAGMENTS = st.lists(
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


@given(st.text() | FRAGMENTS)
def test_text_that_is_no_sql_raises_nothing(text: str):
    assert parse(text).operation in {
        "select", "insert", "update", "delete", "transaction", "ddl", "other",
    }  # fmt: skip


LONG = 200_000


@pytest.mark.parametrize("vendor", SAMPLES)
@given(data=st.data())
def test_the_beginning_that_decides_has_the_same_result_whatever_follows(
    vendor: str, data: st.DataObject
):
    dialect = DIALECTS[vendor]
    text = data.draw(texts(vendor) | FRAGMENTS)
    statement, seen = parse_beginning(text, dialect)
    ends = [place + 1 for place, sign in enumerate(text) if sign == " " and place >= seen]
    rest = data.draw(texts(vendor) | FRAGMENTS | st.text())

    for end in ends:
        assert parse_beginning(text[:end] + rest, dialect)[0] == statement, (text[:end], rest)


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
        "SELECT %(" + "a" * LONG,
        "SELECT f(" + "1, " * (LONG // 3) + "(2)) FROM t",
        "SELECT f('" + "x" * LONG + "', (2)) FROM t",
        "SELECT f(" + "'x', " * 15 + "1, " * (LONG // 3) + "(2)) FROM t",
    ],
    ids=lambda text: text[:20].strip(),
)
@pytest.mark.parametrize("vendor", ["", *DIALECTS])
def test_long_statements_take_linear_time(text: str, vendor: str):
    """With backtracking, these tests would not end."""
    assert parsed(text, vendor)[1].lower() in ("", "t", "a")


@pytest.mark.parametrize("vendor", ["", *DIALECTS])
@pytest.mark.parametrize("row", ["({n},{n})", "(%s, %s)", "(%s, -{n}, 0.5)"])
def test_the_table_after_thousands_of_rows_is_found(row: str, vendor: str):
    rows = ", ".join(row.format(n=n) for n in range(20_000))
    text = f"WITH v(a, b) AS (VALUES {rows}) UPDATE t SET a = 1 FROM v"
    operation, table = parsed(text, vendor)

    assert (operation, table.lower()) == ("update", "t")


@pytest.mark.parametrize("vendor", ["", *DIALECTS])
def test_the_table_after_thousands_of_cases_is_found(vendor: str):
    cases = " ".join(f"WHEN {n} THEN {n}" for n in range(10_000))
    operation, table = parsed(f"SELECT id, CASE id {cases} END FROM t", vendor)

    assert (operation, table.lower()) == ("select", "t")


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        ("WITH " + "a AS (SELECT 1), " * 10_000 + "b AS (SELECT 1) SELECT * FROM t", "other"),
        ("WITH a AS (SELECT " + "(- (1))," * 20_000 + "1 FROM u) UPDATE t SET a = 1", "other"),
        ("SELECT " + "(SELECT " * 10_000 + "1 FROM t", "select"),
        ("SELECT " + "- ((a + b)), " * 20_000 + "1 FROM t", "select"),
        ("SELECT * FROM " + "(SELECT * FROM " * 50 + "t" + ")" * 50, "select"),
    ],
    ids=lambda text: text[:20].strip(),
)
@pytest.mark.parametrize("vendor", ["", *DIALECTS])
def test_a_statement_above_the_work_limit_has_no_table(text: str, operation: str, vendor: str):
    assert parsed(text, vendor) == (operation, "")
