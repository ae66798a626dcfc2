"""Where a site's processes share their values: taken away, full, or out of reach."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oracle.load import idle_connections
from tests.oracle.scenario import Stage, scenario
from tests.services.processes import missing
from tests.services.sites import children

FILES = 4096


@scenario(is_short=True, is_repetition=True)
def removed_directory(stage: Stage) -> None:
    """The directory is removed while it is in use, as some systems do when a user logs out."""
    site = stage.scene.site
    with site.gunicorn("--workers", "3", "--preload"):
        with stage.scene.load() as load:
            for answered in (50, 100):
                load.reaches(answered)
                _remove(site.store_dirs())
                stage.scene.target.await_scrapes()
        stage.scene.finish_dropped()


@scenario(is_short=True)
def full_directory(stage: Stage) -> None:
    """No room is left for a while, in which there are new label sets."""
    site = stage.scene.site
    store = stage.folder / f"{stage.scene.name}.store"
    site.environment["SETTINGS"] = json.dumps({"STORE_DIR": str(store / "slots")})
    # More than a slot has room for: each has to grow, and cannot.
    papers = [f"/paper/{number}-{'x' * 1500}/" for number in range(150)]
    with _file_system(store, kilobytes=4096), site.gunicorn("--workers", "3", "--preload"):
        with stage.scene.load(60):
            pass
        stage.scene.target.await_scrapes()
        ballast = _fill(store)
        with stage.scene.load(300, papers):
            pass
        stage.scene.target.await_scrapes(4)
        ballast.unlink()
        with stage.scene.load(60):
            pass
        stage.scene.finish_dropped()


@scenario(is_short=True, is_repetition=True)
def no_descriptors(stage: Stage) -> None:
    """Workers may open one more file, which is the connection of whoever asks for the metrics."""
    with stage.scene.site.gunicorn("--workers", "2", "--preload") as server:
        with stage.scene.load(100):
            pass
        stage.scene.target.await_scrapes()
        workers = children(server)
        for worker in workers:
            _allow_one_more_file(worker)
        with stage.scene.load(100):
            pass
        for worker in workers:
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (FILES, FILES))
        with stage.scene.load(50):
            pass
        stage.scene.finish_dropped()


@scenario()
def idle_connections_take_all_descriptors(stage: Stage) -> None:
    """Clients that connect, and send nothing, have all files that workers may open."""
    with stage.scene.site.gunicorn("--workers", "2", "--threads", "4") as server:
        with stage.scene.load(100):
            pass
        stage.scene.target.await_scrapes()
        for worker in children(server):
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (_next_file(worker) + 6, FILES))
        with idle_connections(stage.scene.site.port, 60), stage.scene.load(30, per_second=10):
            pass
        with stage.scene.load(100):
            pass
        stage.scene.finish_dropped()


def _remove(directories: set[Path]) -> None:
    for directory in directories:
        if directory.exists():
            shutil.rmtree(directory)


@contextlib.contextmanager
def _file_system(directory: Path, kilobytes: int) -> Iterator[None]:
    """Have a small file system of its own in a directory for the time of the block."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    directory.mkdir()
    size = f"size={kilobytes}k,mode=0700"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(directory)]
    if subprocess.run(mount, check=False).returncode != 0:
        missing("a file system cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def _fill(directory: Path) -> Path:
    """Write a file that takes all the room there is."""
    path = directory / "ballast"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


def _allow_one_more_file(pid: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (_next_file(pid) + 1, FILES))


def _next_file(pid: int) -> int:
    """Return the number that the next file of a process has: the lowest that is free."""
    taken = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in itertools.count() if number not in taken)
