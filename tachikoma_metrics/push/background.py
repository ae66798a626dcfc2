"""The setting ``OTLP``: a daemon thread in each process that serves, one of which sends.

The thread starts in a server's worker when it is loaded, and in any other process that serves
with its first change: a server that forks its workers later has none then. A forked child starts
its own.
"""

from __future__ import annotations

import os
import threading

from tachikoma_metrics import conf
from tachikoma_metrics.push import environment
from tachikoma_metrics.push.turns import Pusher, Turns
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import STORE, Lease, system

_SECONDS_BEFORE_FIRST = 1.0


class _Background:
    """The thread of this process, if it has one."""

    is_installed = False
    is_serving = False
    process = 0
    is_over = threading.Event()


def install() -> None:
    """Send from the processes that serve, from now on or from when a changed setting says so."""
    conf.on_change(_switch)
    _switch()


def _switch() -> None:
    if not _is_wanted():
        _Background.is_over.set()
        return
    if not _Background.is_installed:
        _Background.is_installed = True
        METRICS.on_serving(_begin)
        STORE.on_maintenance(_on_maintenance)
        STORE.on_fork(_on_fork)


def _is_wanted() -> bool:
    config = conf.config()
    return config.enabled and config.otlp and not conf.is_test_run()


def _begin() -> None:
    """Note that this process serves; a worker, whose server forks it, sends at once."""
    _Background.is_serving = True
    if system.server() != (0, 0):
        _start()


def _on_maintenance() -> None:
    if _Background.is_serving and _Background.process != os.getpid():
        STORE.afterwards(_start)


def _on_fork() -> None:
    _Background.process = 0
    if _Background.is_serving:
        _start()


def _start() -> None:
    """Start the thread, unless this process has one."""
    if _Background.process == os.getpid() or not _is_wanted():
        return
    _Background.process = os.getpid()
    _Background.is_over = threading.Event()
    threading.Thread(
        target=_send, args=(_Background.is_over,), name="metrics-push", daemon=True
    ).start()


def _sender(lease: Lease) -> Pusher:
    # Not before this process sends: it imports OpenTelemetry.
    from tachikoma_metrics.push.sender import Sender

    return Sender(lease)


def _send(is_over: threading.Event) -> None:
    try:
        interval = environment.interval() or environment.DEFAULT_INTERVAL
        interval = max(interval, environment.SHORTEST_INTERVAL)
        # A child that ends soon never sends, and gevent replaces modules that are imported here
        # before they are.
        if is_over.wait(_SECONDS_BEFORE_FIRST):
            return
        if not environment.is_installed():
            raise ModuleNotFoundError("OTLP needs the extra: pip install 'tachikoma-metrics[otlp]'")
        Turns(interval, _sender).run(is_over)
    except Exception as error:
        METRICS.count_error("push", error)
