"""Somebody who does what a page says, block by block."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from sybil import Example
from sybil.typing import Evaluator

from tests.docs import (
    console_blocks,
    dockerfile_blocks,
    files,
    nginx_blocks,
    promql_blocks,
    python_blocks,
    text_blocks,
    yaml_blocks,
)
from tests.docs.elsewhere import is_run_elsewhere
from tests.docs.pages import read
from tests.docs.terminals import Desk

PROJECT = "mysite"


class Reader:
    """Do what one page says: run its blocks here, write its files, type its commands.

    ``sit_down`` is called for a page that has commands, and returns the desk they are typed
    at, in the folder of a project. A page without commands needs none. What ``is_tried``
    elsewhere is not typed.
    """

    def __init__(
        self,
        page: Path,
        sit_down: Callable[[], Desk],
        is_tried: Callable[[str], bool] | None = None,
    ) -> None:
        self._is_tried = is_tried or partial(is_run_elsewhere, page=page)
        self.document = read(page, self._evaluators())
        self._has_commands = any(
            region.evaluator == self._console for _, region in self.document.regions
        )
        self._sit_down = sit_down
        self._desk: Desk | None = None

    def _evaluators(self) -> dict[str, Evaluator]:
        return {
            "console": self._console,
            "diff": self._diff,
            "dockerfile": dockerfile_blocks.evaluate,
            "nginx": self._file_after(nginx_blocks.evaluate),
            "promql": promql_blocks.evaluate,
            "python": self._python,
            "text": text_blocks.evaluate,
            "yaml": self._file_after(yaml_blocks.evaluate),
        }

    def follow(self) -> None:
        """Do it all; what goes wrong is told with its line."""
        for example in self.document.examples():
            try:
                example.evaluate()
            except Exception as error:
                raise AssertionError(f"{example.path}:{example.line}: {error}") from error

    @property
    def desk(self) -> Desk:
        """Return where the commands of the page are typed."""
        if self._desk is None:
            self._desk = self._sit_down()
        return self._desk

    def _console(self, example: Example) -> None:
        console_blocks.follow(str(example.parsed), lambda: self.desk, self._is_tried)

    def _diff(self, example: Example) -> None:
        files.apply(str(example.parsed), self.desk.home)

    def _python(self, example: Example) -> None:
        block = str(example.parsed)
        name = files.named(block) or ""
        if self._has_commands and "/" in name:
            self._write(block)
            return
        python_blocks.evaluate(example)
        # What has dots in it is for a reader to fill in.
        if self._has_commands and name == files.SETTINGS and "..." not in block:
            self._write(block)

    def _file_after(self, evaluate: Evaluator) -> Evaluator:
        def evaluate_and_write(example: Example) -> None:
            evaluate(example)
            if self._has_commands:
                self._write(str(example.parsed))

        return evaluate_and_write

    def _write(self, block: str) -> None:
        files.put(self.desk.with_ports(block), self.desk.home, PROJECT)
