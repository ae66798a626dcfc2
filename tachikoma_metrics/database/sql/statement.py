"""The result of parsing a statement: its operation and the table it is about."""

from __future__ import annotations

from typing import NamedTuple

SELECT, INSERT, UPDATE, DELETE = "select", "insert", "update", "delete"
TRANSACTION, DDL, OTHER = "transaction", "ddl", "other"

Name = tuple[str, ...]
"""The parts of a qualified name, the table last; empty if no table was found.

Unquoted parts have the case that the database folds them to.
"""


class Statement(NamedTuple):
    """An operation, a table, and the qualifiers of the table: its database, its schema."""

    operation: str
    table: str
    qualifiers: Name = ()
