"""The parser: as much of the grammar as leads to a statement's operation and its table."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping

from tachikoma_metrics.database.sql.batches import preparation_verbs, skip_preparation
from tachikoma_metrics.database.sql.dialects import STANDARD, Dialect
from tachikoma_metrics.database.sql.from_clause import FromClauseParser
from tachikoma_metrics.database.sql.identifiers import Ctes
from tachikoma_metrics.database.sql.keywords import (
    BEFORE_DDL_NAME,
    BEFORE_TABLE,
    BEFORE_TRANSACTION,
    BEFORE_VERB,
    DDL_ON_A_TABLE,
    DDL_VERBS,
    MAX_WORDS_BEFORE_DDL_NAME,
    MODIFIERS,
    SUBSELECTS,
    TRANSACTIONS,
)
from tachikoma_metrics.database.sql.statement import (
    DDL,
    DELETE,
    INSERT,
    OTHER,
    SELECT,
    TRANSACTION,
    UPDATE,
    Name,
    Statement,
)
from tachikoma_metrics.database.sql.tokens import END, ParseError

_UNKNOWN = Statement(OTHER, "")
_ORM_OPERATIONS = {"selected": SELECT, "inserted": INSERT, "updated": UPDATE, "deleted": DELETE}
_MAX_NESTING = 40


def parse(text: str, dialect: Dialect = STANDARD) -> Statement:
    """Return the operation and the table of the first statement in ``text``. Never raises."""
    return parse_beginning(text, dialect)[0]


def parse_beginning(text: str, dialect: Dialect = STANDARD) -> tuple[Statement, int]:
    """Return the same, and the length of the beginning of ``text`` that decided it.

    Each text that has the same beginning, as far as a space at this place or after it, is parsed
    alike.
    """
    orm_statement = dialect.orm_statement.match(text)
    if orm_statement:
        kind = orm_statement.lastgroup or ""
        *qualifiers, table = (part[1:-1] for part in orm_statement[kind].split("."))
        statement = Statement(_ORM_OPERATIONS[kind], table, tuple(qualifiers))
        # The pattern ends with a character that it may not need.
        return statement, orm_statement.end() - 1
    parser = _Parser(text, dialect)
    try:
        operation, name = parser.statement(ChainMap())
    except ParseError:
        return _UNKNOWN, len(text)
    statement = Statement(operation, name[-1], name[:-1]) if name else Statement(operation, "")
    # The statements of a batch that only prepare are told by signs anywhere in the text.
    return statement, len(text) if dialect.has_batches else parser.tokens.seen


class _Parser(FromClauseParser):
    """Parse one text; each method takes the tokens of the part that it is named for."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        super().__init__(text, dialect)
        self._nesting = 0
        self._preparations = preparation_verbs(text, dialect)

    def statement(self, ctes: Ctes) -> tuple[str, Name]:
        """Return the operation and the table of the next statement."""
        token = self.tokens.take_past(BEFORE_VERB)
        return self.nested_statement(token.text, ctes) if token.kind == "word" else (OTHER, ())

    def nested_statement(self, verb: str, ctes: Ctes) -> tuple[str, Name]:
        """Return the operation and the table of a statement whose verb was taken."""
        self._nesting += 1
        if self._nesting > _MAX_NESTING:
            raise ParseError
        found = self._after_verb(verb, ctes)
        self._nesting -= 1
        return found

    def _after_verb(self, verb: str, ctes: Ctes) -> tuple[str, Name]:
        if verb in self._preparations and skip_preparation(self.tokens, verb):
            return self.statement(ctes)
        if verb in _CLAUSES:
            operation, find_table = _CLAUSES[verb]
            try:
                return operation, find_table(self, ctes)
            except ParseError:
                # Within WITH, the rest cannot be parsed either. The work that a text takes may
                # depend on its length.
                self.tokens.see_all()
                return operation, ()
        if verb == "WITH":
            return self._with(ctes.new_child())
        if verb in TRANSACTIONS:
            return (TRANSACTION if self._is_transaction(verb) else OTHER), ()
        if verb in DDL_VERBS:
            return DDL, self._ddl_table(verb)
        return OTHER, ()

    # --- WITH ---------------------------------------------------------------

    def _with(self, ctes: Ctes) -> tuple[str, Name]:
        tokens = self.tokens
        is_recursive = tokens.take_if("RECURSIVE") or self.dialect.has_implicit_recursion
        while tokens.peek().is_name:
            self._define_cte(ctes, is_recursive)
            if not tokens.take_if(","):
                return self.statement(ctes)
        raise ParseError

    def _define_cte(self, ctes: Ctes, is_recursive: bool) -> None:
        tokens = self.tokens
        key = self.key(self.part(tokens.take()))
        depth = tokens.depth
        self._skip_to_cte_body(depth)
        if is_recursive:
            # Within its own body, the name is no table's.
            ctes[key] = ()
        ctes[key] = self.statement(ctes)[1]
        tokens.leave(depth)
        self._skip_search_and_cycle()

    def _skip_to_cte_body(self, depth: int) -> None:
        tokens = self.tokens
        if tokens.take_if("("):
            tokens.leave(depth)
        if not tokens.take_if("AS"):
            raise ParseError
        while tokens.take_if("NOT", "MATERIALIZED"):
            pass
        if tokens.peek().text != "(":
            raise ParseError

    def _skip_search_and_cycle(self) -> None:
        """Skip the clauses after a recursive definition, which may contain commas."""
        tokens = self.tokens
        while tokens.take_if("SEARCH", "CYCLE"):
            tokens.find("SET")
            tokens.take()
            while tokens.take_if("TO", "DEFAULT", "USING"):
                tokens.take()

    # --- SELECT -------------------------------------------------------------

    def _select_table(self, ctes: Ctes) -> Name:
        start = self.tokens.mark()
        if not self.tokens.find_from():
            self.tokens.go_back(start)
            return self._table_of_subselect(ctes)
        return self.first_table(ctes)

    def _table_of_subselect(self, ctes: Ctes) -> Name:
        """Return the table of the first sub-select among the columns."""
        tokens = self.tokens
        depth = tokens.depth
        while tokens.peek() is not END and tokens.depth >= depth:
            if tokens.take().text == "(" and tokens.peek().text in SUBSELECTS:
                return self.statement(ctes)[1]
        return ()

    # --- INSERT, UPDATE, DELETE, MERGE --------------------------------------

    def _skip_modifiers(self) -> None:
        tokens = self.tokens
        while tokens.take_if(*MODIFIERS):
            pass
        if self.dialect.has_batches and tokens.take_if("TOP"):
            tokens.take()
            tokens.leave(0)
            tokens.take_if("PERCENT")

    def _target(self, ctes: Ctes) -> Name:
        token = self.tokens.take_past(BEFORE_TABLE)
        if token.kind == "word" and token.text in SUBSELECTS:
            return self.nested_statement(token.text, ctes)[1]
        name = self.name(token)
        return self.resolve_cte(name, ctes) if self.dialect.writes_to_ctes and name else name

    def _insert_table(self, ctes: Ctes) -> Name:
        self._skip_modifiers()
        if self.tokens.take_if("ALL", "FIRST"):
            # Oracle inserts into several tables, perhaps under conditions.
            self.tokens.find("INTO")
        else:
            self.tokens.take_if("INTO")
        return self._target(ctes)

    def _update_table(self, ctes: Ctes) -> Name:
        self._skip_modifiers()
        if not self.dialect.joins_in_writes:
            return self._target(ctes)
        tables = self.joined_tables(ctes)
        target = next((table.name for table in tables if table.name), ())
        self.tokens.find("SET")
        if self.dialect.has_batches:
            return self.resolve_alias(target, self.tables_of_later_from(ctes))
        # The first column says which of the tables is updated.
        *qualifier, _ = self.name(self.tokens.take()) or ("",)
        return self.resolve_alias(tuple(qualifier), tables) if qualifier else target

    def _delete_table(self, ctes: Ctes) -> Name:
        tokens = self.tokens
        self._skip_modifiers()
        has_from = tokens.take_if("FROM")
        target = self._target(ctes)
        if not self.dialect.joins_in_writes:
            return target
        if has_from and not self.dialect.has_batches:
            is_several = tokens.peek().text in (",", "USING") and tokens.find("USING") is not END
            return self.resolve_alias(target, self.joined_tables(ctes)) if is_several else target
        return self.resolve_alias(target, self.tables_of_later_from(ctes))

    # --- transactions and definitions ---------------------------------------

    def _is_transaction(self, verb: str) -> bool:
        expected = TRANSACTIONS[verb]
        return not expected or self.tokens.take_past(BEFORE_TRANSACTION).text in expected

    def _ddl_table(self, verb: str) -> Name:
        tokens = self.tokens
        if verb == "TRUNCATE":
            return self.name(tokens.take_past(BEFORE_DDL_NAME))
        for _ in range(MAX_WORDS_BEFORE_DDL_NAME):
            text = tokens.take().text
            if text in ("(", "AS"):
                return ()
            if text == "TABLE" or (text in DDL_ON_A_TABLE and tokens.find("ON") is not END):
                return self.name(tokens.take_past(BEFORE_DDL_NAME))
        return ()


_CLAUSES: Mapping[str, tuple[str, Callable[[_Parser, Ctes], Name]]] = {
    "SELECT": (SELECT, _Parser._select_table),
    "TABLE": (SELECT, _Parser.first_table),
    "INSERT": (INSERT, _Parser._insert_table),
    "REPLACE": (INSERT, _Parser._insert_table),
    "UPDATE": (UPDATE, _Parser._update_table),
    "DELETE": (DELETE, _Parser._delete_table),
    "MERGE": (OTHER, _Parser._insert_table),
}
"""The operation of each verb, and the method that finds its table."""
