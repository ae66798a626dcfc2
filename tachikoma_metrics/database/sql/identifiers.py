"""Identifiers: quoted and unquoted names of tables, qualified by schema and database."""

from __future__ import annotations

from collections import ChainMap

from tachikoma_metrics.database.sql.dialects import Dialect
from tachikoma_metrics.database.sql.statement import Name
from tachikoma_metrics.database.sql.tokens import END, ParseError, Token, Tokens

Ctes = ChainMap[str, Name]
"""The common table expressions (WITH) in scope, and the table that each selects from."""


class IdentifierParser:
    """Parse the identifiers of one text."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        self.tokens = Tokens(text, dialect)
        self.dialect = dialect

    def name(self, token: Token) -> Name:
        """Return the qualified name that begins with ``token``."""
        if not token.is_name:
            return ()
        parts = [self.part(token)]
        while self.tokens.take_if("."):
            if self.tokens.peek().is_name:
                parts.append(self.part(self.tokens.take()))
            elif not self.tokens.take_if("*") and self.tokens.peek().text == ".":
                # The default schema of another database.
                parts.append("")
        return tuple(parts)

    def part(self, token: Token) -> str:
        """Return one part of a name: unquoted, or in the case that the database folds it to."""
        if token.kind == "word":
            return self.dialect.fold_case(token.raw)
        text = token.text[2:] if token.text[0] in "uU" else token.text
        mark = "]" if text[0] == "[" else text[0]
        inner = text[1:-1] if len(text) > 1 and text[-1] == mark else text[1:]
        return inner.replace(mark * 2, mark)

    def key(self, part: str) -> str:
        """Return what two parts have in common if the database takes them for one name."""
        return part if self.dialect.is_case_sensitive else part.casefold()

    def resolve_cte(self, name: Name, ctes: Ctes) -> Name:
        """Return the table that a common table expression selects from, or else the name."""
        return ctes.get(self.key(name[0]), name) if len(name) == 1 else name


def parse_identifier(text: str, dialect: Dialect) -> Name:
    """Return the parts of a qualified name; empty if ``text`` is anything else."""
    parser = IdentifierParser(text, dialect)
    try:
        name = parser.name(parser.tokens.take())
        return name if parser.tokens.peek() is END else ()
    except ParseError:
        return ()
