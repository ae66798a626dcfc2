"""Programs, ports and answers: what every test with real processes needs."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS_TO_START = 60


def missing(reason: str) -> NoReturn:
    """Skip the test that misses something, or fail where services are required."""
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str) -> str:
    """Return where a program is; skip without it, or fail where services are required."""
    path = shutil.which(name)
    if path is None:
        missing(f"{name} is not installed; on Debian, .ci/install installs it")
    return path


def free_port() -> int:
    """Return a port for a server that is started later."""
    return free_ports(1)[0]


def free_ports(count: int) -> range:
    """Return so many ports in a row, which no client is given in the meantime.

    Clients get theirs from 32768 upwards.
    """
    while True:
        # Not the generator that every test seeds alike.
        first = random.SystemRandom().randrange(20_000, 32_768 - count)
        ports = range(first, first + count)
        if all(map(_is_free, ports)):
            return ports


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return True
    return False


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def get(url: str, **headers: str) -> tuple[int, bytes]:
    """Return the status and body of an answer."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def eventually(is_so: Callable[[], bool], seconds: float = SECONDS_TO_START) -> None:
    """Return once ``is_so``; fail after ``seconds``.

    Looking takes a quarter of the time at most: what is waited for needs the processors more.
    """
    give_up_at = time.monotonic() + seconds
    while True:
        looked_at = time.monotonic()
        if is_so():
            return
        if time.monotonic() > give_up_at:
            pytest.fail(f"{is_so} was not so within {seconds} seconds")
        took = time.monotonic() - looked_at
        time.sleep(min(max(0.05, 3 * took), 0.5))


def answers(url: str) -> bool:
    with contextlib.suppress(OSError):
        return get(url)[0] == 200
    return False


@contextlib.contextmanager
def running(
    command: list[str], log: Path, stop_by: signal.Signals = signal.SIGTERM, **options: object
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command for the time of the block, its output in ``log``."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, **options)  # type: ignore[call-overload]
    with stopping(process, stop_by):
        yield process


@contextlib.contextmanager
def stopping(
    process: subprocess.Popen[Any], stop_by: signal.Signals = signal.SIGTERM
) -> Iterator[None]:
    """Stop a process at the end of the block."""
    try:
        yield
    finally:
        process.send_signal(stop_by)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
