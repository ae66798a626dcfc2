"""A gunicorn that is loaded in bursts, and what its workers use."""

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

from benchmarks.conversation import ROOT, files_of
from benchmarks.peers import Peer

_HOST = "127.0.0.1"
_PATH = "/api/v1/missions/41/"
_WORKERS = 2
_CONNECTIONS = 4
_SECONDS_TO_START = 30
_SECONDS_TO_STOP = 20
_REQUESTS = re.compile(r"(\d+) requests in ([\d.]+)s")


@dataclass(frozen=True)
class Burst:
    """What was answered for a while, and what the workers used for it."""

    requests: int
    seconds: float
    cpu_seconds: float

    @property
    def cpu_per_request(self) -> float:
        """Return the seconds of CPU of all workers, by request."""
        return self.cpu_seconds / self.requests

    @property
    def requests_per_second(self) -> float:
        """Return how many requests were answered in a second."""
        return self.requests / self.seconds


class Server:
    """A running service."""

    def __init__(self, pid: int, port: int) -> None:
        self._pid = pid
        self._port = port

    def load(self, seconds: int) -> Burst:
        """Have ``wrk`` send requests, as many as are answered."""
        workers = self._workers()
        before = sum(map(_cpu_seconds, workers))
        requests, took = _wrk(f"http://{_HOST}:{self._port}{_PATH}", seconds)
        return Burst(requests, took, sum(map(_cpu_seconds, workers)) - before)

    def answers(self) -> bool:
        """Tell whether all workers are there and a request is answered."""
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
    # Its first number is what /proc/<pid>/stat tells in hundredths of a second, in ns;
    # of the main thread, and sync workers have no other.
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
        raise RuntimeError(f"Not every request was answered:\n{finished.stdout}")
    return int(found[1]), float(found[2])


@contextmanager
def serving(peer: Peer) -> Iterator[Server]:
    """Serve the project with ``peer`` while the block lasts."""
    port = _free_port()
    with (
        files_of(peer) as folder,
        subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *_arguments(port)],
            cwd=ROOT,
            env=peer.environment(folder),
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
    while not server.answers():
        if process.poll() is not None or time.monotonic() > give_up_at:
            raise RuntimeError("gunicorn did not start.")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
