"""The tokenizer: the tokens of one SQL text, and ways to skip text without tokenizing it."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tachikoma_metrics.database.sql.dialects import Dialect

_MAX_STEPS = 600
"""The work that one text may take: about a millisecond."""
_CHARACTERS_PER_STEP = 8
_MAX_STEPS_PER_MATCH = 8

_LARGEST_CHUNK = 4096
_SMALLEST_CHUNK = 64
_CHARACTERS_OF_CHUNKS_PER_STEP = 800
_NO_SIGNS = bytes(set(range(256)) - set(b"()'\"`[$#"))
_NESTED = re.compile(r"/\*|\*/")
_BEFORE_OTHER_FROM = re.compile(
    r"(?:(?<![\w$.:@%])AS|\bIS\s+(?:NOT\s+)?DISTINCT)\s+\Z", re.IGNORECASE
)
"""The text before a FROM that is a column's alias, or part of IS DISTINCT FROM."""
_LOOK_BEHIND = 200
"""How many of the characters before the position a pattern may look at."""


class Token(NamedTuple):
    """A word (``text`` in capitals), a quoted name, a sign or a value, as written (``raw``)."""

    kind: str
    text: str
    raw: str

    @property
    def is_name(self) -> bool:
        """Whether the token may be a name, as keywords may be in some positions."""
        return self.kind in ("word", "quoted")


END: Final = Token("end", "", "")


class ParseError(Exception):
    """Raised when a text is no SQL, exceeds the work limit, or is nested too deeply."""


class Tokens:
    """The tokens of a text, from the left; ``depth`` is the number of open parentheses."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        self._text = text
        self._dialect = dialect
        self._at = 0
        self._steps = _MAX_STEPS
        self._next: tuple[Token, int] | None = None
        self._seen = 0
        self.depth = 0

    @property
    def seen(self) -> int:
        """Return how far the text was read, white space that may be looked for excluded."""
        return max(self._seen, self._at)

    def see_all(self) -> None:
        """Note that the whole text decides."""
        self._seen = len(self._text) + 1

    def take(self) -> Token:
        """Return the next token, and advance."""
        token, self._at = self._next or self._tokenize(self._at)
        self._next = None
        if token.text == "(":
            self.depth += 1
        elif token.text == ")":
            self.depth -= 1
        return token

    def peek(self) -> Token:
        """Return the next token without advancing."""
        if self._next is None:
            self._next = self._tokenize(self._at)
        return self._next[0]

    def take_past(self, words: frozenset[str]) -> Token:
        """Skip tokens that are one of ``words``; take and return the next."""
        token = self.take()
        while token.text in words:
            token = self.take()
        return token

    def take_if(self, *words: str) -> bool:
        """Take the next token if it is one of ``words``; return whether it was."""
        is_one = self.peek().text in words
        if is_one:
            self.take()
        return is_one

    def mark(self) -> tuple[int, int]:
        """Return the position, to return to with ``go_back``."""
        return self._at, self.depth

    def go_back(self, mark: tuple[int, int]) -> None:
        """Return to a position that ``mark`` returned."""
        self._at, self.depth = mark
        self._next = None

    def leave(self, depth: int) -> None:
        """Skip text until no more than ``depth`` parentheses are open."""
        self._next = None
        self._skip_chunks(depth)
        while self.depth > depth:
            sign = self._skip_run(self._dialect.in_parentheses)
            if not sign:
                return
            self._skip_sign(sign)

    def find_from(self) -> bool:
        """Skip past the FROM of this statement; return whether it has one."""
        self._next = None
        depth = self.depth
        while True:
            sign = self._skip_run(self._dialect.before_from)
            if sign in ("", ")", ";"):
                return False
            if sign in ("f", "F"):
                self._at += 4
                if not self._is_other_from(self._at - 4):
                    return True
            else:
                self._skip_sign(sign)
                self.leave(depth)

    def find(self, *words: str) -> Token:
        """Take tokens up to one of ``words`` at this depth and return it; END if there is none."""
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
        """Return whether the text that was taken last matches ``pattern``."""
        return pattern.search(self._text, max(0, self._at - _LOOK_BEHIND), self._at) is not None

    # --- text ---------------------------------------------------------------

    def _tokenize(self, at: int) -> tuple[Token, int]:
        while True:
            self._spend(1)
            match = self._dialect.token.match(self._text, at)
            if match is None:
                self.see_all()
                return END, at
            kind, at = match.lastgroup or "sign", match.end()
            self._seen = max(self._seen, at)
            if kind == "word":
                raw = match[kind]
                return Token(kind, raw.upper(), raw), at
            if kind == "block":
                at = self._after_comment(at)
                self._seen = max(self._seen, at)
            elif kind == "dollars":
                at = self._after(match[kind], at)
                self._seen = max(self._seen, at)
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

    def _skip_run(self, pattern: re.Pattern[str]) -> str:
        """Skip a match of ``pattern``; return the character after it, "" at the end."""
        while True:
            match = pattern.match(self._text, self._at)
            end = match.end() if match else self._at
            skipped, self._at = end - self._at, end
            self._spend(1 + min(skipped // _CHARACTERS_PER_STEP, _MAX_STEPS_PER_MATCH))
            if not skipped:
                # At the end of the text, one more than there is.
                self._seen = max(self._seen, end + 1)
                return self._text[end : end + 1]

    def _skip_sign(self, sign: str) -> None:
        if sign == "(":
            self.depth += 1
            self._at += 1
        elif sign == ")":
            self.depth -= 1
            self._at += 1
        else:
            self._at = self._end_of_token(self._at)

    def _end_of_token(self, at: int) -> int:
        """Return the end of the comment or the value at ``at``."""
        match = self._dialect.token.match(self._text, at)
        if match is None:
            self.see_all()
            return at + 1
        if match.lastgroup == "block":
            return self._after_comment(match.end())
        if match.lastgroup == "dollars":
            return self._after(match[0], match.end())
        return match.end()

    def _skip_chunks(self, depth: int) -> None:
        """Skip whole chunks of text in which more than ``depth`` parentheses stay open.

        This is a hundred times as fast for thousands of rows of values.
        """
        size = _LARGEST_CHUNK if len(self._text) - self._at > 2 * _LARGEST_CHUNK else 0
        while size >= _SMALLEST_CHUNK and self.depth > depth:
            if len(self._text) - self._at < size or not self._skip_chunk(size, depth):
                size //= 8

    def _skip_chunk(self, size: int, depth: int) -> bool:
        self._seen = max(self._seen, self._at + size)
        chunk = self._text[self._at : self._at + size].rstrip("-/")
        if "--" in chunk or "/*" in chunk:
            return False
        signs = chunk.encode("latin-1", "replace").translate(None, _NO_SIGNS)
        # Drop the pairs that open and close within the chunk, twice for nested ones.
        signs = signs.replace(b"()", b"").replace(b"()", b"")
        closed = signs.count(b")")
        opened = len(signs) - closed
        self._spend(1 + size // _CHARACTERS_OF_CHUNKS_PER_STEP + opened // _CHARACTERS_PER_STEP)
        if signs != b")" * closed + b"(" * opened or self.depth - closed <= depth:
            return False
        self.depth += opened - closed
        self._at += len(chunk)
        return bool(chunk)

    def _is_other_from(self, at: int) -> bool:
        return _BEFORE_OTHER_FROM.search(self._text, max(0, at - _LOOK_BEHIND), at) is not None

    def _spend(self, steps: int) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise ParseError
