"""Separate processes that measure one variant each, and the pipe to them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.rounds import Figures
from benchmarks.variants import Variant

ROOT = Path(__file__).resolve().parent.parent
_TIMEOUT_SECONDS = 600


class MeasuringProcess:
    """A process of ``benchmarks.measured``, which runs one command at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def call(self, command: str, *numbers: int) -> Figures:
        """Run a command and return its result; raise ``RuntimeError`` after the timeout."""
        deadline = threading.Timer(_TIMEOUT_SECONDS, self._process.kill)
        deadline.start()
        try:
            line = self._exchange(" ".join([command, *map(str, numbers)]))
        finally:
            deadline.cancel()
        if not line:
            raise RuntimeError(f"{self._process.args!r} did not answer {command!r}.")
        figures: Figures = json.loads(line)
        return figures

    def _exchange(self, line: str) -> str:
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("The process was started without pipes.")
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        return process.stdout.readline()


@contextmanager
def measuring_process(
    module: str, variant: Variant, folder: Path, *arguments: int
) -> Iterator[MeasuringProcess]:
    """Run a module of ``benchmarks.measured`` for ``variant`` during the block."""
    command = [sys.executable, "-m", f"benchmarks.measured.{module}", *map(str, arguments)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=variant.environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        # Popen.__exit__ closes the standard input, at whose end the process exits.
        yield MeasuringProcess(process)


@contextmanager
def temporary_folder(variant: Variant) -> Iterator[Path]:
    """Create a folder for the files of ``variant``, and remove it after the block."""
    with tempfile.TemporaryDirectory(prefix=f"benchmark-{variant.name}-") as folder:
        yield Path(folder)


@contextmanager
def isolated_process(module: str, variant: Variant) -> Iterator[MeasuringProcess]:
    """Run a module of ``benchmarks.measured`` during the block, with a temporary folder."""
    with (
        temporary_folder(variant) as folder,
        measuring_process(module, variant, folder) as process,
    ):
        yield process
