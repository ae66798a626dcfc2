"""The grammar: as much of it as leads to the verb of a statement and to its table."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tachikoma_metrics.database.sql.dialects import STANDARD, Dialect
from tachikoma_metrics.database.sql.tokens import END, Token, Tokens, Unreadable
from tachikoma_metrics.database.sql.words import (
    AFTER_A_SOURCE,
    AFTER_OPTIONS,
    AFTER_SOURCES,
    BEFORE_A_SOURCE,
    BEFORE_A_TABLE,
    BEFORE_A_VERB,
    BEFORE_DEFINED,
    BEFORE_TRANSACTION,
    DEFINED_ON_A_TABLE,
    DEFINITIONS,
    HINTS,
    INTO_A_TEMPORARY_TABLE,
    MODIFIERS,
    MOST_WORDS_BEFORE_DEFINED,
    NO_TABLES,
    NOTHING,
    PREPARATIONS,
    SUBSELECTS,
    TRANSACTIONS,
)

SELECT, INSERT, UPDATE, DELETE = "select", "insert", "update", "delete"
TRANSACTION, DDL, OTHER = "transaction", "ddl", "other"

Name = tuple[str, ...]
"""The parts of a name, the table last; empty where there is none to be found.

A part that is not quoted is as the database looks it up.
"""

Names = ChainMap[str, Name]
"""The names that WITH defines, and the table behind each."""


class Statement(NamedTuple):
    """An operation, a table, and what the table is within: its schema, its database."""

    operation: str
    table: str
    within: Name = ()


_UNKNOWN = Statement(OTHER, "")
_PLAIN = {"selected": SELECT, "inserted": INSERT, "updated": UPDATE, "deleted": DELETE}
_DEEPEST = 40


def read(text: str, dialect: Dialect = STANDARD) -> Statement:
    """Return what the first statement of ``text`` is. Never raises."""
    plain = dialect.plain.match(text)
    if plain:
        kind = plain.lastgroup or ""
        *within, table = (part[1:-1] for part in plain[kind].split("."))
        return Statement(_PLAIN[kind], table, tuple(within))
    try:
        operation, name = _Reading(text, dialect).statement(ChainMap())
    except Unreadable:
        return _UNKNOWN
    return Statement(operation, name[-1], name[:-1]) if name else Statement(operation, "")


def identifier(text: str, dialect: Dialect) -> Name:
    """Return the parts of a name that stands in a statement like this; none if it is no name."""
    reading = _Reading(text, dialect)
    try:
        name = reading.name(reading.tokens.take())
        return name if reading.tokens.peek() is END else ()
    except Unreadable:
        return ()


def _hidden(names: Names) -> Names:
    return ChainMap(dict.fromkeys(names, ()))


class _Source(NamedTuple):
    """One of the tables that are joined; ``name`` is empty for a sub-select."""

    alias: str
    name: Name


class _Reading:
    """One text while it is read; each method takes the tokens of what it is called for."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        self.tokens = Tokens(text, dialect)
        self._dialect = dialect
        self._nesting = 0
        # Only where there are temporary tables, SELECT may be one.
        self._preparations = (
            (PREPARATIONS if "#" in text else PREPARATIONS - {"SELECT"})
            if dialect.has_batches
            else NOTHING
        )

    def statement(self, names: Names) -> tuple[str, Name]:
        """Return the operation and the table of the next statement."""
        token = self.tokens.take_past(BEFORE_A_VERB)
        return self._of_verb(token.text, names) if token.kind == "word" else (OTHER, ())

    def _of_verb(self, verb: str, names: Names) -> tuple[str, Name]:
        self._nesting += 1
        if self._nesting > _DEEPEST:
            raise Unreadable
        found = self._carried_out(verb, names)
        self._nesting -= 1
        return found

    def _carried_out(self, verb: str, names: Names) -> tuple[str, Name]:
        if verb in self._preparations and self._is_preparation(verb):
            return self.statement(names)
        if verb in _READERS:
            operation, reader = _READERS[verb]
            try:
                return operation, reader(self, names)
            except Unreadable:
                # Within WITH, what follows is not read either.
                return operation, ()
        if verb == "WITH":
            return self._with(names.new_child())
        if verb in TRANSACTIONS:
            return (TRANSACTION if self._is_transaction(verb) else OTHER), ()
        if verb in DEFINITIONS:
            return DDL, self._defined(verb)
        return OTHER, ()

    # --- names --------------------------------------------------------------

    def name(self, token: Token) -> Name:
        """Return the name that begins with ``token``."""
        if not token.is_name:
            return ()
        parts = [self._part(token)]
        while self.tokens.take_if("."):
            if self.tokens.peek().is_name:
                parts.append(self._part(self.tokens.take()))
            elif not self.tokens.take_if("*") and self.tokens.peek().text == ".":
                # The default schema of another database.
                parts.append("")
        return tuple(parts)

    def _part(self, token: Token) -> str:
        if token.kind == "word":
            return self._dialect.fold(token.raw)
        text = token.text[2:] if token.text[0] in "uU" else token.text
        mark = "]" if text[0] == "[" else text[0]
        inner = text[1:-1] if len(text) > 1 and text[-1] == mark else text[1:]
        return inner.replace(mark * 2, mark)

    def _key(self, part: str) -> str:
        return part if self._dialect.compares_exactly else part.casefold()

    def _behind(self, name: Name, names: Names) -> Name:
        """Return the table that a name leads to, which WITH may have defined."""
        return names.get(self._key(name[0]), name) if len(name) == 1 else name

    # --- WITH ---------------------------------------------------------------

    def _with(self, names: Names) -> tuple[str, Name]:
        tokens = self.tokens
        is_recursive = tokens.take_if("RECURSIVE") or self._dialect.recurses_always
        while tokens.peek().is_name:
            self._define(names, is_recursive)
            if not tokens.take_if(","):
                return self.statement(names)
        raise Unreadable

    def _define(self, names: Names, is_recursive: bool) -> None:
        tokens = self.tokens
        key = self._key(self._part(tokens.take()))
        depth = tokens.depth
        if tokens.take_if("("):
            tokens.leave(depth)
        if not tokens.take_if("AS"):
            raise Unreadable
        while tokens.take_if("NOT", "MATERIALIZED"):
            pass
        if tokens.peek().text != "(":
            raise Unreadable
        if is_recursive:
            # Within itself it is no table of that name.
            names[key] = ()
        names[key] = self.statement(names)[1]
        tokens.leave(depth)
        self._pass_search_and_cycle()

    def _pass_search_and_cycle(self) -> None:
        """Go past what may follow a recursive definition, and holds commas."""
        tokens = self.tokens
        while tokens.take_if("SEARCH", "CYCLE"):
            tokens.find("SET")
            tokens.take()
            while tokens.take_if("TO", "DEFAULT", "USING"):
                tokens.take()

    # --- SELECT -------------------------------------------------------------

    def _selected(self, names: Names) -> Name:
        start = self.tokens.mark()
        if not self.tokens.find_from():
            self.tokens.go_back(start)
            return self._selected_within(names)
        return self._source(names)

    def _selected_within(self, names: Names) -> Name:
        """Return the table of the first sub-select among the columns."""
        tokens = self.tokens
        depth = tokens.depth
        while tokens.peek() is not END and tokens.depth >= depth:
            if tokens.take().text == "(" and tokens.peek().text in SUBSELECTS:
                return self.statement(names)[1]
        return ()

    def _source(self, names: Names) -> Name:
        """Return the first table after FROM."""
        tokens = self.tokens
        token = tokens.take_past(BEFORE_A_TABLE)
        if token.kind == "word" and token.text in SUBSELECTS:
            return self._of_verb(token.text, names)[1]
        if token.kind == "word" and token.text in NO_TABLES:
            return ()
        name = self.name(token)
        if tokens.peek().text == "@" or (tokens.peek().text == "(" and not self._has_hints()):
            # It is in Oracle's database elsewhere, or it is a function.
            return ()
        return self._behind(name, names)

    def _has_hints(self) -> bool:
        mark = self.tokens.mark()
        self.tokens.take()
        has_hints = self._dialect.has_batches and self.tokens.peek().text in HINTS
        self.tokens.go_back(mark)
        return has_hints

    def _sources(self, names: Names) -> list[_Source]:
        """Return the tables that are joined, up to the clause that follows them."""
        sources = [self._joined(names)]
        while self._pass_to_next_source(self.tokens.depth):
            sources.append(self._joined(names))
        return sources

    def _joined(self, names: Names) -> _Source:
        tokens = self.tokens
        while tokens.take_if(*BEFORE_A_TABLE):
            pass
        token = tokens.peek()
        if token.kind == "word" and token.text in SUBSELECTS | NO_TABLES:
            name: Name = ()
            tokens.leave(tokens.depth - 1)
        else:
            # What WITH defines can be written to in some databases only.
            name = self._source(names if self._dialect.writes_to_names else _hidden(names))
            if tokens.take_if("("):
                tokens.leave(tokens.depth - 1)
        tokens.take_if("AS")
        token = tokens.peek()
        if not token.is_name or (token.kind == "word" and token.text in AFTER_A_SOURCE):
            return _Source("", name)
        return _Source(self._part(tokens.take()), name)

    def _pass_to_next_source(self, depth: int) -> bool:
        tokens = self.tokens
        while True:
            token = tokens.peek()
            is_outside = tokens.depth <= depth and token.text in AFTER_SOURCES
            if token is END or is_outside:
                return False
            tokens.take()
            if token.text == "(":
                tokens.leave(tokens.depth - 1)
            elif token.text in BEFORE_A_SOURCE:
                return True

    # --- INSERT, UPDATE, DELETE, MERGE --------------------------------------

    def _pass_modifiers(self) -> None:
        tokens = self.tokens
        while tokens.take_if(*MODIFIERS):
            pass
        if self._dialect.has_batches and tokens.take_if("TOP"):
            tokens.take()
            tokens.leave(0)
            tokens.take_if("PERCENT")

    def _target(self, names: Names) -> Name:
        tokens = self.tokens
        token = tokens.take_past(BEFORE_A_TABLE)
        if token.kind == "word" and token.text in SUBSELECTS:
            return self._of_verb(token.text, names)[1]
        name = self.name(token)
        return self._behind(name, names) if self._dialect.writes_to_names and name else name

    def _inserted(self, names: Names) -> Name:
        self._pass_modifiers()
        if self.tokens.take_if("ALL", "FIRST"):
            # Into several tables, perhaps under conditions.
            self.tokens.find("INTO")
        else:
            self.tokens.take_if("INTO")
        return self._target(names)

    def _updated(self, names: Names) -> Name:
        self._pass_modifiers()
        if not self._dialect.joins_in_writes:
            return self._target(names)
        sources = self._sources(names)
        named = next((source.name for source in sources if source.name), ())
        self.tokens.find("SET")
        if self._dialect.has_batches:
            return self._resolved(named, self._sources_of_from(names))
        *qualifier, _ = self.name(self.tokens.take()) or ("",)
        # Which of the tables it is, the first column says.
        return self._resolved(tuple(qualifier), sources) if qualifier else named

    def _deleted(self, names: Names) -> Name:
        tokens = self.tokens
        self._pass_modifiers()
        has_from = tokens.take_if("FROM")
        named = self._target(names)
        if not self._dialect.joins_in_writes:
            return named
        if has_from and not self._dialect.has_batches:
            is_several = tokens.peek().text in (",", "USING") and tokens.find("USING") is not END
            return self._resolved(named, self._sources(names)) if is_several else named
        return self._resolved(named, self._sources_of_from(names))

    def _sources_of_from(self, names: Names) -> list[_Source]:
        try:
            return self._sources(names) if self.tokens.find_from() else []
        except Unreadable:
            # It is far away: Django's own updates of many rows have none.
            return []

    def _resolved(self, name: Name, sources: list[_Source]) -> Name:
        """Return the table that ``name`` is the alias of, or else the name."""
        keys = [self._key(part) for part in name]
        for source in sources:
            called = (source.alias,) if source.alias else source.name
            if keys and keys == [self._key(part) for part in called[-len(keys) :]]:
                return source.name
        return name

    # --- batches of SQL Server ----------------------------------------------

    def _is_preparation(self, verb: str) -> bool:
        """Go past a statement that prepares the next one; tell whether it was one."""
        start = self.tokens.mark()
        if self._pass_preparation(verb):
            self.tokens.take_if(";")
            if self.tokens.peek() is not END:
                return True
        self.tokens.go_back(start)
        return False

    def _pass_preparation(self, verb: str) -> bool:
        tokens = self.tokens
        if verb != "SELECT":
            return not tokens.take_if("TRANSACTION") and self._pass_options(verb)
        # May make a temporary table, for the next one to fill.
        is_one = tokens.find_from() and tokens.was_preceded_by(INTO_A_TEMPORARY_TABLE)
        if is_one:
            tokens.find()
        return is_one

    def _pass_options(self, verb: str) -> bool:
        tokens = self.tokens
        while tokens.peek() is not END and tokens.peek().text not in AFTER_OPTIONS:
            token = tokens.take()
            if token.text == "(":
                tokens.leave(tokens.depth - 1)
            elif verb == "SET" and token.text in ("ON", "OFF"):
                break
        return True

    # --- transactions and definitions ---------------------------------------

    def _is_transaction(self, verb: str) -> bool:
        expected = TRANSACTIONS[verb]
        return not expected or self.tokens.take_past(BEFORE_TRANSACTION).text in expected

    def _defined(self, verb: str) -> Name:
        tokens = self.tokens
        if verb == "TRUNCATE":
            return self.name(tokens.take_past(BEFORE_DEFINED))
        for _ in range(MOST_WORDS_BEFORE_DEFINED):
            text = tokens.take().text
            if text in ("(", "AS"):
                return ()
            if text == "TABLE" or (text in DEFINED_ON_A_TABLE and tokens.find("ON") is not END):
                return self.name(tokens.take_past(BEFORE_DEFINED))
        return ()


_READERS: Mapping[str, tuple[str, Callable[[_Reading, Names], Name]]] = {
    "SELECT": (SELECT, _Reading._selected),
    "TABLE": (SELECT, _Reading._source),
    "INSERT": (INSERT, _Reading._inserted),
    "REPLACE": (INSERT, _Reading._inserted),
    "UPDATE": (UPDATE, _Reading._updated),
    "DELETE": (DELETE, _Reading._deleted),
    "MERGE": (OTHER, _Reading._inserted),
}
"""What is told of each verb, and what finds its table."""
