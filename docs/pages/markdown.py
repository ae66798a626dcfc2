"""Pieces of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

NOTICE = "<!-- Written by docs/generate.py; change the declarations instead. -->"

_ROLE = re.compile(r":\w+:`~?([^`]+)`")


def page(*parts: str) -> str:
    """Return a page made of its parts."""
    return "\n\n".join(parts) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a column whose head ends in a colon is one of numbers."""
    rules = ["---:" if head.endswith(":") else "---" for head in heads]
    lines = [[head.removesuffix(":") for head in heads], rules, *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def bullets(items: Iterable[str]) -> str:
    """Return a list."""
    return "\n".join(f"- {item}" for item in items)


def sentence(docstring: str) -> str:
    """Return what a docstring says, which is reStructuredText, as a sentence of Markdown."""
    text = " ".join(_ROLE.sub(r"`\1`", docstring).replace("``", "`").split())
    return text[:1].upper() + text[1:]


def replaced(text: str, name: str, part: str) -> str:
    """Return ``text`` with what is between the marks of ``name`` replaced by ``part``.

    Raises ``ValueError`` unless ``text`` has the two marks, once.
    """
    begin, end = f"<!-- begin {name}", f"<!-- end {name} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"A page should have the marks of {name!r}, once.")
    before, _, rest = text.partition(begin)
    mark, _, rest = rest.partition("-->")
    after = rest.partition(end)[2]
    return f"{before}{begin}{mark}-->\n{part}\n{end}{after}"


def prose(text: str) -> Iterator[str]:
    """Yield the paragraphs of a page that are neither front matter, headings nor code."""
    body = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"^(`{3,}|:{3,}).*?^\1$", "", body, flags=re.DOTALL | re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n", body):
        if re.match(r"\s*(#|\||- |\(.*\)=|$)", paragraph) is None:
            yield " ".join(paragraph.split())
