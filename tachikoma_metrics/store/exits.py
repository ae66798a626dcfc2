"""Calls at the end of a process, also in children that run no ``atexit`` handlers.

multiprocessing, and Celery's billiard, end their children by ``os._exit``. Before that they call
finalizers that the child itself has registered; the worker processes of Celery's pool send a
signal instead.

https://docs.celeryq.dev/en/stable/userguide/signals.html#worker-process-shutdown
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
from collections.abc import Callable
from typing import Any

from tachikoma_metrics.interruptions import pass_on

_PRIORITY = -10
"""Below 0, so that the finalizers of the application run first."""


def call_at_exit(call: Callable[[], None]) -> None:
    """Call ``call`` at the end of this process, and of each process that is forked from it."""
    exits = _Exits(call)
    atexit.register(call)
    if multiprocessing.parent_process() is not None:
        # A child that has imported this after the hooks for a fork were called.
        exits.finalize_here()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=exits.prepare)


class _Exits:
    """Register ``call`` with the packages that this process has imported so far."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._prepared: set[str] = set()
        self._prepare: dict[str, Callable[[Any], None]] = {
            "multiprocessing.util": self._finalize_in_children,
            "billiard.util": self._finalize_in_children,
            "celery.signals": self._connect,
        }

    def prepare(self) -> None:
        """Register the call for the children that are forked from now on. Never raises."""
        for name, prepare in self._prepare.items():
            module = sys.modules.get(name)
            if module is None or name in self._prepared:
                continue
            try:
                prepare(module)
                self._prepared.add(name)
            except Exception as error:
                # It is half imported, or has changed: only atexit remains.
                pass_on(error)

    def finalize_here(self) -> None:
        """Register the call for this process, if multiprocessing started it."""
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.Finalize(None, self._call, exitpriority=_PRIORITY)

    def _finalize_in_children(self, util: Any) -> None:
        # A child forgets the finalizers of its parent, and calls this with its argument.
        util.register_after_fork(
            self, lambda exits: util.Finalize(None, exits._call, exitpriority=_PRIORITY)
        )

    def _connect(self, signals: Any) -> None:
        signals.worker_process_shutdown.connect(self._on_shutdown, weak=False)

    def _on_shutdown(self, **kwargs: Any) -> None:
        self._call()
