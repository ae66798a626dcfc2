"""What sqlglot, which parses SQL, says of a statement."""

from __future__ import annotations

import sqlglot
from sqlglot import exp

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


def judged(sql: str, dialect: str) -> tuple[str, str]:
    """Return the operation and the name of the table, in small letters."""
    # sqlglot does not know all of them.
    if sql.split(maxsplit=1)[0].upper().rstrip(";") in _OTHER_TRANSACTIONS:
        return "transaction", ""
    tree = sqlglot.parse_one(sql, dialect=dialect)
    operation = next((name for kind, name in _OPERATIONS if isinstance(tree, kind)), "other")
    return operation, _table(tree, {}).lower()


def _table(tree: exp.Expr | None, outer: dict[str, str]) -> str:
    if tree is None:
        return ""
    names = dict(outer)
    clause = tree.args.get("with_") or tree.args.get("with")
    for common in clause.expressions if clause else ():
        names[common.alias.lower()] = _table(common.this, names)
    return _target(tree, names)


def _target(tree: exp.Expr, names: dict[str, str]) -> str:
    if isinstance(tree, exp.Table):
        return names.get(tree.name.lower(), tree.name)
    if isinstance(tree, exp.SetOperation):
        return _table(tree.left, names) or _table(tree.right, names)
    if isinstance(tree, exp.Select):
        source = tree.args.get("from_") or tree.args.get("from")
        return _table(source.this, names) if source else ""
    if isinstance(tree, exp.Command):
        return ""
    if isinstance(tree, exp.Drop):
        return _table(tree.args["tables"][0], names)
    inner = tree.this
    return _table(inner, names) if isinstance(inner, exp.Expr) else ""
