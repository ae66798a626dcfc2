"""Kiosks: copies of a small site that keeps a ledger of what happened in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sysconfig
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.services.processes import answers, eventually, is_listening
from tests.services.sites import Site, children


@dataclass(frozen=True)
class Ledger:
    """What a site wrote down: requests that began, how they ended, and papers sold."""

    begun: Counter[str]
    """By path."""
    ended: Counter[str]
    """By status."""
    sold: Counter[str]
    """By title, or by what kind of process sold it."""

    @property
    def cut_off(self) -> int:
        """Return how many requests began and did not end: their process was killed."""
        return self.begun.total() - self.ended.total()


def read_ledger(text: str) -> Ledger:
    """Read the lines that a site wrote."""
    events = Counter(tuple(line.split(" ", 1)) for line in text.splitlines())
    of: dict[str, Counter[str]] = {kind: Counter() for kind in ("begun", "ended", "sold")}
    for (kind, what), times in events.items():
        of[kind][what] += times
    return Ledger(**of)


class Kiosk(Site):
    """A copy of the site, at a port that a Prometheus knows beforehand."""

    project = Path(__file__).resolve().parent / "site"
    package = "kiosk"

    def __init__(self, home: Path, port: int, **environment: str) -> None:
        self._ledger = home.with_name(f"{home.name}.ledger")
        self._ledger.touch()
        super().__init__(home, LEDGER=str(self._ledger), **environment)
        self.port = port

    def new_port(self) -> int:
        """Return the one port that the site has."""
        return self.port

    @property
    def ledger(self) -> Ledger:
        """Return what the site has written down so far."""
        return read_ledger(self._ledger.read_text())

    # --- releases -----------------------------------------------------------

    @property
    def current(self) -> Path:
        """Return the symbolic link that leads to the release in use."""
        return self.home / "current"

    def become_releases(self) -> None:
        """Move the site's code to where a deployment by symbolic link has it."""
        for name in ("1", "2"):
            shutil.copytree(self.home / self.package, self.home / "releases" / name / self.package)
        shutil.rmtree(self.home / self.package)
        self.switch_to("1")
        self.environment["PYTHONPATH"] += f"{os.pathsep}{self.current}"

    def switch_to(self, release: str) -> None:
        """Have the link lead to another release, in one step."""
        new = self.home / "new"
        new.symlink_to(self.home / "releases" / release)
        new.rename(self.current)

    # --- servers ------------------------------------------------------------

    @contextlib.contextmanager
    def gunicorn_program(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """Serve the site by gunicorn's own program, which a signal has start itself anew.

        Started by ``python -m``, it would not find the standard library's ``http`` then.
        """
        gunicorn = str(Path(sysconfig.get_path("scripts")) / "gunicorn")
        command = [gunicorn, "kiosk.wsgi", "--bind", f"127.0.0.1:{self.port}", *options]
        with self.running_program("gunicorn", *command) as process:
            eventually(lambda: answers(f"{self.url}/metrics"))
            yield process

    @contextlib.contextmanager
    def uvicorn_workers(self, count: str) -> Iterator[subprocess.Popen[bytes]]:
        """Serve the site by so many workers of uvicorn."""
        # A worker that says nothing for five seconds is killed, unless told otherwise.
        patience = ["--timeout-worker-healthcheck", "60"]
        with self.uvicorn("--workers", count, "--no-access-log", *patience) as process:
            yield process

    # --- the end ------------------------------------------------------------

    def stop(self, pid: int) -> None:
        """End a server that is not a child of this process, and wait for all of the site."""
        os.kill(pid, signal.SIGTERM)
        self.is_over()

    def is_over(self) -> None:
        """Wait until no process of the site lives, and nothing listens."""
        self.store_dirs()
        eventually(lambda: not self.pids() and not is_listening(self.port))

    def clear(self) -> None:
        """End what is left of the site, and remove what it shared."""
        with contextlib.suppress(OSError):
            self.store_dirs()
        super().clear()


def reload_workers(server: subprocess.Popen[bytes]) -> None:
    """Have gunicorn replace its workers, and wait until the old ones have ended."""
    before = set(children(server))
    os.kill(server.pid, signal.SIGHUP)
    eventually(lambda: not before & set(children(server)))
