"""Servers of caches, each for the time of a block."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.services.processes import eventually, free_port, is_listening, program, running


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """Run Redis and yield its port."""
    port = free_port()
    alone = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    with running([program("redis-server"), *alone], folder / "redis.log"):
        eventually(lambda: is_listening(port))
        yield port


@contextlib.contextmanager
def memcached(folder: Path) -> Iterator[int]:
    """Run Memcached and yield its port."""
    port = free_port()
    alone = ["-l", "127.0.0.1", "-p", str(port), "-U", "0"]
    # Its threads remove what was cleared at any time, also while a test counts what is there.
    alone += ["-o", "no_lru_crawler,no_lru_maintainer"]
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with running([program("memcached"), *alone, *user], folder / "memcached.log"):
        eventually(lambda: is_listening(port))
        yield port


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """Accept connections and never answer; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted: list[socket.socket] = []
        thread = threading.Thread(target=_accept_all, args=(listener, accepted), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for client in accepted:
                client.close()


def _accept_all(listener: socket.socket, accepted: list[socket.socket]) -> None:
    with contextlib.suppress(OSError):
        while True:
            accepted.append(listener.accept()[0])
