"""Run the example under gunicorn and uvicorn, and send it a little traffic until stopped.

Everything stays on loopback. PORT chooses another port than 8000; the two after it are for
WebSockets and for what stands in for a language model, unless LLM_BASE_URL names one.
DATABASE_PATH chooses another database than ``db.sqlite3`` beside this file. A Celery worker and
its beat refresh the business metrics and run tasks; its broker is a temporary folder, unless
CELERY_BROKER_URL names another.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
PORTS = 3
SECONDS_BETWEEN_REQUESTS = 0.1
# Longer than the example gives a language model.
TIMEOUT_SECONDS = 90
SECONDS_TO_START = 30
# Odd, so that every other visit is refused.
REQUESTS_PER_VISIT = 9


class Stopped(Exception):
    """Raised when the demo is told to stop."""


def main() -> int:
    """Set up the database, start the server, send traffic; return the exit code."""
    port = int(os.environ.get("PORT", "8000"))
    if taken := [number for number in range(port, port + PORTS) if not is_free(number)]:
        print(f"Port {taken[0]} is taken. Choose others: PORT=8010 make demo", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    # Whatever project the shell is set up for, this is the example.
    os.environ["DJANGO_SETTINGS_MODULE"] = "tachikoma.settings"
    # And no proxy that the shell names has anything of it to see.
    os.environ["no_proxy"] = HOST
    try:
        manage("migrate", "--verbosity", "0")
        manage("seed")
        serve_and_send(port)
    except Stopped:
        print("\nStopped.")
    return 0


def stop(number: int, frame: FrameType | None) -> None:
    """Leave the demo at the first signal; the ones after it change nothing."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Stopped


def is_free(port: int) -> bool:
    """Tell whether a server can listen on ``port``."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True


def manage(*arguments: str) -> None:
    """Run a management command; raise ``CalledProcessError`` if it fails."""
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=HERE, check=True)


def serve_and_send(port: int) -> None:
    """Start the servers and the worker, and send requests until told to stop."""
    with (
        standing_in(port + 2),
        queueing(),
        serving(port),
        serving_sockets(port + 1),
        running(*worker_command()),
    ):
        tell_where_to_look(port)
        for number, (method, path, body) in enumerate(requests(port)):
            send(port, method, path, body)
            if number % REQUESTS_PER_VISIT == 0:
                visit(port + 1, "/ws/missions/" if number % 2 else "/ws/no/such/")
            time.sleep(SECONDS_BETWEEN_REQUESTS)


@contextlib.contextmanager
def standing_in(port: int) -> Iterator[None]:
    """Run the stand-in for a language model while the block lasts, unless there is one."""
    if os.environ.get("LLM_BASE_URL"):
        yield
        return
    os.environ["LLM_BASE_URL"] = f"http://{HOST}:{port}/v1"
    print(
        f"LLM_BASE_URL is not set: a stand-in for a language model answers at port {port}.",
        flush=True,
    )
    sys.stdout.flush()
    with running("stand_in.py", str(port)):
        yield


@contextlib.contextmanager
def serving(port: int) -> Iterator[None]:
    """Serve by gunicorn while the block lasts."""
    # Several processes: whichever answers, the page is that of all.
    command = ["-m", "gunicorn", "tachikoma.wsgi", "--workers", "3", "--log-level", "warning"]
    with running(*command, "--bind", f"{HOST}:{port}") as server:
        wait_until_it_answers(server, port)
        yield


@contextlib.contextmanager
def serving_sockets(port: int) -> Iterator[None]:
    """Serve by uvicorn while the block lasts, and keep one WebSocket open."""
    command = ["-m", "uvicorn", "tachikoma.asgi:application", "--host", HOST, "--lifespan", "off"]
    with running(*command, "--port", str(port), "--log-level", "warning") as server:
        wait_until_it_answers(server, port)
        with connect(f"ws://{HOST}:{port}/ws/missions/") as client:
            threading.Thread(target=read, args=(client,), daemon=True).start()
            yield


def visit(port: int, path: str) -> None:
    """Open a WebSocket, ask, read an answer and leave; some are refused."""
    with (
        contextlib.suppress(WebSocketException),
        connect(f"ws://{HOST}:{port}{path}") as client,
    ):
        client.send("now")
        client.recv(timeout=SECONDS_TO_START)


def read(client: ClientConnection) -> None:
    """Read from a WebSocket until it is closed."""
    with contextlib.suppress(WebSocketException):
        for _ in client:
            pass


@contextlib.contextmanager
def queueing() -> Iterator[None]:
    """Make the folders of the queue and of beat, and remove them after the block."""
    with tempfile.TemporaryDirectory(prefix="tachikoma-") as folder:
        os.environ["QUEUE_DIR"] = f"{folder}/queue"
        os.environ["BEAT_FILE"] = f"{folder}/beat"
        yield


def worker_command() -> list[str]:
    """Return the command of a Celery worker with beat."""
    command = ["-m", "celery", "--app", "tachikoma", "--quiet", "worker", "--beat"]
    options = ["--concurrency", "2", "--loglevel", "WARNING"]
    return [*command, *options, "--schedule", os.environ["BEAT_FILE"]]


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of Python's while the block lasts."""
    process = subprocess.Popen([sys.executable, *command], cwd=HERE)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def wait_until_it_answers(server: subprocess.Popen[bytes], port: int) -> None:
    """Return once the server answers; raise ``RuntimeError`` if it does not start."""
    for _ in range(SECONDS_TO_START * 10):
        if server.poll() is not None:
            raise RuntimeError(f"The server ended with exit code {server.returncode}.")
        try:
            send(port, "GET", "/api/v1/missions/")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"The server did not answer within {SECONDS_TO_START} seconds.")


