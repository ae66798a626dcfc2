from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs import files
from tests.docs.following import PROJECT
from tests.docs.model import answering
from tests.docs.pages import TUTORIAL, read
from tests.docs.terminals import Desk, desk
from tests.services.processes import program


@pytest.fixture(scope="session")
def made_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make what the tutorial makes of a project, once; each desk has a copy of it."""
    home = tmp_path_factory.mktemp("made") / "project"
    make_project(home)
    return home


@pytest.fixture
def sit_down(tmp_path: Path, made_project: Path) -> Iterator[Callable[[], Desk]]:
    """Lend a desk in the folder of a project that is what the tutorial makes of one."""
    with contextlib.ExitStack() as stack:

        def sit_down() -> Desk:
            program("curl")
            home = tmp_path / "project"
            shutil.copytree(made_project, home)
            return stack.enter_context(desk(home, tmp_path))

        yield sit_down


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have OpenAI's SDK ask a server of ours."""
    with answering() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield


def make_project(home: Path) -> None:
    """Make the tutorial's project, without the tutorial's commands."""
    home.mkdir()
    command = [sys.executable, "-m", "django", "startproject", PROJECT, str(home)]
    subprocess.run(command, check=True, env=_environment(), timeout=60)
    for block in blocks_of_files(TUTORIAL):
        if block.startswith(f"# {PROJECT}/settings.py"):
            files.apply(block, home)
        else:
            files.put(block, home, PROJECT)


def blocks_of_files(page: Path) -> list[str]:
    """Return the blocks of the page that are files, or go into one."""
    languages = ["console", "diff", "promql", "python", "text", "yaml"]
    document = read(page, dict.fromkeys(languages, lambda example: None))
    return [str(e.parsed) for e in document.examples() if files.named(str(e.parsed))]


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"]}
