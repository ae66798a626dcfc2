"""Runs of programs, and the epochs of a service, which begin with its restarts.

A *run* is one start of a server with all its workers, or one process without a server. An *epoch*
begins when a program that ran in the last one is started again: a deployment begins one epoch,
however many programs and workers it restarts.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.store import system
from tachikoma_metrics.store.files import TemporaryFile, replace
from tachikoma_metrics.store.incomplete import is_passing

NAME = "epoch"

_MOST_PROGRAMS = 64
_LARGEST_SIZE = 1 << 20


class Run(NamedTuple):
    """One start of a program.

    ``number`` differs for each run, ``program`` is the same for each start of one program.
    ``is_serving`` says that it answers requests or works through a queue: a command does not.
    """

    number: int
    program: str
    is_serving: bool


def current(server: tuple[int, int], *, is_serving: bool) -> Run:
    """Return the run of this process, whose server is ``server`` if it has one."""
    return Run(_number(server), _program(), is_serving)


def _number(server: tuple[int, int]) -> int:
    pid, started = server
    if not pid:
        stat = system.stat_of(os.getpid())
        if stat is None:
            # Unknown: this process counts as a separate run.
            return secrets.randbits(63) | 1
        pid, started = os.getpid(), stat.started
    facts = f"{pid} {started} {system.namespace()} {system.boot()}"
    return int.from_bytes(hashlib.blake2b(facts.encode(), digest_size=7).digest(), "big") | 1


def _program() -> str:
    """Return a name for the program and its arguments, wherever they are installed."""
    arguments = [os.path.basename(str(word)) for word in getattr(sys, "argv", [])]
    return hashlib.blake2b(
        "\0".join(arguments).encode("utf-8", "replace"), digest_size=8
    ).hexdigest()


@dataclass
class Epoch:
    """Which runs of which programs there were since the last restart.

    ``has_served`` says that there ever was a run that serves. From then on commands, which may
    run between the end of a server and its next start, begin no epoch.
    """

    serving: dict[str, list[int]] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    has_served: bool = False

    def is_begun_by(self, run: Run, held: Collection[int], *, is_resumed: bool) -> bool:
        """Return whether a new epoch begins with ``run``.

        ``held`` are the numbers of the live runs, ``is_resumed`` says that there is none.
        """
        if run.is_serving:
            earlier = [
                number for number in self.serving.get(run.program, []) if number != run.number
            ]
            is_full = len(self.serving) >= _MOST_PROGRAMS
            return any(number not in held for number in earlier) or is_full
        is_full = len(self.commands) >= _MOST_PROGRAMS
        is_repeated = run.program in self.commands or is_full
        return is_resumed and not self.has_served and is_repeated

    def has(self, run: Run) -> bool:
        """Return whether the run is registered, or need not be."""
        if run.is_serving:
            return run.number in self.serving.get(run.program, [])
        return self.has_served or run.program in self.commands

    def add(self, run: Run) -> None:
        """Register a run of this epoch."""
        if run.is_serving:
            self.has_served = True
            self.commands = []
            self.serving.setdefault(run.program, []).append(run.number)
        elif not self.has_served:
            self.commands.append(run.program)

    def next(self) -> Epoch:
        """Return the epoch after this one, without runs."""
        return Epoch(has_served=self.has_served)

    # --- files --------------------------------------------------------------

    def write(self, directory: int) -> None:
        """Replace the file; raise ``OSError`` if there is no room."""
        replace(directory, NAME, json.dumps(vars(self)).encode())


def read(directory: int) -> Epoch:
    """Return the current epoch of the directory; the first one if it is unknown.

    Raises ``OSError`` if it cannot be read just now.
    """
    try:
        with TemporaryFile(NAME, os.O_RDONLY, directory) as file:
            found = json.loads(os.read(file.descriptor, _LARGEST_SIZE))
        serving = {str(name): [*map(int, runs)] for name, runs in found["serving"].items()}
        return Epoch(serving, [*map(str, found["commands"])], bool(found["has_served"]))
    except Exception as error:
        pass_on(error)
        if is_passing(error):
            raise
        return Epoch()
