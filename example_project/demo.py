"""Run the example under gunicorn and uvicorn, and send some traffic until stopped.

All servers listen on loopback. PORT changes the port, 8000 by default; the next two ports are for
WebSockets and for a fake LLM server, which runs unless LLM_BASE_URL is set. DATABASE_PATH changes
the database, ``db.sqlite3`` beside this file by default. A Celery worker with beat refreshes the
business metrics and runs tasks; its broker is a temporary folder unless CELERY_BROKER_URL is set.
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
# Longer than the timeout of the example's LLM client.
TIMEOUT_SECONDS = 90
SECONDS_TO_START = 30
SECONDS_TO_STOP = 10
# Odd, so that the server rejects every other WebSocket.
REQUESTS_PER_WEBSOCKET = 9
SEARCHES = ("a", "se", "sockets", "measure")
BROKEN_PARTS = ("view", "database", "cache")


class Stopped(Exception):
    """Raised by the signal that stops the demo."""


def main() -> int:
    """Set up the database, start the server, send traffic; return the exit code."""
    port = int(os.environ.get("PORT", "8000"))
    if taken := [number for number in range(port, port + PORTS) if not is_free(number)]:
        print(f"Port {taken[0]} is taken. Choose others: PORT=8010 make demo", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    # The shell may have the settings module of another project.
    os.environ["DJANGO_SETTINGS_MODULE"] = "tachikoma.settings"
    # The shell may have a proxy, which must not receive these requests.
    os.environ["no_proxy"] = HOST
    try:
        manage("migrate", "--verbosity", "0")
        manage("seed")
        serve_and_send(port)
    except Stopped:
        print("\nStopped.")
    return 0


def stop(number: int, frame: FrameType | None) -> None:
    """Stop the demo at the first signal, and ignore later signals."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Stopped


def is_free(port: int) -> bool:
    """Return whether a server can listen on ``port``."""
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
    """Start the servers and the worker, and send requests until a signal arrives."""
    with (
        fake_llm(port + 2),
        queueing(),
        serving(port),
        serving_websockets(port + 1),
        running(*worker_command()),
    ):
        print_addresses(port)
        for number, (method, path, body) in enumerate(requests(port)):
            send(port, method, path, body)
            if number % REQUESTS_PER_WEBSOCKET == 0:
                open_websocket(port + 1, "/ws/missions/" if number % 2 else "/ws/no/such/")
            time.sleep(SECONDS_BETWEEN_REQUESTS)


@contextlib.contextmanager
def fake_llm(port: int) -> Iterator[None]:
    """Run the fake LLM server during the block, unless LLM_BASE_URL is set."""
    if os.environ.get("LLM_BASE_URL"):
        yield
        return
    os.environ["LLM_BASE_URL"] = f"http://{HOST}:{port}/v1"
    print(
        f"LLM_BASE_URL is not set: a fake LLM server listens on port {port}.",
        flush=True,
    )
    sys.stdout.flush()
    with running("fake_llm.py", str(port)):
        yield


@contextlib.contextmanager
def serving(port: int) -> Iterator[None]:
    """Serve with gunicorn during the block."""
    # Several worker processes, which share one metrics endpoint.
    command = ["-m", "gunicorn", "tachikoma.wsgi", "--workers", "3", "--log-level", "warning"]
    with running(*command, "--bind", f"{HOST}:{port}") as server:
        wait_until_ready(server, port)
        yield


@contextlib.contextmanager
def serving_websockets(port: int) -> Iterator[None]:
    """Serve with uvicorn during the block, and keep one WebSocket open."""
    command = ["-m", "uvicorn", "tachikoma.asgi:application", "--host", HOST, "--lifespan", "off"]
    with running(*command, "--port", str(port), "--log-level", "warning") as server:
        wait_until_ready(server, port)
        with connect(f"ws://{HOST}:{port}/ws/missions/") as client:
            threading.Thread(target=read, args=(client,), daemon=True).start()
            yield


def open_websocket(port: int, path: str) -> None:
    """Open a WebSocket, send a message, read one and close; ignore a rejection."""
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
    """Run a Python program during the block."""
    process = subprocess.Popen([sys.executable, *command], cwd=HERE)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    """Wait for the first response; raise ``RuntimeError`` if the server does not start."""
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


def print_addresses(port: int) -> None:
    """Print the URLs of the demo."""
    address = f"http://{HOST}:{port}"
    print(f"\nLive page:         {address}/live/ (log in as demo, with the password demo)")
    print(f"Metrics endpoint:  {address}/metrics")
    print(f"API:               {address}/api/v1/missions/")
    print(f"WebSocket:         ws://{HOST}:{port + 1}/ws/missions/")
    if port == 8000:
        print("Prometheus:        prometheus --config.file=example_project/prometheus.yml")
    print("\nSending traffic. Press Ctrl-C to stop.", flush=True)


def requests(port: int) -> Any:
    """Yield the method, path and body of each request."""
    listed = json.loads(send(port, "GET", "/api/v1/missions/"))["missions"]
    missions = [f"/api/v1/missions/{mission['id']}/" for mission in listed]
    specs = [spec for mission in missions for spec in specs_of(port, mission)]
    chance = random.Random(0)  # noqa: S311  # Traffic for a demo is no secret.
    for number in itertools.count(1):
        mission = chance.choice(missions)
        yield "GET", "/api/v1/missions/", None
        yield "GET", mission, None
        yield "GET", f"{mission}specs/", None
        yield "GET", f"{mission}export/", None
        yield "GET", "/api/v1/summary/", None
        if number % 2:
            yield "GET", "/api/v1/board/", None
        if number % 4 == 0:
            yield "GET", f"/api/v1/search/?q={chance.choice(SEARCHES)}", None
        if number % 2 == 0:
            yield "POST", f"{chance.choice(specs)}execute/", {"later": number % 4 == 0}
        if number % 3 == 0:
            # Every other report is of a mission that does not exist.
            reported = mission if number % 2 else f"/api/v1/missions/{uuid.uuid4()}/"
            yield "POST", f"{reported}report/", {}
        if number % 5 == 0:
            yield "POST", f"{mission}specs/", {"title": f"Spec {number}"}
        if number % 7 == 0:
            yield "GET", f"/no/such/page/{number}", None
        if number % 11 == 0:
            part = BROKEN_PARTS[number // 11 % len(BROKEN_PARTS)]
            yield "GET", f"/api/v1/broken/?part={part}", None


def specs_of(port: int, mission: str) -> list[str]:
    """Return the paths of the specs of a mission."""
    listed = json.loads(send(port, "GET", f"{mission}specs/"))["specs"]
    return [f"/api/v1/specs/{spec['id']}/" for spec in listed]


def send(port: int, method: str, path: str, body: object = None) -> bytes:
    """Send a request and return the response body; raise ``OSError`` on failure."""
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        return connection.getresponse().read()
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
