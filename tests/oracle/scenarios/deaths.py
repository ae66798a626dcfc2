"""Processes that are killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from pathlib import Path

from tests.oracle.scenario import Stage, scenario
from tests.services.sites import children

CHANCE = random.Random(7)  # noqa: S311


@scenario(is_short=True, is_killed=True)
def killed_workers(stage: Stage) -> None:
    """One worker after the other, at any point of its work."""
    with stage.scene.site.gunicorn("--workers", "3", "--preload") as server:
        with stage.scene.load() as load:
            for answered in range(10, 150, 10):
                load.reaches(answered)
                _kill_one(children(server))
        stage.scene.finish_dropped()


@scenario(is_killed=True)
def killed_uvicorn_workers(stage: Stage) -> None:
    """Workers of an ASGI server, which starts others in their place."""
    with stage.scene.site.uvicorn_workers("3") as server:
        with stage.scene.load(400) as load:
            for answered in range(40, 400, 40):
                load.reaches(answered)
                _kill_one([pid for pid in children(server) if _is_spawned(pid)])
        stage.scene.finish_dropped()


@scenario(is_killed=True)
def killed_storm(stage: Stage) -> None:
    """Many kills in a short time, of all workers at once now and then."""
    with stage.scene.site.gunicorn("--workers", "4") as server:
        with stage.scene.load(1000, per_second=100) as load:
            for answered in range(10, 1000, 10):
                load.reaches(answered)
                workers = children(server)
                for _ in range(len(workers) if answered % 200 == 0 else 1):
                    _kill_one(workers)
        stage.scene.finish_dropped()


@scenario(is_killed=True)
def killed_master(stage: Stage) -> None:
    """The server itself is killed, and started again."""
    with stage.scene.load() as load:
        for answered in (50, 100):
            with stage.scene.site.gunicorn("--workers", "2") as server:
                load.reaches(answered)
                os.kill(server.pid, signal.SIGKILL)
                server.wait()
                stage.scene.site.is_over()
        with stage.scene.site.gunicorn("--workers", "2"):
            load.reaches(load.count)
            stage.scene.finish_dropped()


def _is_spawned(pid: int) -> bool:
    """Tell whether a child was started to work, and not to look after semaphores."""
    with contextlib.suppress(OSError):
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _kill_one(workers: list[int]) -> None:
    """Kill one of some processes, and take it from the list."""
    CHANCE.shuffle(workers)
    # It may have ended by itself since it was found.
    with contextlib.suppress(IndexError, ProcessLookupError):
        os.kill(workers.pop(), signal.SIGKILL)
