"""The tokens of one SQL text, with ways to skip what need not be looked at."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tachikoma_metrics.database.sql.dialects import Dialect

_MOST_STEPS = 600
"""How much work one text may be: about a millisecond."""
_CHARACTERS_A_STEP = 8
_MOST_STEPS_A_MATCH = 8

_LARGEST_PIECE = 4096
_SMALLEST_PIECE = 64
_CHARACTERS_OF_PIECES_A_STEP = 800
_NO_SIGNS = bytes(set(range(256)) - set(b"()'\"`[$#"))
_NESTED = re.compile(r"/\*|\*/")
_NO_CLAUSE = re.compile(r"(?:(?<![\w$.:@%])AS|\bIS\s+(?:NOT\s+)?DISTINCT)\s+\Z", re.IGNORECASE)
"""What stands before a FROM that is a column's alias, or compares two values."""
_LAST = 200
"""How many characters are looked at of what was taken already."""


class Token(NamedTuple):
    """A word (``text`` in capitals), a quoted name, a sign or a value, as it is written."""

    kind: str
    text: str
    raw: str

    @property
    def is_name(self) -> bool:
        """Whether it may be a name; so may be words that mean something elsewhere."""
        return self.kind in ("word", "quoted")


END: Final = Token("end", "", "")


class Unreadable(Exception):
    """Raised when a text takes more work than it is worth, or is nested too deeply."""


class Tokens:
    """Reads a text from the left; ``depth`` is the number of open parentheses."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        self._text = text
        self._dialect = dialect
        self._at = 0
        self._steps = _MOST_STEPS
        self._next: tuple[Token, int] | None = None
        self.depth = 0

    def take(self) -> Token:
        """Return the next token, and go past it."""
        token, self._at = self._next or self._read(self._at)
        self._next = None
        if token.text == "(":
            self.depth += 1
        elif token.text == ")":
            self.depth -= 1
        return token

    def peek(self) -> Token:
        """Return the token that is taken next."""
        if self._next is None:
            self._next = self._read(self._at)
        return self._next[0]

    def take_past(self, words: frozenset[str]) -> Token:
        """Return the next token that is none of ``words``."""
        token = self.take()
        while token.text in words:
            token = self.take()
        return token

    def take_if(self, *words: str) -> bool:
        """Go past the next token if it is one of ``words``; tell whether it was."""
        is_one = self.peek().text in words
        if is_one:
            self.take()
        return is_one

    def mark(self) -> tuple[int, int]:
        """Return the place to come back to with ``go_back``."""
        return self._at, self.depth

    def go_back(self, mark: tuple[int, int]) -> None:
        """Have what was taken since ``mark`` taken again."""
        self._at, self.depth = mark
        self._next = None

    def leave(self, depth: int) -> None:
        """Skip past the parenthesis that closes what was opened at ``depth``."""
        self._next = None
        self._skip_pieces(depth)
        while self.depth > depth:
            sign = self._run(self._dialect.in_parentheses)
            if not sign:
                return
            self._pass(sign)

    def find_from(self) -> bool:
        """Skip past the next FROM at this depth, if what is read now has one."""
        self._next = None
        depth = self.depth
        while True:
            sign = self._run(self._dialect.before_from)
            if sign in ("", ")", ";"):
                return False
            if sign in ("f", "F"):
                self._at += 4
                if not self._is_no_clause(self._at - 4):
                    return True
            else:
                self._pass(sign)
                self.leave(depth)

    def find(self, *words: str) -> Token:
        """Take tokens up to one of ``words`` at this depth, or where that ends; return it."""
        depth = self.depth
        while True:
            token = self.peek()
            if token is END or (self.depth == depth and token.text in (")", ";")):
                return END
            self.take()
            if self.depth > depth:
                self.leave(depth)
            elif token.kind == "word" and token.text in words:
                return token

    def was_preceded_by(self, pattern: re.Pattern[str]) -> bool:
        """Tell whether ``pattern`` is found in the last of what was taken."""
        return pattern.search(self._text, max(0, self._at - _LAST), self._at) is not None

    # --- text ---------------------------------------------------------------

    def _read(self, at: int) -> tuple[Token, int]:
        while True:
            self._spend(1)
            match = self._dialect.token.match(self._text, at)
            if match is None:
                return END, at
            kind, at = match.lastgroup or "sign", match.end()
            if kind == "word":
                raw = match[kind]
                return Token(kind, raw.upper(), raw), at
            if kind == "block":
                at = self._after_comment(at)
            elif kind == "dollars":
                at = self._after(match[kind], at)
                return Token("value", "$$", ""), at
            elif kind != "ignored":
                raw = match[kind]
                return Token(kind, raw, raw), at

    def _after(self, mark: str, at: int) -> int:
        found = self._text.find(mark, at)
        return len(self._text) if found < 0 else found + len(mark)

    def _after_comment(self, at: int) -> int:
        if not self._dialect.has_nested_comments:
            return self._after("*/", at)
        depth = 1
        while depth:
            self._spend(1)
            match = _NESTED.search(self._text, at)
            if match is None:
                return len(self._text)
            depth += 1 if match[0] == "/*" else -1
            at = match.end()
        return at

    def _run(self, pattern: re.Pattern[str]) -> str:
        """Go past what ``pattern`` matches; return the character after it, "" at the end."""
        while True:
            match = pattern.match(self._text, self._at)
            end = match.end() if match else self._at
            passed, self._at = end - self._at, end
            self._spend(1 + min(passed // _CHARACTERS_A_STEP, _MOST_STEPS_A_MATCH))
            if not passed:
                return self._text[end : end + 1]

    def _pass(self, sign: str) -> None:
        if sign == "(":
            self.depth += 1
            self._at += 1
        elif sign == ")":
            self.depth -= 1
            self._at += 1
        else:
            self._at = self._read_one(self._at)

    def _read_one(self, at: int) -> int:
        """Return the end of the comment or the value at ``at``."""
        match = self._dialect.token.match(self._text, at)
        if match is None:
            return at + 1
        if match.lastgroup == "block":
            return self._after_comment(match.end())
        if match.lastgroup == "dollars":
            return self._after(match[0], match.end())
        return match.end()

    def _skip_pieces(self, depth: int) -> None:
        """Skip whole pieces of text in which nothing closes what was opened at ``depth``.

        Thousands of rows of values are so passed a hundred times as fast.
        """
        size = _LARGEST_PIECE if len(self._text) - self._at > 2 * _LARGEST_PIECE else 0
        while size >= _SMALLEST_PIECE and self.depth > depth:
            if len(self._text) - self._at < size or not self._skip_piece(size, depth):
                size //= 8

    def _skip_piece(self, size: int, depth: int) -> bool:
        piece = self._text[self._at : self._at + size].rstrip("-/")
        if "--" in piece or "/*" in piece:
            return False
        signs = piece.encode("latin-1", "replace").translate(None, _NO_SIGNS)
        # Those that open and close within the piece, and within those.
        signs = signs.replace(b"()", b"").replace(b"()", b"")
        closed = signs.count(b")")
        opened = len(signs) - closed
        self._spend(1 + size // _CHARACTERS_OF_PIECES_A_STEP + opened // _CHARACTERS_A_STEP)
        if signs != b")" * closed + b"(" * opened or self.depth - closed <= depth:
            return False
        self.depth += opened - closed
        self._at += len(piece)
        return bool(piece)

    def _is_no_clause(self, at: int) -> bool:
        return _NO_CLAUSE.search(self._text, max(0, at - _LAST), at) is not None

    def _spend(self, steps: int) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise Unreadable
