"""Where a site's processes share their values: taken away, full, or out of reach."""

from __future__ import annotations

import contextlib
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
from tests.services.sites import children


@scenario(is_short=True)
def removed_directory(stage: Stage) -> None:
    """The directory is removed while it is in use, as some systems do when a user logs out."""
    site = stage.scene.site
    with site.gunicorn("--workers", "3"):
        with stage.scene.load() as load:
            for answered in (80, 160):
                load.reaches(answered)
                _remove(site.store_dirs())
                stage.scene.target.await_scrapes()
        stage.scene.settle()


@scenario(is_short=True)
def full_directory(stage: Stage) -> None:
    """No room is left for a while, in which there are new label sets."""
    site = stage.scene.site
    store = stage.folder / f"{stage.scene.name}.store"
    site.environment["SETTINGS"] = json.dumps({"STORE_DIR": str(store / "slots")})
    papers = [f"/paper/{number}-{'x' * 40}/" for number in range(100)]
    with _file_system(store, kilobytes=512), site.gunicorn("--workers", "3"):
        with stage.scene.load(60):
            pass
        stage.scene.target.await_scrapes()
        ballast = _fill(store)
        with stage.scene.load(600, papers, per_second=100):
            pass
        stage.scene.target.await_scrapes(6)
        ballast.unlink()
        with stage.scene.load(60):
            pass
        stage.scene.settle()


@scenario(is_short=True)
def no_descriptors(stage: Stage) -> None:
    """Idle connections have all descriptors that the workers may open."""
    site = stage.scene.site
    with site.gunicorn("--workers", "2", "--threads", "4", "--keep-alive", "60") as server:
        with stage.scene.load(100):
            pass
        stage.scene.target.await_scrapes()
        for worker in children(server):
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (_open_files(worker) + 6, 4096))
        with idle_connections(site.port, 60), stage.scene.load(30, per_second=10):
            stage.scene.target.await_scrapes(0)
        with stage.scene.load(100):
            pass
        stage.scene.settle()


def _remove(directories: set[Path]) -> None:
    for directory in directories:
        shutil.rmtree(directory)


@contextlib.contextmanager
def _file_system(directory: Path, kilobytes: int) -> Iterator[None]:
    """Have a small file system of its own in a directory for the time of the block."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    directory.mkdir()
    size = f"size={kilobytes}k,mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", directory], check=True)
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


def _open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
