"""Batches of SQL Server: statements that prepare the one that the batch is about.

``SET NOCOUNT ON``, ``DECLARE`` and a ``SELECT`` into a temporary table may stand before it.
"""

from __future__ import annotations

from tachikoma_metrics.database.sql.dialects import Dialect
from tachikoma_metrics.database.sql.keywords import (
    AFTER_OPTIONS,
    INTO_A_TEMPORARY_TABLE,
    PREPARATIONS,
)
from tachikoma_metrics.database.sql.tokens import END, Tokens


def preparation_verbs(text: str, dialect: Dialect) -> frozenset[str]:
    """Return the verbs that may begin a preparing statement in ``text``."""
    if not dialect.has_batches:
        return frozenset()
    # A SELECT prepares only if it fills a temporary table.
    return PREPARATIONS if "#" in text else PREPARATIONS - {"SELECT"}


def skip_preparation(tokens: Tokens, verb: str) -> bool:
    """Skip a statement if it prepares the next one; return whether it does."""
    start = tokens.mark()
    if _skip_statement(tokens, verb):
        tokens.take_if(";")
        if tokens.peek() is not END:
            return True
    tokens.go_back(start)
    return False


def _skip_statement(tokens: Tokens, verb: str) -> bool:
    if verb != "SELECT":
        return not tokens.take_if("TRANSACTION") and _skip_options(tokens, verb)
    fills_temporary_table = tokens.find_from() and tokens.was_preceded_by(INTO_A_TEMPORARY_TABLE)
    if fills_temporary_table:
        tokens.find()
    return fills_temporary_table


def _skip_options(tokens: Tokens, verb: str) -> bool:
    while tokens.peek() is not END and tokens.peek().text not in AFTER_OPTIONS:
        token = tokens.take()
        if token.text == "(":
            tokens.leave(tokens.depth - 1)
        elif verb == "SET" and token.text in ("ON", "OFF"):
            break
    return True
