"""How each database writes strings, names and comments, as regular expressions.

Sources are the lexical rules in the manuals: PostgreSQL ("Lexical Structure"), MySQL
("Language Structure"), SQLite ("SQL Language Expressions", "SQL Comment Syntax"), SQL
Server ("Database Identifiers", "Slash Star") and Oracle ("Literals", "Comments").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_MOST_AT_ONCE = 50
"""How many parts one match of a run takes: the engine keeps something for each of them."""

_MOST_WITHIN = 20
"""How many strings and names may stand in parentheses that are passed as a whole."""


@dataclass(frozen=True, eq=False)
class Dialect:
    """The rules of one database.

    ``token`` matches one token, with the white space before it. ``in_parentheses`` and
    ``before_from`` match runs of text: the first stops at parentheses, the second at a
    semicolon and at the word FROM as well; both stop at comments. ``plain`` matches
    the commonest statements of Django's ORM up to their table.
    """

    token: re.Pattern[str]
    in_parentheses: re.Pattern[str]
    before_from: re.Pattern[str]
    plain: re.Pattern[str]
    fold: Callable[[str], str]
    """Coalescer a name that is not quoted into the one that the database looks up."""
    compares_exactly: bool
    """Whether names that differ in case are different names."""
    has_nested_comments: bool
    joins_in_writes: bool
    """Whether UPDATE and DELETE may join tables, and name an alias as their target."""
    writes_to_names: bool
    """Whether INSERT, UPDATE and DELETE may name what WITH defines as their target."""
    recurses_always: bool
    """Whether WITH is recursive without saying so."""
    has_batches: bool
    """Whether SET and DECLARE may stand before a statement in one text."""


# --- parts ------------------------------------------------------------------
#
# What is not closed goes to the end of the text. In a run, strings and names have to be
# closed, and match in one way only: the engine, which tries all ways, would take for ever.


class _Quoted(NamedTuple):
    """How one kind of a string or a name is written: as a token, and within a run."""

    token: str
    passed: str


_ESCAPED = r"[^'\\]*(?:\\.[^'\\]*)*"
_ESCAPED_OR_DOUBLED = r"[^'\\]*(?:(?:\\.|'')[^'\\]*)*"

# Where a quote is doubled, these are two of them, which is as good.
_STRING = _Quoted(r"'[^']*'?", r"'[^']*'")
_STRING_OF_MYSQL = _Quoted(rf"'{_ESCAPED}'?", rf"'{_ESCAPED}'")
_STRING_OF_POSTGRESQL = _Quoted(
    rf"(?<=\b[eE])'{_ESCAPED_OR_DOUBLED}'?|{_STRING.token}",
    rf"(?<=\b[eE])'{_ESCAPED_OR_DOUBLED}'|{_STRING.passed}",
)
_WITH_Q = r"(?:(?<=\b[qQ])|(?<=\b[nN][qQ]))"
_STRING_OF_ORACLE = _Quoted(
    *(
        rf"{_WITH_Q}'(?:\[.*?(?:\]'|\Z)|\{{.*?(?:\}}'|\Z)|\(.*?(?:\)'|\Z)|<.*?(?:>'|\Z)"
        rf"|(?P<mark>[^\s\[{{(<]).*?(?:(?P=mark)'|\Z))|(?!{_WITH_Q}){plain}"
        for plain in _STRING
    )
)

# No database takes names so long that a quote could be doubled in them 99 times.
_DOUBLE_QUOTES = _Quoted(r'"[^"]*(?:""[^"]*){,99}"?', r'"[^"]*"')
_DOUBLE_QUOTES_OF_POSTGRESQL = _Quoted(rf"(?:[uU]&)?{_DOUBLE_QUOTES.token}", _DOUBLE_QUOTES.passed)
# A string, or a name under ANSI_QUOTES. Where a table is named, it can only be a name.
_DOUBLE_QUOTES_OF_MYSQL = _Quoted(r'"[^"\\]*(?:(?:\\.|"")[^"\\]*)*"?', r'"[^"\\]*(?:\\.[^"\\]*)*"')
_DOUBLE_QUOTES_OF_ORACLE = _Quoted(r'"[^"]*"?', r'"[^"]*"')
_BACKTICKS = _Quoted(r"`[^`]*(?:``[^`]*){,99}`?", r"`[^`]*`")
_BRACKETS = _Quoted(r"\[[^\]]*\]?", r"\[[^\]]*\]")
_BRACKETS_OF_SQL_SERVER = _Quoted(
    r"\[[^\]]*(?:\]\][^\]]*){,99}\]?", r"\[[^\]]*\](?:\][^\]]*\]){,99}"
)
# With nothing between them, it is the subscript of an array.
_BRACKETS_OR_SUBSCRIPTS = _Quoted(*(rf"(?<![\w\])\"`]){one}" for one in _BRACKETS))

_COMMENT = r"--[^\n]*"
_COMMENT_OF_POSTGRESQL = r"--[^\n\r]*"
_COMMENT_OF_MYSQL = r"--(?=[\s\x00-\x1f]|\Z)[^\n]*|\#[^\n]*"
# What stands in these is carried out.
_EXECUTABLE_COMMENT = r"/\*M?![0-9]*|\*/"

_DOLLARS = r"\$(?:[^\W\d]\w*)?\$"
_NUMBER_OR_PARAMETER = r"\d[\w.]*|%\([^)]*\)[a-z]"

_WORD = r"[^\W\d][\w$]*"
_WORD_OF_ORACLE = r"[^\W\d][\w$\#]*"
_WORD_OF_SQL_SERVER = r"[@\#]*[^\W\d][\w@$\#]*"


# --- patterns ---------------------------------------------------------------


def _dialect(
    *,
    quotes: Mapping[str, _Quoted],
    plain_name: str = r'"\w+"',
    string: _Quoted = _STRING,
    word: str = _WORD,
    comment: str = _COMMENT,
    ignored: str = "",
    dollars: str = "",
    fold: Callable[[str], str] = str,
    compares_exactly: bool = False,
    has_nested_comments: bool = False,
    joins_in_writes: bool = False,
    writes_to_names: bool = False,
    recurses_always: bool = False,
    has_batches: bool = False,
) -> Dialect:
    # What opens a string, a name or a comment.
    marks = "'/-" + "".join(quotes) + "$" * bool(dollars) + "#" * (comment == _COMMENT_OF_MYSQL)
    passed = [*(one.passed for one in quotes.values()), string.passed]
    signs = [rf"(?!{comment})-", r"/(?!\*)"]
    if dollars:
        signs.append(rf"(?:(?<=\w)|(?!{dollars}))\$")
    return Dialect(
        token=_token(
            {
                "quoted": "|".join(one.token for one in quotes.values()),
                "word": word,
                "ignored": "|".join(filter(None, [comment, ignored])),
                "block": r"/\*",
                "dollars": dollars,
                "value": f"{string.token}|{_NUMBER_OR_PARAMETER}",
                "sign": ".",
            }
        ),
        in_parentheses=_run(marks, passed, signs),
        before_from=_run(marks, passed, signs, [_NO_FROM], ";fF"),
        plain=_plain(plain_name, has_batches),
        fold=fold,
        compares_exactly=compares_exactly,
        has_nested_comments=has_nested_comments,
        joins_in_writes=joins_in_writes,
        writes_to_names=writes_to_names,
        recurses_always=recurses_always,
        has_batches=has_batches,
    )


_NO_FROM = r"(?:(?<=[\w$@#:.%])|(?![fF][rR][oO][mM]\b))[fF]"


def _token(kinds: Mapping[str, str]) -> re.Pattern[str]:
    groups = [f"(?P<{kind}>{pattern})" for kind, pattern in kinds.items() if pattern]
    return re.compile(rf"\s*(?:{'|'.join(groups)})", re.DOTALL)


def _run(
    marks: str, strings: list[str], signs: list[str], others: Sequence[str] = (), more: str = ""
) -> re.Pattern[str]:
    """Return what matches a run of text up to a parenthesis, a comment or one of ``more``."""
    stops = re.escape("()" + marks)
    # Parentheses with no others inside are passed as a whole: calls, rows of values.
    within = (
        "|".join([*strings, *signs]).replace("?P<mark>", "?P<inner>").replace("?P=mark", "?P=inner")
    )
    flat = rf"\([^{stops}]*(?:(?:{within})[^{stops}]*){{,{_MOST_WITHIN}}}\)"
    parts = "|".join([f"[^{stops}{more}]+", *others, *strings, flat, *signs])
    return re.compile(f"(?:{parts}){{,{_MOST_AT_ONCE}}}", re.DOTALL)


def _plain(name: str, has_batches: bool) -> re.Pattern[str]:
    column = rf"{name}(?:\.{name})+(?: AS {name})?"
    # No more columns than can be given up quickly, should something else follow them.
    columns = rf"(?:{column},? ){{1,400}}"
    table = rf"{name}(?:\.{name})?"
    select = rf"SELECT (?:DISTINCT )?{columns}FROM (?P<selected>{table})(?=[ ;]|\Z)"
    if has_batches:
        # What is written to may be an alias there.
        return re.compile(select)
    return re.compile(
        rf"{select}|INSERT INTO (?P<inserted>{table}) \(|UPDATE (?P<updated>{table}) SET "  # noqa: S608  # It reads SQL, and makes none.
        rf"|DELETE FROM (?P<deleted>{table})(?= WHERE |\Z)"
    )


# --- databases --------------------------------------------------------------

STANDARD = _dialect(
    quotes={'"': _DOUBLE_QUOTES, "`": _BACKTICKS, "[": _BRACKETS_OR_SUBSCRIPTS},
    plain_name=r'(?:"\w+"|`\w+`)',
    dollars=_DOLLARS,
    fold=str.upper,
    joins_in_writes=True,
)
"""What is read of the others: the marks of all of them that do not contradict each other."""

DIALECTS: Mapping[str, Dialect] = {
    "postgresql": _dialect(
        quotes={'"': _DOUBLE_QUOTES_OF_POSTGRESQL},
        string=_STRING_OF_POSTGRESQL,
        comment=_COMMENT_OF_POSTGRESQL,
        dollars=_DOLLARS,
        fold=str.lower,
        compares_exactly=True,
        has_nested_comments=True,
    ),
    "mysql": _dialect(
        quotes={'"': _DOUBLE_QUOTES_OF_MYSQL, "`": _BACKTICKS},
        plain_name=r"`\w+`",
        string=_STRING_OF_MYSQL,
        comment=_COMMENT_OF_MYSQL,
        ignored=_EXECUTABLE_COMMENT,
        joins_in_writes=True,
    ),
    "sqlite": _dialect(
        quotes={'"': _DOUBLE_QUOTES, "`": _BACKTICKS, "[": _BRACKETS},
        recurses_always=True,
    ),
    "oracle": _dialect(
        quotes={'"': _DOUBLE_QUOTES_OF_ORACLE},
        string=_STRING_OF_ORACLE,
        word=_WORD_OF_ORACLE,
        fold=str.upper,
        compares_exactly=True,
        recurses_always=True,
    ),
    "microsoft": _dialect(
        quotes={'"': _DOUBLE_QUOTES, "[": _BRACKETS_OF_SQL_SERVER},
        plain_name=r"\[\w+\]",
        word=_WORD_OF_SQL_SERVER,
        has_nested_comments=True,
        joins_in_writes=True,
        writes_to_names=True,
        recurses_always=True,
        has_batches=True,
    ),
}
"""The rules by what Django calls the vendor of a connection."""
