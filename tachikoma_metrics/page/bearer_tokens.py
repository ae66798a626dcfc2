"""The bearer tokens that ``TOKENS`` names, and why some of them can never be sent.

They are read here for those who look at the settings: the checks and the doctor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tachikoma_metrics.conf import Config

FILE = "file:"

_SENDABLE = re.compile(r"[!-~]+")
"""What arrives as it was sent: https://www.rfc-editor.org/rfc/rfc9110#section-5.5"""


class Unreadable(OSError):
    """Raised for a file of tokens that gives none; says which, and why."""


def read_file(path: str) -> list[str]:
    """Return the tokens in a file, one a line; raise ``Unreadable`` if there are none."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise Unreadable(f"{path!r} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise Unreadable(f"{path!r} cannot be read: it is not text in UTF-8") from error
    tokens = [line.strip() for line in lines if line.strip()]
    if not tokens:
        raise Unreadable(f"{path!r} is empty")
    return tokens


def readable(config: Config) -> list[str]:
    """Return all tokens that can be had; files that cannot be read are passed over."""
    return [token for _, tokens in _by_entry(config) for token in tokens]


def unreadable(config: Config) -> list[str]:
    """Return which files give no token, and why."""
    return [why for why, _ in _by_entry(config) if why]


def unsendable(config: Config) -> int:
    """Return how many tokens have characters that no client can send."""
    return sum(1 for token in readable(config) if not is_sendable(token))


def is_sendable(token: str) -> bool:
    """Tell whether a header can carry a token as it is."""
    return _SENDABLE.fullmatch(token) is not None


def _by_entry(config: Config) -> Iterator[tuple[str, list[str]]]:
    """Yield why an entry of ``TOKENS`` gives no token, or the tokens that it gives."""
    for entry in config.tokens:
        if not entry.startswith(FILE):
            yield "", [entry]
            continue
        try:
            yield "", read_file(entry.removeprefix(FILE))
        except Unreadable as error:
            yield str(error), []
