"""Servers that end, and others that take their place."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.oracle.scenario import Stage, scenario
from tests.services.processes import eventually
from tests.services.sites import children_of

RESTARTS = 3


@scenario(is_short=True)
def restart(stage: Stage) -> None:
    """Stop and start, under load: clients in between are refused."""
    with stage.scene.load(RESTARTS * 50) as load:
        for number in range(1, RESTARTS + 1):
            with stage.scene.site.gunicorn("--workers", "2"):
                load.reaches(number * 50)
                if number == RESTARTS:
                    stage.scene.finish_dropped()


@scenario()
def restart_of_uvicorn(stage: Stage) -> None:
    """The same, with workers of an ASGI server."""
    with stage.scene.load(RESTARTS * 50) as load:
        for number in range(1, RESTARTS + 1):
            with stage.scene.site.uvicorn_workers("2"):
                load.reaches(number * 50)
                if number == RESTARTS:
                    stage.scene.finish_dropped()


@scenario()
def restart_with_more_workers(stage: Stage) -> None:
    """A server with four workers, then one with one, then with four."""
    with stage.scene.load(150) as load:
        for number, workers in enumerate(("4", "1", "4"), 1):
            with stage.scene.site.gunicorn("--workers", workers):
                load.reaches(number * 50)
                if number == 3:
                    stage.scene.finish_dropped()


@scenario(is_short=True)
def another_master(stage: Stage) -> None:
    """USR2: the program is run anew, and takes the old one's sockets over."""
    site = stage.scene.site
    file = site.home / "gunicorn.pid"
    with site.gunicorn_program("--workers", "2", "--pid", str(file)) as old:
        with stage.scene.load() as load:
            load.reaches(50)
            new = _another_master(old, file)
            load.reaches(100)
            old.terminate()
            old.wait()
        stage.scene.finish_dropped()
        site.stop(new)


def _another_master(old: subprocess.Popen[bytes], file: Path) -> int:
    """Have a server start another, and return its id once it has workers."""
    os.kill(old.pid, signal.SIGUSR2)
    beside = file.with_name(f"{file.name}.2")
    eventually(lambda: beside.exists() and beside.read_text().strip() != "")
    pid = int(beside.read_text())
    eventually(lambda: len(children_of(pid)) == 2)
    return pid
