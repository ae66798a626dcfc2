"""Clients that keep a ledger of their own: what they sent, and what was answered."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence

from tests.services.processes import eventually

CLIENTS = 4
SECONDS = 240
"""How long a load may take, whatever happens to the server."""


class Load:
    """Send requests evenly, until so many are answered."""

    def __init__(self, port: int, count: int, paths: Sequence[str], per_second: float) -> None:
        self.port = port
        self.count = count
        self.sent = 0
        self.statuses: Counter[int] = Counter()
        self._paths = itertools.cycle(paths)
        self._pause = CLIENTS / per_second
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._clients = [threading.Thread(target=self._send, daemon=True) for _ in range(CLIENTS)]

    @property
    def answered(self) -> int:
        """Return how many requests were answered, with whichever status."""
        return self.statuses.total()

    def reaches(self, answered: int) -> None:
        """Wait until so many requests are answered."""
        eventually(lambda: self.answered >= min(answered, self.count), SECONDS)

    def __enter__(self) -> Load:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Wait for the rest of the answers, unless the block has failed."""
        try:
            if kind is None:
                self.reaches(self.count)
        finally:
            self._stopped.set()
            for client in self._clients:
                client.join(SECONDS)

    def _send(self) -> None:
        while self.answered < self.count and not self._stopped.wait(self._pause):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
            # A request without an answer was refused, or its process killed: the next is another.
            with (
                contextlib.closing(connection),
                contextlib.suppress(OSError, http.client.HTTPException),
            ):
                connection.connect()
                self._ask(connection)

    def _ask(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self.sent += 1
            path = next(self._paths)
        connection.request("GET", path)
        with connection.getresponse() as answer:
            answer.read()
        with self._lock:
            self.statuses[answer.status] += 1


@contextlib.contextmanager
def idle_connections(port: int, count: int) -> Iterator[None]:
    """Hold so many connections open for the time of the block, and send nothing over them."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        yield
