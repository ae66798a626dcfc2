"""The pages and their blocks: each in one of a few languages, all of which are tried.

What a block is tried as is said by the word after its fence; a fence without one, or with
another, is a fault. A directive of MyST's is no block, unless it shows code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from sybil import Document, Region
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer
from sybil.typing import Evaluator

ROOT = Path(__file__).resolve().parent.parent.parent
SERVERS = ROOT / "docs" / "guides" / "servers.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"
CELERY = ROOT / "docs" / "guides" / "celery.md"
MIGRATING = ROOT / "docs" / "guides" / "migrating.md"
DJANGO_TASKS = ROOT / "docs" / "guides" / "django-tasks.md"
PAGES = [
    ROOT / "README.md",
    ROOT / "example_project" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]

_ANY_FENCE = re.compile(r"(?P<language>[^\n]*)\n")
_DIRECTIVE = re.compile(r"\{(?P<name>[a-z:-]+)\}")
_SHOWS_CODE = {"code", "code-block", "code-cell", "sourcecode", "literalinclude"}


class Blocks:
    """Find the blocks of a page, for Sybil; raise ``ValueError`` for one nobody can try."""

    def __init__(self, evaluators: dict[str, Evaluator]) -> None:
        self._evaluators = evaluators
        self._lexer = RawFencedCodeBlockLexer(_ANY_FENCE)

    def __call__(self, document: Document) -> Iterable[Region]:
        """Yield the blocks in the order of the page, each with what tries it."""
        for region in self._lexer(document):
            language = region.lexemes["language"].strip()
            directive = _DIRECTIVE.match(language)
            if directive is not None and directive["name"] not in _SHOWS_CODE:
                continue
            if language not in self._evaluators:
                line = document.text.count("\n", 0, region.start) + 1
                known = ", ".join(sorted(self._evaluators))
                raise ValueError(
                    f"{document.path}:{line} should be in one of {known}; it is in {language!r}."
                )
            source = region.lexemes["source"]
            yield Region(region.start, region.end, source, self._evaluators[language])


def read(page: Path, evaluators: dict[str, Evaluator]) -> Document:
    """Return a page, whose examples are its blocks."""
    return Document.parse(str(page), Blocks(evaluators))


def name_of(page: Path) -> str:
    """Return what a page is called in the project."""
    return page.relative_to(ROOT).as_posix()
