from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import starter
from tests.services.processes import (
    ROOT,
    answers,
    eventually,
    free_port,
    get,
    is_listening,
    program,
    running,
    stopping,
)
from tests.services.prometheus import PROMETHEUSES, PROMTOOLS, Prometheus, Promtool
from tests.services.sites import Site

EXAMPLE = ROOT / "example_project"


@dataclass(frozen=True)
class Server:
    """A running server of the example."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def page(self) -> str:
        """Return the metrics page."""
        return get(f"{self.url}/metrics")[1].decode()


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a seeded database, once; each test has a copy of it."""
    database = tmp_path_factory.mktemp("seeded") / "db.sqlite3"
    for arguments in (["migrate", "--verbosity", "0"], ["seed"]):
        subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=EXAMPLE,
            env=environment_with(database),
            check=True,
            capture_output=True,
            timeout=120,
        )
    return database


def environment_with(database: Path) -> dict[str, str]:
    """Return the environment of an example that has this database, and totals of its own.

    Other tests serve the same project from the same place, before it and at the same time.
    """
    return {
        **os.environ,
        "DATABASE_PATH": str(database),
        "DJANGO_SETTINGS_MODULE": "tachikoma.settings",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "default",
        "STORE_DIR": str(database.parent / "store"),
    }


@pytest.fixture(scope="module", params=["gunicorn", "uvicorn"])
def lasting_server(
    request: pytest.FixtureRequest, seeded: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Serve the example for all tests of a module that compare the page with itself."""
    home = tmp_path_factory.mktemp("lasting")
    environment = environment_with(Path(shutil.copy(seeded, home)))
    with serving(SERVERS[request.param], environment, home) as server:
        yield server


@pytest.fixture
def environment(seeded: Path, tmp_path: Path) -> dict[str, str]:
    """Copy the seeded database and return the environment that leads to the copy."""
    return environment_with(Path(shutil.copy(seeded, tmp_path)))


@contextlib.contextmanager
def serving(command: list[str], environment: dict[str, str], tmp_path: Path) -> Iterator[Server]:
    """Serve the example; ``{port}`` in the command is replaced."""
    server = Server(free_port())
    filled = [part.format(port=server.port) for part in command]
    log = tmp_path / "server.log"
    with log.open("wb") as output:
        process = starter.start_module(
            *filled, environment=environment, directory=EXAMPLE, output=output
        )
    with stopping(process):
        try:
            eventually(lambda: answers(f"{server.url}/metrics"))
        except BaseException:
            print(log.read_text())
            raise
        yield server


GUNICORN = ["gunicorn", "tachikoma.wsgi", "--threads", "4", "--bind", "127.0.0.1:{port}"]
UVICORN = ["uvicorn", "tachikoma.asgi:application", "--port", "{port}", "--lifespan", "off"]
SERVERS = {"gunicorn": GUNICORN, "uvicorn": UVICORN}


@pytest.fixture
def gunicorn(environment: dict[str, str], tmp_path: Path) -> Iterator[Server]:
    with serving(GUNICORN, environment, tmp_path) as server:
        yield server


@pytest.fixture(params=PROMETHEUSES)
def prometheus(request: pytest.FixtureRequest, prometheuses: dict[str, Prometheus]) -> Prometheus:
    """Lend one after the other of those that scrape the server of the module's tests."""
    program(request.param)
    return prometheuses[request.param]


@pytest.fixture(params=PROMTOOLS)
def each_promtool(request: pytest.FixtureRequest, tmp_path: Path) -> Promtool:
    """Lend one after the other, in a directory of the test's own."""
    return Promtool(program(request.param), tmp_path)


@pytest.fixture(params=[PROMTOOLS[-1], pytest.param(PROMTOOLS[0], marks=pytest.mark.thorough)])
def promtool(request: pytest.FixtureRequest, tmp_path: Path) -> Promtool:
    """Lend the newest; in a thorough run, the other one as well."""
    return Promtool(program(request.param), tmp_path)


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Lend a maker of sites; what is in their environment is told by keyword."""
    with contextlib.ExitStack() as stack:

        def new(name: str = "site", **environment: str) -> Site:
            site = Site(tmp_path.resolve() / name, **environment)
            stack.callback(site.clear)
            return site

        yield new


@pytest.fixture
def site(new_site: Callable[..., Site]) -> Site:
    return new_site()


@pytest.fixture
def broker(site: Site, tmp_path: Path) -> Iterator[None]:
    """Run a Redis server that the site's tasks go through."""
    port = free_port()
    alone = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    with running([program("redis-server"), *alone], tmp_path / "redis.log"):
        eventually(lambda: is_listening(port))
        site.environment["BROKER"] = f"redis://127.0.0.1:{port}/0"
        yield
