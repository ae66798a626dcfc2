"""Terminals: shells that are given the commands of a page, one after the other.

What ends is waited for. A server is waited for until it answers or says that it is ready,
and keeps its terminal, as it would keep a reader's: the next command is typed into another
one, which starts in the same folder and knows nothing of the first.

The ports that pages name are exchanged for free ones: whatever else runs on the machine has
some of them, Debian's own Prometheus first of all.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.processes import eventually, free_port, get, program

SECONDS_FOR_A_COMMAND = 60

_PORTS = re.compile(r"(?<=[:= ])(6379|8000|9090|9100)\b")
_SERVERS = re.compile(
    r"(gunicorn|uvicorn|uwsgi|prometheus|redis-server|python manage\.py runserver|nginx|while"
    r"|celery .*worker|python manage\.py refresh_business_metrics --every)\b"
)
_DEBIANS = frozenset({"nginx", "prometheus", "redis-server"})
_SLOT = re.compile(r"(/\S*)/slot-[0-9]+$", re.MULTILINE)
_READY = {"celery": " ready.", "redis-server": "eady to accept connections"}
_KEPT = re.compile(r"PATH|HOME|LANG|LC_.*|TMPDIR|.*_proxy|.*_PROXY|SSL_.*|PIP_.*|UV_.*")
"""What a reader has in the environment; not what the tests have there for themselves."""


class Terminal:
    """One shell, what it was given and what it said."""

    def __init__(self, home: Path, environment: dict[str, str], log: Path) -> None:
        self.log = log
        self._count = 0
        with log.open("wb") as output:
            # A group of its own: what it started ends with it.
            self._shell = subprocess.Popen(
                ["bash", "--noprofile", "--norc"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=home,
                env=environment,
                start_new_session=True,
            )

    def run(self, command: str) -> tuple[int, str]:
        """Run a command to its end; return its exit code and what it said."""
        self._count += 1
        begin = self.log.stat().st_size
        mark = f"--- end {self._count}: "
        self.type(f"{command}\nprintf '%s%s\\n' '{mark}' $?\n")
        try:
            eventually(lambda: mark in self.said(begin) or self.is_over(), SECONDS_FOR_A_COMMAND)
        except pytest.fail.Exception:
            raise AssertionError(f"{command!r} does not end: {self.said(begin)}") from None
        said, _, code = self.said(begin).partition(mark)
        return int(code or self._shell.wait()), said

    def type(self, text: str) -> None:
        """Give the shell this, and wait for nothing."""
        assert self._shell.stdin is not None
        self._shell.stdin.write(text.encode())
        self._shell.stdin.flush()

    def said(self, begin: int = 0) -> str:
        """Return what was said since the log had ``begin`` bytes."""
        return self.log.read_bytes()[begin:].decode()

    def is_over(self) -> bool:
        """Tell whether the shell has ended."""
        return self._shell.poll() is not None

    def close(self) -> None:
        """End the shell and all that it started; as Ctrl-C does, if that is enough."""
        self.interrupt()
        try:
            eventually(self._has_no_group, 3)
        except pytest.fail.Exception:
            self._send(signal.SIGKILL)
            eventually(self._has_no_group)

    def interrupt(self) -> None:
        """Have the shell, and what it started, begin to end."""
        if self._shell.stdin is not None and not self._shell.stdin.closed:
            with contextlib.suppress(OSError):
                self._shell.stdin.close()
            self._send(signal.SIGINT)

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, number)

    def _has_no_group(self) -> bool:
        self._shell.poll()
        try:
            os.killpg(self._shell.pid, 0)
        except ProcessLookupError:
            return True
        return False


class Desk:
    """The terminals somebody has open who follows a page in ``home``."""

    def __init__(self, home: Path, logs: Path, path: str) -> None:
        self.home = home
        self._logs = logs
        kept = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
        self.environment = {**kept, "PATH": path, "PYTHONUNBUFFERED": "1"}
        self._free: Terminal | None = None
        self._serving: dict[str, Terminal] = {}
        self._opened = 0
        self._ports: dict[str, str] = {}

    def with_ports(self, text: str) -> str:
        """Return a text with the ports of the page exchanged for those that are used."""
        return _PORTS.sub(lambda match: self.port(match[0]), text)

    def port(self, named: str) -> str:
        """Return the port that stands for the one the page names."""
        if named not in self._ports:
            self._ports[named] = str(free_port())
        return self._ports[named]

    def run(self, command: str) -> str:
        """Run a command; return what it said, with the ports of the page. It has to succeed."""
        if _SERVERS.match(command):
            self._serve(command)
            return ""
        code, said = self._terminal().run(self.with_ports(command))
        assert code == 0, f"{command!r} exited with {code}: {said}"
        for named, used in self._ports.items():
            said = said.replace(used, named)
        return said

    def _terminal(self) -> Terminal:
        if self._free is None:
            self._opened += 1
            log = self._logs / f"terminal-{self._opened}.log"
            self._free = Terminal(self.home, self.environment, log)
        return self._free

    def _serve(self, command: str) -> None:
        """Run a server, in the place of one that had its port, or of the worker before."""
        if command.split()[0] in _DEBIANS:
            program(command.split()[0])
        named = _PORTS.search(command)
        place = named[0] if named and not command.startswith("while") else command.split()[0]
        if place in self._serving:
            self._serving.pop(place).close()
        terminal, self._free = self._terminal(), None
        self._serving[place] = terminal
        terminal.type(f"{self.with_ports(command)}\n")
        try:
            eventually(self._is_ready(command, place, terminal))
        except pytest.fail.Exception:
            raise AssertionError(f"{command!r} does not begin: {terminal.said()}") from None

    def _is_ready(self, command: str, place: str, terminal: Terminal) -> Callable[[], bool]:
        sign = _READY.get(command.split()[0])
        if sign is not None:
            return lambda: sign in terminal.said()
        if not place.isdecimal():
            return lambda: True
        return lambda: serves(int(self.port(place)))

    def stop(self) -> None:
        """Close all terminals, and remove what the processes in them shared."""
        directories = set(self.holders().values())
        terminals = [*self._serving.values(), *([self._free] if self._free else [])]
        for terminal in terminals:
            terminal.interrupt()
        for terminal in terminals:
            terminal.close()
        self._serving.clear()
        self._free = None
        for directory in directories:
            shutil.rmtree(directory, ignore_errors=True)

    def holders(self) -> dict[int, Path]:
        """Return the processes of the project that hold a slot, and the directory it is in."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (process / "cwd").readlink() == self.home.resolve():
                    for slot in _SLOT.findall((process / "maps").read_text()):
                        found[int(process.name)] = Path(slot)
        return found


def serves(port: int) -> bool:
    """Tell whether an HTTP server answers, whatever it says; this request is not measured."""
    with contextlib.suppress(OSError):
        return get(f"http://127.0.0.1:{port}/metrics")[0] > 0
    return False


@contextlib.contextmanager
def desk(home: Path, logs: Path, path: str | None = None) -> Iterator[Desk]:
    """Sit down at a desk; the programs of this environment are at hand unless told otherwise."""
    here = os.path.dirname(sys.executable)
    somebody = Desk(home, logs, path or os.pathsep.join([here, os.environ["PATH"]]))
    try:
        yield somebody
    except BaseException:
        for log in sorted(logs.glob("terminal-*.log")):
            print(f"--- {log.name}\n{log.read_text()[-5_000:]}")
        raise
    finally:
        somebody.stop()
