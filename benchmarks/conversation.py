"""Ask processes that measure."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers import Peer
from benchmarks.rounds import Figures

ROOT = Path(__file__).resolve().parent.parent
_SECONDS_TO_ANSWER = 600


class Conversation:
    """Ask a process of ``benchmarks.measured``, one question at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, question: str, *numbers: int) -> Figures:
        """Return the answer; raise ``RuntimeError`` if there is none in time."""
        deadline = threading.Timer(_SECONDS_TO_ANSWER, self._process.kill)
        deadline.start()
        try:
            line = self._exchange(" ".join([question, *map(str, numbers)]))
        finally:
            deadline.cancel()
        if not line:
            raise RuntimeError(f"{self._process.args!r} did not answer {question!r}.")
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
def conversation(module: str, peer: Peer, folder: Path, *arguments: int) -> Iterator[Conversation]:
    """Run a module of ``benchmarks.measured`` for ``peer`` while the block lasts."""
    command = [sys.executable, "-m", f"benchmarks.measured.{module}", *map(str, arguments)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=peer.environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        # Leaving the block closes its standard input, at the end of which it ends.
        yield Conversation(process)


@contextmanager
def files_of(peer: Peer) -> Iterator[Path]:
    """Make a folder for the files of ``peer`` and remove it in the end."""
    with tempfile.TemporaryDirectory(prefix=f"benchmark-{peer.name}-") as folder:
        yield Path(folder)
