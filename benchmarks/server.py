"""A gunicorn server that is loaded in bursts, and the CPU time of its workers."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring_process import ROOT, temporary_folder
from benchmarks.variants import Variant

_HOST = "127.0.0.1"
_PATH = "/api/v1/missions/41/"
_WORKERS = 2
_CONNECTIONS = 4
_SECONDS_TO_START = 30
_SECONDS_TO_STOP = 20
_REQUESTS = re.compile(r"(\d+) requests in ([\d.]+)s")


@dataclass(frozen=True)
class Burst:
    """The requests of one burst, and the CPU time of the workers."""

    requests: int
    seconds: float
    cpu_seconds: float

    @property
    def cpu_per_request(self) -> float:
        """Return the CPU seconds of all workers per request."""
        return self.cpu_seconds / self.requests

    @property
    def requests_per_second(self) -> float:
        """Return the requests per second."""
        return self.requests / self.seconds


class Server:
    """A running service."""

    def __init__(self, pid: int, port: int) -> None:
        self._pid = pid
        self._port = port

    def load(self, seconds: int) -> Burst:
        """Load the server with ``wrk``."""
        workers = self._workers()
        before = sum(map(_cpu_seconds, workers))
        requests, took = _wrk(f"http://{_HOST}:{self._port}{_PATH}", seconds)
        return Burst(requests, took, sum(map(_cpu_seconds, workers)) - before)

    def is_ready(self) -> bool:
        """Return whether all workers run and a request succeeds."""
        connection = http.client.HTTPConnection(_HOST, self._port, timeout=10)
        try:
            connection.request("GET", _PATH)
            return connection.getresponse().status == 200 and len(self._workers()) == _WORKERS
        except OSError:
            return False
        finally:
            connection.close()

    def _workers(self) -> list[int]:
        children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text()
        return [int(pid) for pid in children.split()]


def _cpu_seconds(pid: int) -> float:
    # The first number is the CPU time in ns, where /proc/<pid>/stat has hundredths of a second.
    # It is that of the main thread, the only one of a sync worker.
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _wrk(url: str, seconds: int) -> tuple[int, float]:
    command = ["wrk", "--threads", "1", "--connections", str(_CONNECTIONS)]
    finished = subprocess.run(
        [*command, "--duration", f"{seconds}s", url],
        capture_output=True,
        check=True,
        text=True,
        timeout=seconds + 30,
    )
    found = _REQUESTS.search(finished.stdout)
    if found is None or "Non-2xx" in finished.stdout:
        raise RuntimeError(f"Some requests failed:\n{finished.stdout}")
    return int(found[1]), float(found[2])


@contextmanager
def serving(variant: Variant) -> Iterator[Server]:
    """Serve the project with ``variant`` during the block."""
    port = _free_port()
    with (
        temporary_folder(variant) as folder,
        subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *_arguments(port)],
            cwd=ROOT,
            env=variant.environment(folder),
        ) as process,
    ):
        try:
            server = Server(process.pid, port)
            _wait_for(server, process)
            yield server
        finally:
            _stop(process)


def _arguments(port: int) -> list[str]:
    return [
        "benchmarks.project.wsgi",
        *("--bind", f"{_HOST}:{port}"),
        *("--workers", str(_WORKERS)),
        *("--log-level", "warning"),
    ]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + _SECONDS_TO_START
    while not server.is_ready():
        if process.poll() is not None or time.monotonic() > give_up_at:
            raise RuntimeError("gunicorn did not start.")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
