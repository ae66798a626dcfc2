"""sqlglot as the oracle: the operation and the table of a statement."""

from __future__ import annotations

from typing import cast

import sqlglot
from sqlglot import exp

DIALECTS = {
    "postgresql": "postgres",
    "mysql": "mysql",
    "sqlite": "sqlite",
    "oracle": "oracle",
    "microsoft": "tsql",
}
"""sqlglot's dialects, by Django's vendors."""

_OPERATIONS: tuple[tuple[type[exp.Expr], str], ...] = (
    (exp.Query, "select"),
    (exp.Insert, "insert"),
    (exp.Update, "update"),
    (exp.Delete, "delete"),
    (exp.Transaction, "transaction"),
    (exp.Commit, "transaction"),
    (exp.Rollback, "transaction"),
    (exp.Create, "ddl"),
    (exp.Drop, "ddl"),
    (exp.Alter, "ddl"),
    (exp.TruncateTable, "ddl"),
)
_OTHER_TRANSACTIONS = ("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT")


def judged(sql: str, vendor: str) -> tuple[str, str]:
    """Return the operation and the name of the table, in small letters."""
    # sqlglot does not parse all of them.
    if sql.split(maxsplit=1)[0].upper().rstrip(";") in _OTHER_TRANSACTIONS:
        return "transaction", ""
    tree = sqlglot.parse_one(sql, dialect=DIALECTS[vendor])
    operation = next((name for kind, name in _OPERATIONS if isinstance(tree, kind)), "other")
    return operation, _table(tree, {}, vendor).lower()


def _table(tree: exp.Expr | None, outer: dict[str, str], vendor: str) -> str:
    if tree is None:
        return ""
    names = dict(outer)
    clause = tree.args.get("with_") or tree.args.get("with")
    for common in clause.expressions if clause else ():
        names[common.alias.lower()] = _table(common.this, names, vendor)
    return _target(tree, names, vendor)


def _target(tree: exp.Expr, names: dict[str, str], vendor: str) -> str:
    if isinstance(tree, exp.Table):
        is_function = not isinstance(tree.this, exp.Identifier)
        name = names.get(tree.name.lower(), tree.name) if not tree.db else tree.name
        return "" if is_function else name
    if isinstance(tree, exp.SetOperation):
        return _table(tree.left, names, vendor) or _table(tree.right, names, vendor)
    if isinstance(tree, exp.Select):
        return _selected(tree, names, vendor)
    if isinstance(tree, exp.Command):
        return ""
    if isinstance(tree, exp.Drop):
        return _table(tree.args["tables"][0], names, vendor)
    inner = tree.this
    if isinstance(tree, exp.DML) and vendor != "microsoft":
        # The target of a write is no common table expression.
        names = {}
    return _table(inner, names, vendor) if isinstance(inner, exp.Expr) else ""


def _selected(tree: exp.Select, names: dict[str, str], vendor: str) -> str:
    source = tree.args.get("from_") or tree.args.get("from")
    if source:
        return _table(source.this, names, vendor)
    columns = (column.find(exp.Select) for column in tree.expressions)
    return _table(cast("exp.Expr | None", next(filter(None, columns), None)), names, vendor)
