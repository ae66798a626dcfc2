"""The bearer tokens that ``TOKENS`` configures, and the one that a request presents."""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tachikoma_metrics.conf import Config, config
from tachikoma_metrics.registry import METRICS

FILE = "file:"

_SENDABLE = re.compile(r"[!-~]+")
"""What a header carries unchanged: https://www.rfc-editor.org/rfc/rfc9110#section-5.5"""


# --- the token of a request -------------------------------------------------


def presented_token(headers: Mapping[str, Any]) -> str | None:
    """Return the bearer token in the ``Authorization`` header of ``request.META``, if any."""
    # https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    scheme, _, token = headers.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def has_valid_token(headers: Mapping[str, Any]) -> bool:
    """Return whether the request presents one of the tokens that ``TOKENS`` configures."""
    presented = presented_token(headers)
    if presented is None:
        return False
    candidate = presented.encode("utf-8", "surrogateescape")
    # All are compared, even after a match, so that the duration reveals nothing.
    matches = [hmac.compare_digest(candidate, token.encode()) for token in _valid_tokens()]
    return any(matches)


def _valid_tokens() -> Iterator[str]:
    for token in config().tokens:
        if token.startswith(FILE):
            yield from _tokens_in(token.removeprefix(FILE))
        else:
            yield token


def _tokens_in(path: str) -> list[str]:
    """Return the tokens in a file, which may change while the process runs."""
    try:
        return _lines(path)
    except (OSError, ValueError) as error:
        METRICS.count_error("access", error, "a file of `TOKENS`")
        return []


def _lines(path: str) -> list[str]:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]


# --- the tokens of the settings, for checks and the doctor ------------------


class Unreadable(OSError):
    """Raised for a file of tokens that has none; says which file, and why."""


def read_file(path: str) -> list[str]:
    """Return the tokens in a file, one a line; raise ``Unreadable`` if there are none."""
    try:
        tokens = _lines(path)
    except OSError as error:
        raise Unreadable(f"{path!r} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise Unreadable(f"{path!r} cannot be read: it is not text in UTF-8") from error
    if not tokens:
        raise Unreadable(f"{path!r} is empty")
    return tokens


def readable(config: Config) -> list[str]:
    """Return all tokens that can be read; unreadable files are skipped."""
    return [token for _, tokens in _by_entry(config) for token in tokens]


def unreadable(config: Config) -> list[str]:
    """Return which files provide no token, and why."""
    return [why for why, _ in _by_entry(config) if why]


def unsendable(config: Config) -> int:
    """Return how many tokens have characters that no client can send."""
    return sum(1 for token in readable(config) if not is_sendable(token))


def is_sendable(token: str) -> bool:
    """Return whether a header can carry a token unchanged."""
    return _SENDABLE.fullmatch(token) is not None


def _by_entry(config: Config) -> Iterator[tuple[str, list[str]]]:
    """Yield, for each entry of ``TOKENS``, why it provides no token, or its tokens."""
    for entry in config.tokens:
        if not entry.startswith(FILE):
            yield _trouble_with_path(entry), [entry]
            continue
        try:
            yield "", read_file(entry.removeprefix(FILE))
        except Unreadable as error:
            yield str(error), []


def _trouble_with_path(entry: str) -> str:
    """Return what is wrong with a token that is the path of a file; "" if it is none."""
    is_path = entry.startswith("/") and os.path.isfile(entry)
    return f"{entry!r} lacks {FILE!r} before the path" if is_path else ""
