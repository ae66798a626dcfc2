"""A listener between a scraper and the server that it scrapes, which remembers the headers."""

from __future__ import annotations

import contextlib
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from django.http.request import MediaType

PLAIN_TEXT = "text/plain; version=0.0.4"


@dataclass(frozen=True)
class Scrape:
    """What a scraper asked for, and the type of the answer that it got."""

    accept: str
    content_type: str

    @property
    def is_answered_as_asked(self) -> bool:
        """Tell whether the answer is of a type that was asked for by name, or plain text.

        Plain text is what remains for a scraper that names nothing else that is served: all
        of them end their list with ``*/*``.
        """
        named = {kind(one.partition(";q=")[0]) for one in self.accept.split(",")}
        return kind(self.content_type) in {*named, kind(PLAIN_TEXT)} - {kind("*/*")}


def kind(media_type: str) -> tuple[str, str, str]:
    """Return what makes two types the same format: not the character set, nor the escaping."""
    parsed = MediaType(media_type)
    return parsed.main_type, parsed.sub_type, str(parsed.params.get("version", ""))


@dataclass
class Relay:
    """Where scrapers find the listener, and what it saw last at each path."""

    port: int
    scrapes: dict[str, Scrape] = field(default_factory=dict)


@contextlib.contextmanager
def relaying(url: str) -> Iterator[Relay]:
    """Answer every request, at any path, as ``url`` answers it, for the time of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = {name: self.headers.get(name, "") for name in ("Accept", "Accept-Encoding")}
            with urllib.request.urlopen(urllib.request.Request(url, headers=asked)) as answer:
                scrape = Scrape(asked["Accept"], answer.headers["Content-Type"])
                relay.scrapes[self.path.strip("/")] = scrape
                self._pass_on(answer.headers, answer.read())

        def _pass_on(self, headers: Message, body: bytes) -> None:
            self.send_response(200)
            for name in ("Content-Type", "Content-Encoding"):
                if name in headers:
                    self.send_header(name, headers[name])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        relay = Relay(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield relay
        finally:
            server.shutdown()
            thread.join()
