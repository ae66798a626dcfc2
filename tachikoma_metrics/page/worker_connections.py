"""The connections to a worker's metrics endpoint: how many, and for how long.

Both are limited, so that no client keeps a scraper out.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass

_HEAD_TIMEOUT_SECONDS = 5
_SCRAPE_TIMEOUT_SECONDS = 30
_MAX_CONNECTIONS = 16
_MAX_CONNECTIONS_PER_NETWORK = 8
"""More than the scrapers of one network need; the other connections are for other networks."""


@dataclass
class _Connection:
    network: str
    times_out_at: float
    has_request: bool = False
    """Whether the client has sent the head of a request."""


class Connections:
    """Limit the connections that are served, and end those that time out.

    At the limit, the oldest connection without a request is ended for a new one: a scraper
    sends its request immediately.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[socket.socket, _Connection] = {}

    def begin(self, connection: socket.socket, network: str) -> bool:
        """Admit a connection; return False at the limit."""
        with self._lock:
            if not self._has_room(network):
                return False
            times_out_at = time.monotonic() + _HEAD_TIMEOUT_SECONDS
            self._open[connection] = _Connection(network, times_out_at)
            return True

    def start_scrape(self, connection: socket.socket) -> None:
        """Note that the client has sent a request, and start the timeout of the scrape."""
        with self._lock:
            if connection in self._open:
                known = self._open[connection]
                known.has_request = True
                known.times_out_at = time.monotonic() + _SCRAPE_TIMEOUT_SECONDS

    def end(self, connection: socket.socket) -> None:
        """Note that a connection was closed."""
        with self._lock:
            self._open.pop(connection, None)

    def end_timed_out(self) -> None:
        """End the connections that timed out."""
        now = time.monotonic()
        with self._lock:
            late = [one for one, known in self._open.items() if known.times_out_at < now]
            for connection in late:
                self._shut_down(connection)

    def _has_room(self, network: str) -> bool:
        neighbours = [one for one, known in self._open.items() if known.network == network]
        if len(neighbours) >= _MAX_CONNECTIONS_PER_NETWORK:
            return self._make_room(neighbours)
        return len(self._open) < _MAX_CONNECTIONS or self._make_room(list(self._open))

    def _make_room(self, candidates: list[socket.socket]) -> bool:
        """End the oldest connection without a request; return whether there was one."""
        oldest = next((one for one in candidates if not self._open[one].has_request), None)
        if oldest is not None:
            self._shut_down(oldest)
        return oldest is not None

    def _shut_down(self, connection: socket.socket) -> None:
        del self._open[connection]
        # Its thread closes it: closed here, the thread might use a reused file descriptor.
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
