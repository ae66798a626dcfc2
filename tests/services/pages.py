"""Metrics pages, read fast: tests read hundreds of them."""

from __future__ import annotations

import re
from functools import lru_cache

Labels = frozenset[tuple[str, str]]
Page = dict[tuple[str, Labels], float]

_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')
_ESCAPED = re.compile(r"\\(.)")
_NAME = re.compile(r"[a-zA-Z_:][\w:]*")


def read(text: str) -> Page:
    """Return the samples of a page in text 0.0.4 by name and labels, as ``parse_text`` does.

    Raises ``ValueError`` for a line that is no sample, and for a sample that is there twice.
    """
    page: Page = {}
    for line in text.split("\n"):
        if line and not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            key = _series(series)
            if key in page:
                raise ValueError(f"{series} is on the page twice")
            page[key] = float(value)
    return page


@lru_cache(maxsize=100_000)
def _series(text: str) -> tuple[str, Labels]:
    """Return name and labels; the series of one page are those of the next."""
    name, brace, rest = text.partition("{")
    if not _NAME.fullmatch(name) or (brace and not rest.endswith("}")):
        raise ValueError(f"{text} is no series")
    inside, place, labels = rest[:-1], 0, set()
    while place < len(inside):
        match = _LABEL.match(inside, place)
        if match is None:
            raise ValueError(f"{text} is no series")
        labels.add((match[1], _ESCAPED.sub(_unescaped, match[2])))
        place = match.end()
    return name, frozenset(labels)


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
