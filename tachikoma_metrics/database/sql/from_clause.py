"""The tables of a FROM clause, with their joins, their aliases and sub-selects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import ChainMap
from typing import NamedTuple

from tachikoma_metrics.database.sql.identifiers import Ctes, IdentifierParser
from tachikoma_metrics.database.sql.keywords import (
    AFTER_FROM_CLAUSE,
    BEFORE_TABLE,
    JOINS,
    NO_ALIASES,
    NO_TABLES,
    SUBSELECTS,
    TABLE_HINTS,
)
from tachikoma_metrics.database.sql.statement import Name
from tachikoma_metrics.database.sql.tokens import END, ParseError


class TableReference(NamedTuple):
    """One of the tables that are joined; ``name`` is empty for a sub-select."""

    alias: str
    name: Name


def _shadowed(ctes: Ctes) -> Ctes:
    return ChainMap(dict.fromkeys(ctes, ()))


class FromClauseParser(IdentifierParser, ABC):
    """Parse the FROM clauses of one text."""

    @abstractmethod
    def nested_statement(self, verb: str, ctes: Ctes) -> tuple[str, Name]:
        """Return the operation and the table of a sub-select whose verb was taken."""

    def first_table(self, ctes: Ctes) -> Name:
        """Return the first table after FROM."""
        tokens = self.tokens
        token = tokens.take_past(BEFORE_TABLE)
        if token.kind == "word" and token.text in SUBSELECTS:
            return self.nested_statement(token.text, ctes)[1]
        if token.kind == "word" and token.text in NO_TABLES:
            return ()
        name = self.name(token)
        if tokens.peek().text == "@" or (tokens.peek().text == "(" and not self._has_hints()):
            # A database link of Oracle, or a function.
            return ()
        return self.resolve_cte(name, ctes)

    def _has_hints(self) -> bool:
        mark = self.tokens.mark()
        self.tokens.take()
        has_hints = self.dialect.has_batches and self.tokens.peek().text in TABLE_HINTS
        self.tokens.go_back(mark)
        return has_hints

    def joined_tables(self, ctes: Ctes) -> list[TableReference]:
        """Return the tables that are joined, up to the clause that follows them."""
        tables = [self._table_reference(ctes)]
        while self._skip_to_next_table(self.tokens.depth):
            tables.append(self._table_reference(ctes))
        return tables

    def tables_of_later_from(self, ctes: Ctes) -> list[TableReference]:
        """Return the tables of the FROM clause that comes later in this statement, if any."""
        try:
            return self.joined_tables(ctes) if self.tokens.find_from() else []
        except ParseError:
            # Too far away: Django's own updates of many rows have no FROM.
            return []

    def _table_reference(self, ctes: Ctes) -> TableReference:
        tokens = self.tokens
        while tokens.take_if(*BEFORE_TABLE):
            pass
        name = self._table_or_subselect(ctes)
        tokens.take_if("AS")
        token = tokens.peek()
        if not token.is_name or (token.kind == "word" and token.text in NO_ALIASES):
            return TableReference("", name)
        return TableReference(self.part(tokens.take()), name)

    def _table_or_subselect(self, ctes: Ctes) -> Name:
        tokens = self.tokens
        token = tokens.peek()
        if token.kind == "word" and token.text in SUBSELECTS | NO_TABLES:
            tokens.leave(tokens.depth - 1)
            return ()
        # Only some databases can write to a common table expression.
        name = self.first_table(ctes if self.dialect.writes_to_ctes else _shadowed(ctes))
        if tokens.take_if("("):
            tokens.leave(tokens.depth - 1)
        return name

    def _skip_to_next_table(self, depth: int) -> bool:
        tokens = self.tokens
        while True:
            token = tokens.peek()
            is_outside = tokens.depth <= depth and token.text in AFTER_FROM_CLAUSE
            if token is END or is_outside:
                return False
            tokens.take()
            if token.text == "(":
                tokens.leave(tokens.depth - 1)
            elif token.text in JOINS:
                return True

    def resolve_alias(self, name: Name, tables: list[TableReference]) -> Name:
        """Return the table that ``name`` is the alias of, or else the name."""
        keys = [self.key(part) for part in name]
        for table in tables:
            referred = (table.alias,) if table.alias else table.name
            if keys and keys == [self.key(part) for part in referred[-len(keys) :]]:
                return table.name
        return name
