"""The words that matter: those that stand before a table, and those that end a part."""

from __future__ import annotations

import re
from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BEFORE_A_VERB = frozenset({"(", ";"})
BEFORE_A_TABLE = frozenset({"(", "ONLY", "LATERAL"})
SUBSELECTS = frozenset({"SELECT", "WITH", "TABLE"})
NO_TABLES = frozenset({"VALUES", "ROWS"})
HINTS = _words(
    """
    HOLDLOCK INDEX NOLOCK NOWAIT PAGLOCK READCOMMITTED READPAST READUNCOMMITTED REPEATABLEREAD
    ROWLOCK SERIALIZABLE SNAPSHOT TABLOCK TABLOCKX UPDLOCK XLOCK
    """
)
"""What SQL Server's old syntax has in parentheses after a table."""

BEFORE_A_SOURCE = frozenset({",", "JOIN", "STRAIGHT_JOIN", "APPLY"})
AFTER_SOURCES = _words(
    """
    ; ) SET WHERE GROUP HAVING ORDER LIMIT RETURNING OUTPUT OPTION UNION WINDOW FOR
    """
)
AFTER_A_SOURCE = _words(
    """
    SET WHERE GROUP HAVING ORDER LIMIT RETURNING OUTPUT OPTION UNION WINDOW FOR FROM WITH ON
    USING JOIN STRAIGHT_JOIN APPLY INNER LEFT RIGHT CROSS FULL NATURAL OUTER PARTITION USE
    FORCE IGNORE TABLESAMPLE
    """
)
"""What is no alias where one may be."""

MODIFIERS = _words(
    """
    OR REPLACE ROLLBACK ABORT FAIL IGNORE LOW_PRIORITY HIGH_PRIORITY DELAYED QUICK
    """
)

PREPARATIONS = frozenset({"SET", "DECLARE", "IF", "SELECT"})
NOTHING = frozenset[str]()
AFTER_OPTIONS = frozenset({";", "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH"})
INTO_A_TEMPORARY_TABLE = re.compile(r"\bINTO\s+#\w+\s+FROM\Z", re.IGNORECASE)

BEFORE_TRANSACTION = frozenset({"GLOBAL", "LOCAL", "SESSION", "CHARACTERISTICS", "AS"})
BEGINNINGS = _words(
    """
    TRANSACTION WORK TRAN DEFERRED IMMEDIATE EXCLUSIVE CONCURRENT ISOLATION READ NOT ;
    """
)
TRANSACTIONS: Mapping[str, frozenset[str]] = {
    # By itself it begins a transaction, before statements a block of them.
    "BEGIN": BEGINNINGS | {""},
    "START": frozenset({"TRANSACTION"}),
    "SET": frozenset({"TRANSACTION"}),
    "PREPARE": frozenset({"TRANSACTION"}),
    "SAVE": frozenset({"TRANSACTION", "TRAN"}),
    **dict.fromkeys(("COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "END", "ABORT"), frozenset()),
}
"""The first words, and the second ones if not all are of a transaction."""

DEFINITIONS = frozenset({"CREATE", "ALTER", "DROP", "TRUNCATE", "RENAME", "COMMENT"})
DEFINED_ON_A_TABLE = frozenset({"INDEX", "TRIGGER", "POLICY", "RULE"})
BEFORE_DEFINED = frozenset({"IF", "NOT", "EXISTS", "ONLY", "TABLE"})
MOST_WORDS_BEFORE_DEFINED = 6
