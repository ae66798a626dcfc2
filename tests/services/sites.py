"""Sites: copies of a small project, run by real servers, workers and commands."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import starter
from tests.services.pages import Page, read
from tests.services.processes import ROOT, answers, eventually, free_port, get, running, stopping

PROJECT = Path(__file__).resolve().parent / "project"


def total(page: Page, name: str, **labels: str) -> float:
    """Return the sum of the samples that have this name and at least these labels."""
    wanted = set(labels.items())
    return sum(value for (found, has), value in page.items() if found == name and wanted <= has)


def requests(page: Page, **labels: str) -> float:
    """Return how many requests the page tells of."""
    return total(page, "http_requests_total", **labels)


def falls(pages: list[Page]) -> list[str]:
    """Return what went down, or away, from one page to the next, and must not.

    What is made with prometheus_client stands at zero in a process that has made it,
    and nowhere before: a zero may go away.
    """
    return [
        f"{name}{sorted(labels)}: {value}, then {after.get((name, labels))}"
        for before, after in itertools.pairwise(pages)
        for (name, labels), value in before.items()
        if name.endswith(("_total", "_count", "_sum", "_bucket"))
        and not after.get((name, labels), 0) >= value
    ]


class Site:
    """A copy of the project, which shares its values with nothing but itself."""

    project = PROJECT
    package = "depot"

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.port = 0
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": f"{self.package}.settings",
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "default",
            **environment,
        }
        self._stores: set[Path] = set()
        shutil.copytree(self.project, home, ignore=shutil.ignore_patterns("__pycache__"))

    # --- what runs of it ----------------------------------------------------

    @contextlib.contextmanager
    def running(self, name: str, *command: str) -> Iterator[subprocess.Popen[Any]]:
        """Run a module of Python's for the time of the block."""
        with self.log(name).open("wb") as output:
            process = starter.start_module(
                *command, environment=self.environment, directory=self.home, output=output
            )
        with stopping(process), self._watched(name):
            yield process

    @contextlib.contextmanager
    def running_code(self, name: str, code: str) -> Iterator[subprocess.Popen[Any]]:
        """Run some Python code for the time of the block."""
        with self.log(name).open("wb") as output:
            process = starter.start_code(code, self.environment, self.home, output)
        with stopping(process), self._watched(name):
            yield process

    @contextlib.contextmanager
    def running_program(self, name: str, *command: str) -> Iterator[subprocess.Popen[Any]]:
        """Run a program for the time of the block."""
        log = self.log(name)
        with (
            running(list(command), log, cwd=self.home, env=self.environment) as process,
            self._watched(name),
        ):
            yield process

    @contextlib.contextmanager
    def _watched(self, name: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            print(f"--- {name}\n{self.log(name).read_text()[-20_000:]}")
            raise
        finally:
            self.store_dirs()

    @contextlib.contextmanager
    def gunicorn(self, *options: str) -> Iterator[subprocess.Popen[Any]]:
        """Serve the site by gunicorn."""
        self.port = self.new_port()
        bind = f"127.0.0.1:{self.port}"
        command = ["gunicorn", f"{self.package}.wsgi", "--bind", bind, "--log-level", "warning"]
        with self.running("gunicorn", *command, *options) as process:
            eventually(lambda: answers(f"{self.url}/metrics"))
            yield process

    @contextlib.contextmanager
    def uvicorn(self, *options: str) -> Iterator[subprocess.Popen[Any]]:
        """Serve the site by uvicorn."""
        self.port = self.new_port()
        command = ["uvicorn", f"{self.package}.asgi:application", "--port", str(self.port)]
        with self.running("uvicorn", *command, "--lifespan", "off", *options) as process:
            eventually(lambda: answers(f"{self.url}/metrics"))
            yield process

    @contextlib.contextmanager
    def celery(self, *options: str) -> Iterator[subprocess.Popen[Any]]:
        """Work through the queue of the site by Celery."""
        # Which would wait a second for other workers to say that they are there.
        alone = ["--without-mingle", "--without-gossip"]
        app = ["--app", f"{self.package}.celery"]
        command = ["celery", *app, "worker", "--loglevel", "info", *alone]
        with self.running("celery", *command, *options) as process:
            eventually(lambda: " ready." in self.log("celery").read_text())
            yield process

    @contextlib.contextmanager
    def beat(self, name: str = "beat", *options: str) -> Iterator[subprocess.Popen[Any]]:
        """Send the site's tasks when they are due."""
        files = ["--schedule", f"{name}.schedule", "--pidfile", f"{name}.pid"]
        app = ["--app", f"{self.package}.celery"]
        command = ["celery", *app, "beat", "--loglevel", "info", *files]
        with self.running(name, *command, *options) as process:
            eventually(lambda: "beat: Starting" in self.log(name).read_text())
            yield process

    def command(self, *arguments: str) -> None:
        """Run a management command to its end."""
        log = self.log(f"command {arguments[0]}")
        with log.open("wb") as output:
            process = starter.start_module(
                "django",
                *arguments,
                environment=self.environment,
                directory=self.home,
                output=output,
            )
        try:
            status = process.wait(60)
        except BaseException:
            process.kill()
            process.wait()
            raise
        print(log.read_text())
        if status:
            raise subprocess.CalledProcessError(status, arguments)

    def log(self, name: str) -> Path:
        """Return where the output of what runs under this name goes."""
        return self.home / f"{name}.log"

    # --- what its clients see -----------------------------------------------

    def new_port(self) -> int:
        """Return the port that the next server listens on."""
        return free_port()

    @property
    def url(self) -> str:
        """Return where the site is served."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str = "/") -> str:
        """Return the answer to a request, which is to succeed."""
        status, body = get(self.url + path)
        assert status == 200
        return body.decode()

    def page(self) -> Page:
        """Return the metrics page, from whichever process answers."""
        return read(self.get("/metrics"))

    # --- what the machine knows of it ---------------------------------------

    def store_dirs(self) -> set[Path]:
        """Return the directories in which processes of this site were seen to share values."""
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                    mapped = Path(line.partition("/")[1] + line.partition("/")[2])
                    if mapped.name.startswith("slot-") and "(deleted)" not in mapped.name:
                        self._stores.add(mapped.parent)
        return self._stores

    def store_dir(self) -> Path:
        """Return the one directory in which the processes share values."""
        (directory,) = self.store_dirs()
        return directory

    def slots(self) -> list[str]:
        """Return the names of the files in which the processes share values."""
        return sorted(path.name for path in self.store_dir().glob("slot-*"))

    def pids(self) -> list[int]:
        """Return the ids of all living processes of this site."""
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if self._is_ours(path)]

    def _is_ours(self, process: Path) -> bool:
        with contextlib.suppress(OSError):
            return (process / "cwd").readlink().is_relative_to(self.home)
        return False

    def clear(self) -> None:
        """End what is left of the site, and remove what it shared."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for directory in self._stores:
            shutil.rmtree(directory, ignore_errors=True)


def children(process: subprocess.Popen[Any]) -> list[int]:
    """Return the ids of a server's workers."""
    return children_of(process.pid)


def children_of(pid: int) -> list[int]:
    """Return the ids of the living processes that this one has started."""
    pids = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # After the command's name, which may hold anything: state and parent.
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                pids.append(int(status.parent.name))
    return pids


def has_children(process: subprocess.Popen[Any], count: int) -> bool:
    """Tell whether a server has so many workers."""
    return len(children(process)) == count


class Visitor(threading.Thread):
    """Do something again and again, until told to stop."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.stopped = threading.Event()


class Client(Visitor):
    """Send requests, over one connection as long as the server keeps it."""

    def __init__(self, port: int, path: str, count: float) -> None:
        super().__init__()
        self.port = port
        self.path = path
        self.count = count
        self.sent = 0
        self.answered = 0

    def run(self) -> None:
        """Send the requests."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            while self.answered < self.count and not self.stopped.is_set():
                self.sent += 1
                try:
                    connection.request("GET", self.path)
                    with connection.getresponse() as answer:
                        answer.read()
                        self.answered += answer.status == 200
                except (OSError, http.client.HTTPException):
                    # The next request opens another connection.
                    connection.close()


class Scraper(Visitor):
    """Read the page."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.site = site
        self.texts: list[str] = []

    def run(self) -> None:
        """Read the pages."""
        while not self.stopped.wait(0.1):
            # Whoever answers may be killed on the way.
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.texts.append(self.site.get("/metrics"))


class Load:
    """Several clients and a scraper at work on a site."""

    def __init__(self, site: Site, path: str = "/", count: float = float("inf")) -> None:
        self.clients = [Client(site.port, path, count / 4) for _ in range(4)]
        self.scraper = Scraper(site)

    def __enter__(self) -> Load:
        for visitor in self._visitors():
            visitor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def join(self) -> None:
        """Wait until all requests are answered."""
        for client in self.clients:
            client.join(120)
            assert not client.is_alive()

    def stop(self) -> None:
        """End the load."""
        for visitor in self._visitors():
            visitor.stopped.set()
            visitor.join(60)

    def _visitors(self) -> list[Visitor]:
        return [*self.clients, self.scraper]

    @property
    def sent(self) -> int:
        """Return how many requests were sent, answered or not."""
        return sum(client.sent for client in self.clients)

    @property
    def answered(self) -> int:
        """Return how many requests were answered as they should be."""
        return sum(client.answered for client in self.clients)

    @property
    def pages(self) -> list[Page]:
        """Return the pages, as scraped one after the other."""
        return [read(text) for text in self.scraper.texts]
