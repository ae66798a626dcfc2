"""The keywords that the parser looks for: before a table, and at the end of a clause."""

from __future__ import annotations

import re
from collections.abc import Mapping


def _keywords(text: str) -> frozenset[str]:
    return frozenset(text.split())


BEFORE_VERB = frozenset({"(", ";"})
BEFORE_TABLE = frozenset({"(", "ONLY", "LATERAL"})
SUBSELECTS = frozenset({"SELECT", "WITH", "TABLE"})
NO_TABLES = frozenset({"VALUES", "ROWS"})
TABLE_HINTS = _keywords(
    """
    HOLDLOCK INDEX NOLOCK NOWAIT PAGLOCK READCOMMITTED READPAST READUNCOMMITTED REPEATABLEREAD
    ROWLOCK SERIALIZABLE SNAPSHOT TABLOCK TABLOCKX UPDLOCK XLOCK
    """
)
"""The table hints that SQL Server accepts in parentheses without WITH."""

JOINS = frozenset({",", "JOIN", "STRAIGHT_JOIN", "APPLY"})
AFTER_FROM_CLAUSE = _keywords(
    """
    ; ) SET WHERE GROUP HAVING ORDER LIMIT RETURNING OUTPUT OPTION UNION WINDOW FOR
    """
)
NO_ALIASES = _keywords(
    """
    SET WHERE GROUP HAVING ORDER LIMIT RETURNING OUTPUT OPTION UNION WINDOW FOR FROM WITH ON
    USING JOIN STRAIGHT_JOIN APPLY INNER LEFT RIGHT CROSS FULL NATURAL OUTER PARTITION USE
    FORCE IGNORE TABLESAMPLE
    """
)
"""Keywords that may stand where an alias may, and are none."""

MODIFIERS = _keywords(
    """
    OR REPLACE ROLLBACK ABORT FAIL IGNORE LOW_PRIORITY HIGH_PRIORITY DELAYED QUICK
    """
)

PREPARATIONS = frozenset({"SET", "DECLARE", "IF", "SELECT"})
AFTER_OPTIONS = frozenset({";", "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH"})
INTO_A_TEMPORARY_TABLE = re.compile(r"\bINTO\s+#\w+\s+FROM\Z", re.IGNORECASE)

BEFORE_TRANSACTION = frozenset({"GLOBAL", "LOCAL", "SESSION", "CHARACTERISTICS", "AS"})
BEGINNINGS = _keywords(
    """
    TRANSACTION WORK TRAN DEFERRED IMMEDIATE EXCLUSIVE CONCURRENT ISOLATION READ NOT ;
    """
)
TRANSACTIONS: Mapping[str, frozenset[str]] = {
    # Alone, BEGIN starts a transaction; before statements, it starts a block of them.
    "BEGIN": BEGINNINGS | {""},
    "START": frozenset({"TRANSACTION"}),
    "SET": frozenset({"TRANSACTION"}),
    "PREPARE": frozenset({"TRANSACTION"}),
    "SAVE": frozenset({"TRANSACTION", "TRAN"}),
    **dict.fromkeys(("COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "END", "ABORT"), frozenset()),
}
"""The verbs of transactions, and the words that must follow a verb that has other uses."""

DDL_VERBS = frozenset({"CREATE", "ALTER", "DROP", "TRUNCATE", "RENAME", "COMMENT"})
DDL_ON_A_TABLE = frozenset({"INDEX", "TRIGGER", "POLICY", "RULE"})
BEFORE_DDL_NAME = frozenset({"IF", "NOT", "EXISTS", "ONLY", "TABLE"})
MAX_WORDS_BEFORE_DDL_NAME = 6
