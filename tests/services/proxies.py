"""A proxy that can get in the way."""

from __future__ import annotations

import contextlib
import socket
import threading


class Proxy:
    """Pass connections on to a port of this machine, refuse them, or never answer."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._answers = True
        self._sockets: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.port = 0

    def __enter__(self) -> Proxy:
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()

    def pass_on(self) -> None:
        """Pass connections on, from now on; what hung is cut off."""
        self._cut()
        self._answers = True
        if self._listener is None:
            self._listen()

    def refuse(self) -> None:
        """Be away: cut all connections off, and accept none."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # Only so does the thread in accept() hear of it.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._cut()

    def hang(self) -> None:
        """Accept connections and never answer, those that are open included."""
        self._answers = False

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self._answers:
                    return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def _cut(self) -> None:
        cut, self._sockets = self._sockets, []
        for one in cut:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
