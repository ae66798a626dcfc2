"""Answers that the processes of a service share, so that ten viewers cost what one does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import STORE, Attachment

_PATIENCE_SECONDS = 8.0
"""For how much longer an answer is served while another process makes the next one."""


class Shared:
    """A text that is made at most once in ``seconds``, whichever process is asked for it."""

    def __init__(self, name: str, seconds: float, make: Callable[[], str]) -> None:
        self._name = name
        self._seconds = seconds
        self._make = make
        self._own: tuple[float, str] | None = None
        self.renew()
        STORE.on_fork(self.renew)

    def renew(self) -> None:
        """Make a new lock, in a forked child: a thread of its parent may hold it."""
        self._lock = threading.Lock()

    def text(self) -> str:
        """Return the text, at most as old as it may be; raise what making it raises."""
        path = STORE.directory()
        if path is None:
            return self._of_this_process()
        attachment = Attachment(path, self._name)
        known = _parsed(attachment.read())
        if known is not None and _age(known) < self._seconds:
            return known[1]
        with attachment.locked() as is_locked:
            is_awaited = known is not None and _age(known) < self._seconds + _PATIENCE_SECONDS
            if known is not None and is_awaited and not is_locked:
                return known[1]
            text = self._make()
            if is_locked:
                self._replace(attachment, text)
            return text

    def _replace(self, attachment: Attachment, text: str) -> None:
        try:
            attachment.replace(f"{_now()!r}\n{text}".encode())
        except OSError as error:
            pass_on(error)
            METRICS.count_error("live", error)

    def _of_this_process(self) -> str:
        with self._lock:
            if self._own is None or _age(self._own) >= self._seconds:
                text = self._make()
                self._own = _now(), text
            return self._own[1]


def _now() -> float:
    # The same clock in all processes of a host, which cannot be set.
    return time.monotonic()


def _age(known: tuple[float, str]) -> float:
    return abs(_now() - known[0])


def _parsed(content: bytes | None) -> tuple[float, str] | None:
    if content is None:
        return None
    line, _, text = content.partition(b"\n")
    try:
        return float(line), text.decode()
    except ValueError as error:
        pass_on(error)
        return None
