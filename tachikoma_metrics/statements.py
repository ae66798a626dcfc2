"""What an SQL statement does, and to which table, from its text.

This is no parser: it looks for the verb and for the name that follows it, and stops
there. It reads the text once, from the left, whatever is in it, and never raises.
The values it passes over are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

SELECT, INSERT, UPDATE, DELETE = "select", "insert", "update", "delete"
TRANSACTION, DDL, OTHER = "transaction", "ddl", "other"


class Statement(NamedTuple):
    """Tell an operation, and the name of the table without its schema.

    A name that is not quoted is in capitals, as the standard has it; it is empty where
    there is none to be found.
    """

    operation: str
    table: str


def read(text: str) -> Statement:
    """Return what the first statement of ``text`` is. Never raises."""
    plain = _OF_THE_ORM.match(text)
    if plain:
        return Statement(SELECT, plain[2])
    try:
        return _statement(_Tokens(text), {})
    except RecursionError:
        # Hundreds of WITH, each within another.
        return _UNKNOWN


_UNKNOWN = Statement(OTHER, "")

_OF_THE_ORM = re.compile(
    r"""
    SELECT\ (?:DISTINCT\ )?
    (?: (["`])\w+\1\.\1\w+\1 (?:\ AS\ \1\w+\1)? ,?\  )+
    FROM\ \1(\w+)\1(?=[ ;]|\Z)
    """,
    re.VERBOSE,
)
"""The statements that are most of an application's, found ten times as fast."""

_TOKEN = re.compile(
    r"""
      (?P<word> [^\W\d] [\w$]* )
    | (?P<quoted> "[^"]*(?:""[^"]*)*"? | `[^`]*(?:``[^`]*)*`? | \[[^\]]*\]? )
    | (?P<ignored> \s+ | --[^\n]* | /\*.*?(?:\*/|\Z) )
    | (?P<value>
        '[^']*(?:''[^']*)*'? | \$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z) | %\(\w*\)s | \d[\w.]*
      )
    | (?P<sign> . )
    """,
    re.DOTALL | re.VERBOSE,
)
"""The words of SQL; whatever is not closed goes to the end of the text."""

_END = ("end", "")
_OPENED = {"(": 1, ")": -1}
Token = tuple[str, str]


class _Tokens:
    """Read a text word by word; ``depth`` is the number of open parentheses."""

    def __init__(self, text: str) -> None:
        self._found = self._read(text)
        self._returned: list[Token] = []
        self.depth = 0

    @staticmethod
    def _read(text: str) -> Iterator[Token]:
        for match in _TOKEN.finditer(text):
            kind = match.lastgroup or "sign"
            if kind == "word":
                yield kind, match[0].upper()
            elif kind == "quoted":
                yield kind, match[0]
            elif kind != "ignored":
                yield "sign", match[0]

    def take(self) -> Token:
        """Return the next token; words are in capitals."""
        token = self._returned.pop() if self._returned else next(self._found, _END)
        self.depth += _OPENED.get(token[1], 0)
        return token

    def put_back(self, token: Token) -> None:
        """Have ``token`` taken again."""
        self.depth -= _OPENED.get(token[1], 0)
        self._returned.append(token)

    def take_past(self, words: frozenset[str]) -> Token:
        """Return the next token that is none of ``words``."""
        token = self.take()
        while token[1] in words:
            token = self.take()
        return token

    def leave(self, depth: int) -> None:
        """Skip to the parenthesis that closes what was opened at ``depth``."""
        while self.depth > depth and self.take() is not _END:
            pass

    def find(self, word: str, depth: int) -> bool:
        """Skip past ``word``, where no more than ``depth`` parentheses are open."""
        before = last = ""
        while True:
            kind, text = token = self.take()
            if token is _END or self.depth < depth or (text == ";" and self.depth == depth):
                return False
            if kind == "word" and self.depth == depth:
                # IS DISTINCT FROM compares two values.
                if text == word and not (last == "DISTINCT" and before in ("IS", "NOT")):
                    return True
                before, last = last, text


Names = Mapping[str, str]
"""The names that WITH gives, in capitals, and the table behind each."""


def _statement(tokens: _Tokens, names: Names) -> Statement:
    kind, verb = tokens.take_past(_BEFORE_A_VERB)
    if kind != "word":
        return _UNKNOWN
    if verb == "WITH":
        return _statement_with(tokens, names)
    if verb in _TRANSACTIONS:
        return Statement(_transaction(verb, tokens), "")
    if verb in _DDL:
        return Statement(DDL, _defined(verb, tokens))
    if verb not in _READERS:
        return _UNKNOWN
    operation, reader = _READERS[verb]
    table = reader(tokens)
    return Statement(operation, names.get(table.upper(), table))


_BEFORE_A_VERB = frozenset({"(", ";"})


def _statement_with(tokens: _Tokens, outer: Names) -> Statement:
    names = dict(outer)
    token = tokens.take_past(frozenset({"RECURSIVE"}))
    while token[0] in ("word", "quoted"):
        name = _unquoted(token)
        depth = tokens.depth
        if not tokens.find("AS", depth):
            return _UNKNOWN
        tokens.take_past(frozenset({"NOT", "MATERIALIZED"}))
        names[name.upper()] = _statement(tokens, names).table
        tokens.leave(depth)
        after = tokens.take()
        if after[1] != ",":
            tokens.put_back(after)
            return _statement(tokens, names)
        token = tokens.take()
    return _UNKNOWN


def _name(tokens: _Tokens, token: Token) -> str:
    """Return the last part of the name that begins with ``token``."""
    if token[0] not in ("word", "quoted"):
        return ""
    dot = tokens.take()
    while dot[1] == ".":
        token, dot = tokens.take(), tokens.take()
    tokens.put_back(dot)
    return _unquoted(token)


def _unquoted(token: Token) -> str:
    kind, text = token
    if kind != "quoted":
        return text
    mark = "]" if text[0] == "[" else text[0]
    inner = text[1:-1] if len(text) > 1 and text[-1] == mark else text[1:]
    return inner.replace(mark * 2, mark)


def _selected(tokens: _Tokens) -> str:
    while tokens.find("FROM", tokens.depth):
        kind, text = token = tokens.take_past(_BEFORE_A_TABLE)
        if text != "SELECT" or kind != "word":
            return _name(tokens, token)
    return ""


_BEFORE_A_TABLE = frozenset({"(", "ONLY", "LATERAL"})


def _inserted(tokens: _Tokens) -> str:
    return _name(tokens, tokens.take_past(_BEFORE_INSERTED))


_BEFORE_INSERTED = frozenset(
    [
        "INTO",
        "OR",
        "REPLACE",
        "ROLLBACK",
        "ABORT",
        "FAIL",
        "IGNORE",
        "LOW_PRIORITY",
        "HIGH_PRIORITY",
        "DELAYED",
        "ALL",
    ]
)


def _updated(tokens: _Tokens) -> str:
    return _name(tokens, tokens.take_past(_BEFORE_INSERTED | _BEFORE_A_TABLE))


def _deleted(tokens: _Tokens) -> str:
    token = tokens.take_past(_BEFORE_DELETED)
    if token == ("word", "FROM"):
        return _name(tokens, tokens.take_past(_BEFORE_A_TABLE))
    # Oracle does without FROM; MySQL names a table, or its alias, before it.
    named = _name(tokens, token)
    if tokens.find("FROM", tokens.depth):
        return _name(tokens, tokens.take_past(_BEFORE_A_TABLE))
    return named


_BEFORE_DELETED = frozenset({"LOW_PRIORITY", "QUICK", "IGNORE"})

_READERS = {
    "SELECT": (SELECT, _selected),
    "INSERT": (INSERT, _inserted),
    "REPLACE": (INSERT, _inserted),
    "UPDATE": (UPDATE, _updated),
    "DELETE": (DELETE, _deleted),
    "MERGE": (OTHER, _inserted),
}


def _transaction(verb: str, tokens: _Tokens) -> str:
    expected = _TRANSACTIONS[verb]
    is_one = not expected or tokens.take_past(_BEFORE_TRANSACTION)[1] in expected
    return TRANSACTION if is_one else OTHER


_BEFORE_TRANSACTION = frozenset({"GLOBAL", "LOCAL", "SESSION", "CHARACTERISTICS", "AS"})
_BEGINNINGS = frozenset(
    [
        "TRANSACTION",
        "WORK",
        "TRAN",
        "DEFERRED",
        "IMMEDIATE",
        "EXCLUSIVE",
        "CONCURRENT",
        "ISOLATION",
        "READ",
        "NOT",
        ";",
    ]
)
_TRANSACTIONS: Mapping[str, frozenset[str]] = {
    # By itself it begins a transaction, before statements a block of them.
    "BEGIN": _BEGINNINGS | {""},
    "START": frozenset({"TRANSACTION"}),
    "SET": frozenset({"TRANSACTION"}),
    "PREPARE": frozenset({"TRANSACTION"}),
    **dict.fromkeys(("COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "END", "ABORT"), frozenset()),
}
"""The first words, and the second ones if not all are of a transaction."""

_DDL = frozenset({"CREATE", "ALTER", "DROP", "TRUNCATE", "RENAME", "COMMENT"})
_DEFINED_ON_A_TABLE = frozenset({"INDEX", "TRIGGER", "POLICY", "RULE"})
_BEFORE_DEFINED = frozenset({"IF", "NOT", "EXISTS", "ONLY", "TABLE"})
_MOST_WORDS_BEFORE_DEFINED = 6


def _defined(verb: str, tokens: _Tokens) -> str:
    if verb == "TRUNCATE":
        return _name(tokens, tokens.take_past(_BEFORE_DEFINED))
    for _ in range(_MOST_WORDS_BEFORE_DEFINED):
        _, text = tokens.take()
        if text == "TABLE":
            return _name(tokens, tokens.take_past(_BEFORE_DEFINED))
        if text in _DEFINED_ON_A_TABLE:
            is_there = tokens.find("ON", tokens.depth)
            return _name(tokens, tokens.take_past(_BEFORE_DEFINED)) if is_there else ""
    return ""
