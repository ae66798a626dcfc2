"""A scrape of a running server, whose response is not trusted.

It may be of any size, take any time, and redirect elsewhere: what is read is limited, no
redirect is followed, and a token is sent to the host of the URL only, by no proxy.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, urlsplit

from tachikoma_metrics.page import bearer_tokens

TIMEOUT_SECONDS = 10.0
LARGEST_RESPONSE = 50_000_000

_CHUNK_SIZE = 65_536

_CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


class ScrapeFailed(Exception):
    """Raised if there is no response; says why, and the remedy."""

    def __init__(self, why: str, hint: str) -> None:
        super().__init__(why)
        self.hint = hint


@dataclass(frozen=True)
class Response:
    """A response of a server; ``location`` is the target of a redirect."""

    status: int
    body: str
    location: str
    seconds: float = 0.0


def scrape(url: str, token: str = "", seconds: float = TIMEOUT_SECONDS) -> Response:
    """Return the response of a server within ``seconds``; raise ``ScrapeFailed`` without one."""
    parts = _parse(url)
    _require_sendable(token)
    began_at = time.monotonic()
    outcome = _within(parts, token, seconds)
    if outcome is None or isinstance(outcome, TimeoutError):
        raise ScrapeFailed(
            f"{url} has not responded completely within {seconds:g} seconds.",
            "Check that the URL is that of the metrics endpoint, and whether a request or a "
            "collector blocks the server.",
        )
    if isinstance(outcome, Response):
        return replace(outcome, seconds=time.monotonic() - began_at)
    if isinstance(outcome, ScrapeFailed):
        raise outcome
    raise ScrapeFailed(
        f"{url} cannot be read: {outcome}", "Check that the server is running at this URL."
    )


def _require_sendable(token: str) -> None:
    if token and not bearer_tokens.is_sendable(token):
        raise ScrapeFailed(
            "The token has spaces, or characters that are not ASCII: no header can carry it.",
            "Check that the token was read from the right place.",
        )


def _within(parts: SplitResult, token: str, seconds: float) -> Response | Exception | None:
    """Return the response, or the exception; None if there is neither within ``seconds``."""
    outcome: list[Response | Exception] = []

    def run() -> None:
        try:
            outcome.append(_get(parts, token, seconds))
        except Exception as error:
            outcome.append(error)

    # A server that sends one byte at a time never exceeds the time-out of a socket.
    thread = threading.Thread(target=run, name="metrics-doctor", daemon=True)
    thread.start()
    thread.join(seconds)
    return outcome[0] if outcome else None


def _parse(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_complete = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ScrapeFailed(f"Invalid URL {url!r}: {error}.", _hint_for(url)) from error
    if parts.scheme not in _CONNECTIONS or not is_complete:
        raise ScrapeFailed(f"Invalid URL {url!r}: it needs a scheme and a host.", _hint_for(url))
    return parts


def _hint_for(url: str) -> str:
    bare = url.partition("://")[2] if "://" in url else url
    begin = bare.lstrip("/")
    if "://" in url or not begin or " " in begin:
        return "It must begin with http:// or https://, as in http://127.0.0.1:8000/metrics."
    end = "" if "/" in begin else "/metrics"
    return f"It must begin with http:// or https://: try http://{begin}{end}."


def _get(parts: SplitResult, token: str, seconds: float) -> Response:
    give_up_at = time.monotonic() + seconds
    connection = _CONNECTIONS[parts.scheme](str(parts.hostname), parts.port, timeout=seconds)
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request("GET", path, headers={"Accept": "text/plain", **headers})
        with connection.getresponse() as response:
            body = b"".join(_chunks(response, give_up_at)).decode("utf-8", "replace")
            return Response(response.status, body, response.headers.get("Location") or "")
    finally:
        connection.close()


def _chunks(response: http.client.HTTPResponse, give_up_at: float) -> Iterator[bytes]:
    size = 0
    while chunk := response.read1(_CHUNK_SIZE):
        size += len(chunk)
        if size > LARGEST_RESPONSE:
            raise ScrapeFailed(
                f"The response has more than {LARGEST_RESPONSE / 1e6:g} MB.",
                "Check that the URL is that of the metrics endpoint; if it is, drop labels.",
            )
        if time.monotonic() > give_up_at:
            raise TimeoutError
        yield chunk
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