def tell_where_to_look(port: int) -> None:
    """Print the addresses worth opening."""
    address = f"http://{HOST}:{port}"
    print(f"\nThe metrics page:  {address}/metrics")
    print(f"The API:           {address}/api/v1/missions/")
    print(f"The WebSocket:     ws://{HOST}:{port + 1}/ws/missions/")
    if port == 8000:
        print("In Prometheus:     prometheus --config.file=example_project/prometheus.yml")
    print("\nSending a little traffic. Ctrl-C stops it.", flush=True)


def requests(port: int) -> Any:
    """Yield method, path and body of one request after the other."""
    listed = json.loads(send(port, "GET", "/api/v1/missions/"))["missions"]
    missions = [f"/api/v1/missions/{mission['id']}/" for mission in listed]
    specs = [spec for mission in missions for spec in specs_of(port, mission)]
    dice = random.Random(0)  # noqa: S311  # Traffic for a demo is no secret.
    for number in itertools.count(1):
        mission = dice.choice(missions)
        yield "GET", "/api/v1/missions/", None
        yield "GET", mission, None
        yield "GET", f"{mission}specs/", None
        yield "GET", f"{mission}export/", None
        yield "GET", "/api/v1/summary/", None
        if number % 2 == 0:
            yield "POST", f"{dice.choice(specs)}execute/", {"later": number % 4 == 0}
        if number % 3 == 0:
            # Every other report is of a mission that does not exist.
            reported = mission if number % 2 else f"/api/v1/missions/{uuid.uuid4()}/"
            yield "POST", f"{reported}report/", {}
        if number % 5 == 0:
            yield "POST", f"{mission}specs/", {"title": f"Spec {number}"}
        if number % 7 == 0:
            yield "GET", f"/no/such/page/{number}", None
        if number % 11 == 0:
            yield "GET", "/api/v1/broken/", None


def specs_of(port: int, mission: str) -> list[str]:
    """Return the paths of the specs of a mission."""
    listed = json.loads(send(port, "GET", f"{mission}specs/"))["specs"]
    return [f"/api/v1/specs/{spec['id']}/" for spec in listed]


def send(port: int, method: str, path: str, body: object = None) -> bytes:
    """Return the body of the answer to one request; raise ``OSError`` without one."""
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        return connection.getresponse().read()
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
