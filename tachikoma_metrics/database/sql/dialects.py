"""The lexical rules of each database, as regular expressions: strings, names and comments.

Sources are the lexical rules in the manuals: PostgreSQL ("Lexical Structure"), MySQL
("Language Structure"), SQLite ("SQL Language Expressions", "SQL Comment Syntax"), SQL
Server ("Database Identifiers", "Slash Star") and Oracle ("Literals", "Comments").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_MAX_PARTS_PER_MATCH = 50
"""How many parts one match of a run takes: the regular expression engine keeps state for each."""

_MAX_QUOTED_IN_PARENTHESES = 20
"""How many strings and names may stand in parentheses that are skipped as a whole."""


@dataclass(frozen=True, eq=False)
class Dialect:
    """The lexical and grammatical rules of one database.

    ``token`` matches one token, with the white space before it. ``in_parentheses`` and
    ``before_from`` match runs of text: the first stops at parentheses, the second at a
    semicolon and at the word FROM as well; both stop at comments. ``orm_statement`` matches
    the most frequent statements of Django's ORM up to their table.
    """

    token: re.Pattern[str]
    in_parentheses: re.Pattern[str]
    before_from: re.Pattern[str]
    orm_statement: re.Pattern[str]
    fold_case: Callable[[str], str]
    """Fold an unquoted name to the case in which the database looks it up."""
    is_case_sensitive: bool
    """Whether names that differ in case only are different names."""
    has_nested_comments: bool
    joins_in_writes: bool
    """Whether UPDATE and DELETE may join tables, and name an alias as their target."""
    writes_to_ctes: bool
    """Whether a common table expression may be the target of INSERT, UPDATE and DELETE."""
    has_implicit_recursion: bool
    """Whether WITH is recursive without the keyword RECURSIVE."""
    has_batches: bool
    """Whether SET and DECLARE may stand before a statement in one text."""


# --- parts ------------------------------------------------------------------
#
# A string or a comment without its end extends to the end of the text. In a run, strings and
# names have to be closed, and match in one way only: otherwise backtracking takes exponential
# time.


class _Quoted(NamedTuple):
    """The patterns of one kind of string or name: as a token, and within a run."""

    token: str
    in_run: str


_ESCAPED = r"[^'\\]*(?:\\.[^'\\]*)*"
_ESCAPED_OR_DOUBLED = r"[^'\\]*(?:(?:\\.|'')[^'\\]*)*"

# A doubled quote is matched as two adjacent strings, which has the same effect.
_STRING = _Quoted(r"'[^']*'?", r"'[^']*'")
_STRING_OF_MYSQL = _Quoted(rf"'{_ESCAPED}'?", rf"'{_ESCAPED}'")
_STRING_OF_POSTGRESQL = _Quoted(
    rf"(?<=\b[eE])'{_ESCAPED_OR_DOUBLED}'?|{_STRING.token}",
    rf"(?<=\b[eE])'{_ESCAPED_OR_DOUBLED}'|{_STRING.in_run}",
)
_WITH_Q = r"(?:(?<=\b[qQ])|(?<=\b[nN][qQ]))"
_STRING_OF_ORACLE = _Quoted(
    *(
        rf"{_WITH_Q}'(?:\[.*?(?:\]'|\Z)|\{{.*?(?:\}}'|\Z)|\(.*?(?:\)'|\Z)|<.*?(?:>'|\Z)"
        rf"|(?P<mark>[^\s\[{{(<]).*?(?:(?P=mark)'|\Z))|(?!{_WITH_Q}){plain}"
        for plain in _STRING
    )
)

# No database accepts names so long that they could contain 99 doubled quotes.
_DOUBLE_QUOTES = _Quoted(r'"[^"]*(?:""[^"]*){,99}"?', r'"[^"]*"')
_DOUBLE_QUOTES_OF_POSTGRESQL = _Quoted(rf"(?:[uU]&)?{_DOUBLE_QUOTES.token}", _DOUBLE_QUOTES.in_run)
# A string, or a name under ANSI_QUOTES. Where a table is named, it can only be a name.
_DOUBLE_QUOTES_OF_MYSQL = _Quoted(r'"[^"\\]*(?:(?:\\.|"")[^"\\]*)*"?', r'"[^"\\]*(?:\\.[^"\\]*)*"')
_DOUBLE_QUOTES_OF_ORACLE = _Quoted(r'"[^"]*"?', r'"[^"]*"')
_BACKTICKS = _Quoted(r"`[^`]*(?:``[^`]*){,99}`?", r"`[^`]*`")
_BRACKETS = _Quoted(r"\[[^\]]*\]?", r"\[[^\]]*\]")
_BRACKETS_OF_SQL_SERVER = _Quoted(
    r"\[[^\]]*(?:\]\][^\]]*){,99}\]?", r"\[[^\]]*\](?:\][^\]]*\]){,99}"
)
# Directly after a name, it is the subscript of an array.
_BRACKETS_OR_SUBSCRIPTS = _Quoted(*(rf"(?<![\w\])\"`]){one}" for one in _BRACKETS))

_COMMENT = r"--[^\n]*"
_COMMENT_OF_POSTGRESQL = r"--[^\n\r]*"
_COMMENT_OF_MYSQL = r"--(?=[\s\x00-\x1f]|\Z)[^\n]*|\#[^\n]*"
# MySQL executes the content of these.
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
    orm_name: str = r'"\w+"',
    string: _Quoted = _STRING,
    word: str = _WORD,
    comment: str = _COMMENT,
    ignored: str = "",
    dollars: str = "",
    fold_case: Callable[[str], str] = str,
    is_case_sensitive: bool = False,
    has_nested_comments: bool = False,
    joins_in_writes: bool = False,
    writes_to_ctes: bool = False,
    has_implicit_recursion: bool = False,
    has_batches: bool = False,
) -> Dialect:
    # The characters that open a string, a name or a comment.
    marks = "'/-" + "".join(quotes) + "$" * bool(dollars) + "#" * (comment == _COMMENT_OF_MYSQL)
    strings = [*(one.in_run for one in quotes.values()), string.in_run]
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
        in_parentheses=_run(marks, strings, signs),
        before_from=_run(marks, strings, signs, [_NO_FROM], ";fF"),
        orm_statement=_orm_statement(orm_name, has_batches),
        fold_case=fold_case,
        is_case_sensitive=is_case_sensitive,
        has_nested_comments=has_nested_comments,
        joins_in_writes=joins_in_writes,
        writes_to_ctes=writes_to_ctes,
        has_implicit_recursion=has_implicit_recursion,
        has_batches=has_batches,
    )


_NO_FROM = r"(?:(?<=[\w$@#:.%])|(?![fF][rR][oO][mM]\b))[fF]"


def _token(kinds: Mapping[str, str]) -> re.Pattern[str]:
    groups = [f"(?P<{kind}>{pattern})" for kind, pattern in kinds.items() if pattern]
    return re.compile(rf"\s*(?:{'|'.join(groups)})", re.DOTALL)


def _run(
    marks: str, strings: list[str], signs: list[str], others: Sequence[str] = (), more: str = ""
) -> re.Pattern[str]:
    """Return the pattern of a run of text up to a parenthesis, a comment or one of ``more``."""
    stops = re.escape("()" + marks)
    # Parentheses with no others inside are skipped as a whole: calls, rows of values.
    within = (
        "|".join([*strings, *signs]).replace("?P<mark>", "?P<inner>").replace("?P=mark", "?P=inner")
    )
    inside = rf"[^{stops}]*(?:(?:{within})[^{stops}]*){{,{_MAX_QUOTED_IN_PARENTHESES}}}"
    # Matched once, without backtracking, as ``(?>...)`` does from Python 3.11 on: before
    # parentheses inside, each shorter match would be tried, which takes 1 µs for a character.
    flat = rf"\((?=(?P<inside>{inside}))(?P=inside)\)"
    parts = "|".join([f"[^{stops}{more}]+", *others, *strings, flat, *signs])
    return re.compile(f"(?:{parts}){{,{_MAX_PARTS_PER_MATCH}}}", re.DOTALL)


def _orm_statement(name: str, has_batches: bool) -> re.Pattern[str]:
    column = rf"{name}(?:\.{name})+(?: AS {name})?"
    aggregate = rf"[A-Z]+\((?:\*|(?:DISTINCT )?{name}(?:\.{name})+)\) AS {name}|1 AS {name}"
    # Limits, so that backtracking is quick if something else follows the columns.
    columns = rf"(?:{column},? ){{,400}}(?:(?:{aggregate}),? (?:{column},? ){{,100}}){{,20}}"
    table = rf"{name}(?:\.{name})?"
    select = rf"SELECT (?:DISTINCT )?{columns}FROM (?P<selected>{table})(?:[ ;]|\Z)"
    if has_batches:
        # The target of a write may be an alias there.
        return re.compile(select)
    return re.compile(
        rf"{select}|INSERT INTO (?P<inserted>{table}) \(|UPDATE (?P<updated>{table}) SET "  # noqa: S608  # It parses SQL, and builds none.
        rf"|DELETE FROM (?P<deleted>{table})(?: WHERE |\Z)"
    )


# --- databases --------------------------------------------------------------

STANDARD = _dialect(
    quotes={'"': _DOUBLE_QUOTES, "`": _BACKTICKS, "[": _BRACKETS_OR_SUBSCRIPTS},
    orm_name=r'(?:"\w+"|`\w+`)',
    dollars=_DOLLARS,
    fold_case=str.upper,
    joins_in_writes=True,
)
"""The dialect for other databases: all quotes that do not contradict each other."""

DIALECTS: Mapping[str, Dialect] = {
    "postgresql": _dialect(
        quotes={'"': _DOUBLE_QUOTES_OF_POSTGRESQL},
        string=_STRING_OF_POSTGRESQL,
        comment=_COMMENT_OF_POSTGRESQL,
        dollars=_DOLLARS,
        fold_case=str.lower,
        is_case_sensitive=True,
        has_nested_comments=True,
    ),
    "mysql": _dialect(
        quotes={'"': _DOUBLE_QUOTES_OF_MYSQL, "`": _BACKTICKS},
        orm_name=r"`\w+`",
        string=_STRING_OF_MYSQL,
        comment=_COMMENT_OF_MYSQL,
        ignored=_EXECUTABLE_COMMENT,
        joins_in_writes=True,
    ),
    "sqlite": _dialect(
        quotes={'"': _DOUBLE_QUOTES, "`": _BACKTICKS, "[": _BRACKETS},
        has_implicit_recursion=True,
    ),
    "oracle": _dialect(
        quotes={'"': _DOUBLE_QUOTES_OF_ORACLE},
        string=_STRING_OF_ORACLE,
        word=_WORD_OF_ORACLE,
        fold_case=str.upper,
        is_case_sensitive=True,
        has_implicit_recursion=True,
    ),
    "microsoft": _dialect(
        quotes={'"': _DOUBLE_QUOTES, "[": _BRACKETS_OF_SQL_SERVER},
        orm_name=r"\[\w+\]",
        word=_WORD_OF_SQL_SERVER,
        has_nested_comments=True,
        joins_in_writes=True,
        writes_to_ctes=True,
        has_implicit_recursion=True,
        has_batches=True,
    ),
}
"""The dialects, by the ``vendor`` of Django's connections."""
