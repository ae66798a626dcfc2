"""The thread that notes the history: in one process of the service, whichever holds a lock.

Each process that answers requests has the thread; all but one of them only try to get the lock. If
that process ends, however it ends, the kernel releases the lock, and another one goes on.
"""

from __future__ import annotations

import threading
import time

from django.core.signals import request_started

from tachikoma_metrics import conf
from tachikoma_metrics.http.current_request import current
from tachikoma_metrics.interruptions import suppress
from tachikoma_metrics.live.history import STEP_SECONDS, History
from tachikoma_metrics.live.totals import Reader, Totals
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import STORE, Attachment, Incomplete, Lease

NAME = "history"
SECONDS_BETWEEN_TRIES = 4.0
"""Between two tries to get the lock: less than ten seconds pass until the next row."""


class Sampler:
    """Note the totals of the service every ``STEP_SECONDS``, if no other process does."""

    def __init__(self) -> None:
        self.reader = Reader()
        self._renew()

    def _renew(self) -> None:
        self._lease: Lease | None = None
        self._before: Totals | None = None
        self.history = History()
        self._thread: threading.Thread | None = None

    def after_fork(self) -> None:
        """Forget the thread and the lock of the parent, in a forked child."""
        self.reader.renew()
        self._renew()

    def start(self) -> None:
        """Start the thread, unless it is started; in a test run it is not. Never raises."""
        try:
            if self._thread is None and not conf.is_test_run():
                self._thread = threading.Thread(
                    target=self._run, name="metrics-history", daemon=True
                )
                self._thread.start()
        except Exception as error:
            # A process that may have no more threads.
            METRICS.count_error("live", error)

    def on_request(self, **kwargs: object) -> None:
        """Start with the first request of a process, and cost the others nothing."""
        request_started.disconnect(dispatch_uid=NAME)
        self.start()

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            is_sampler = self._try_step()
            seconds = STEP_SECONDS if is_sampler else SECONDS_BETWEEN_TRIES
            # Not the time that a suspended process missed.
            due = max(due + seconds, time.monotonic() + 0.1)
            time.sleep(max(due - time.monotonic(), 0.0))

    def _try_step(self) -> bool:
        try:
            return self.step()
        except Incomplete:
            # The values of another process cannot be read just now.
            return True
        except Exception as error:
            METRICS.count_error("live", error)
            return True

    def step(self) -> bool:
        """Note the present totals, if this process has the lock or gets it; return whether so.

        Raises ``Incomplete`` as a scrape does, and ``OSError`` if there is no room for the file.
        """
        path = STORE.directory()
        if path is not None and not self._has_lock(path):
            return False
        totals, _ = self.reader.read()
        # Without a file, the threads that answer viewers read this very history.
        history = self.history if path is not None else self.history.copy()
        is_added = history.add(totals, self._before)
        if is_added:
            self.history, self._before = history, totals
        if path is not None and is_added:
            Attachment(path, NAME).replace(self.history.to_bytes())
        return True

    def _has_lock(self, path: str) -> bool:
        attachment = Attachment(path, NAME)
        if self._lease is None:
            self._lease = attachment.lease()
        was_sampler = self._lease.is_held(path)
        with suppress(OSError):
            if not self._lease.acquire(path):
                return False
            if not was_sampler:
                self._go_on(attachment.read())
            return True
        return False

    def _go_on(self, content: bytes | None) -> None:
        """Go on with the history that another process has noted."""
        if content is None:
            return
        try:
            self.history = History.from_bytes(content)
            self._before = self.history.last.totals if self.history.last else None
        except Exception as error:
            METRICS.count_error("live", error)
            self.history, self._before = History(), None


SAMPLER = Sampler()


class _Known:
    """The history as it was read last."""

    def __init__(self) -> None:
        self.version: tuple[int, ...] | None = None
        self.history = History()


_known = _Known()


def history() -> History:
    """Return the history of the service, as far as any process has noted it."""
    path = STORE.directory()
    if path is None:
        return SAMPLER.history
    attachment = Attachment(path, NAME)
    version = attachment.version()
    if version is None:
        return History()
    if version != _known.version:
        content = attachment.read()
        if content is not None:
            _known.history, _known.version = History.from_bytes(content), version
    return _known.history


def install() -> None:
    """Note the history in this process from its first request on.

    Not earlier: a server may import the URLs and fork then, which threads make unsafe.
    """
    STORE.on_fork(SAMPLER.after_fork)
    if current.get() is None:
        request_started.connect(SAMPLER.on_request, weak=False, dispatch_uid=NAME)
    else:
        # Django imports the URLs with the first request.
        SAMPLER.start()
