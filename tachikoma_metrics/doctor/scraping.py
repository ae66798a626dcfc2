"""Ask a running server for its metrics, and trust it with nothing.

The answer may be of any size, take any time, and lead elsewhere: what is read is limited, no
redirect is followed, and a token goes to the host of the URL alone, by no proxy.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from tachikoma_metrics.page import bearer_tokens

TIMEOUT_SECONDS = 10.0
LARGEST_ANSWER = 50_000_000

_SIZE_OF_A_PIECE = 65_536

_CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class NoAnswer(Exception):
    """Raised if there is no answer; says why, and the remedy."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.remedy = remedy


@dataclass(frozen=True)
class Answer:
    """An answer of a server; ``location`` is where a redirect leads."""

    status: int
    body: str
    location: str
    seconds: float


def ask(url: str, token: str = "", seconds: float = TIMEOUT_SECONDS) -> Answer:
    """Return what a server answers within ``seconds``; raise ``NoAnswer`` if it does not."""
    parts = _read(url)
    if token and not bearer_tokens.is_sendable(token):
        raise NoAnswer(
            "The token has spaces, or characters that are not ASCII: no header can carry it.",
            "Check that the token was read from the right place.",
        )
    began_at = time.monotonic()
    outcome: list[Answer | Exception] = []

    def run() -> None:
        try:
            outcome.append(_ask(parts, token, seconds))
        except Exception as error:
            outcome.append(error)

    # A server that sends a byte now and then never exceeds the time-out of a socket.
    thread = threading.Thread(target=run, name="metrics-doctor", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome or isinstance(outcome[0], TimeoutError):
        raise NoAnswer(
            f"{url} has not answered completely within {seconds:g} seconds.",
            "Check that the URL is that of the metrics endpoint, and look for what blocks it.",
        )
    if isinstance(outcome[0], Answer):
        answer = outcome[0]
        return Answer(answer.status, answer.body, answer.location, time.monotonic() - began_at)
    if isinstance(outcome[0], NoAnswer):
        raise outcome[0]
    raise NoAnswer(
        f"{url} cannot be read: {outcome[0]}", "Check that the server is running at this URL."
    )


def _read(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_complete = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise NoAnswer(f"{url!r} is not a URL: {error}.", _remedy_for(url)) from error
    if parts.scheme not in _CONNECTIONS or not is_complete:
        raise NoAnswer(f"{url!r} is not a URL that can be asked.", _remedy_for(url))
    return parts


def _remedy_for(url: str) -> str:
    bare = url.partition("://")[2] if "://" in url else url
    begin = bare.lstrip("/")
    if "://" in url or not begin or " " in begin:
        return "It should begin with http:// or https://, as in http://127.0.0.1:8000/metrics."
    end = "" if "/" in begin else "/metrics"
    return f"It should begin with http:// or https://: try http://{begin}{end}."


def _ask(parts: SplitResult, token: str, seconds: float) -> Answer:
    give_up_at = time.monotonic() + seconds
    connection = _CONNECTIONS[parts.scheme](str(parts.hostname), parts.port, timeout=seconds)
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request("GET", path, headers={"Accept": "text/plain", **headers})
        with connection.getresponse() as answer:
            body = b"".join(_pieces(answer, give_up_at)).decode("utf-8", "replace")
            return Answer(answer.status, body, answer.headers.get("Location") or "", 0.0)
    finally:
        connection.close()


def _pieces(answer: http.client.HTTPResponse, give_up_at: float) -> Iterator[bytes]:
    size = 0
    while piece := answer.read1(_SIZE_OF_A_PIECE):
        size += len(piece)
        if size > LARGEST_ANSWER:
            raise NoAnswer(
                f"The answer has more than {LARGEST_ANSWER / 1e6:g} MB.",
                "Check that the URL is that of the metrics endpoint; if it is, drop labels.",
            )
        if time.monotonic() > give_up_at:
            raise TimeoutError
        yield piece
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)
