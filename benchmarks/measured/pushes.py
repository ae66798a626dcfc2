"""Pushes by OTLP to a receiver in another process."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from collections.abc import Callable


def pusher() -> Callable[[], None]:
    """Return what pushes once; raises ``RuntimeError`` for a push that fails."""
    from tachikoma_metrics.push.sender import Sender
    from tachikoma_metrics.store import Lease

    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{_receiver_port()}"
    sender = Sender(Lease("push-lock"))

    def push() -> None:
        outcome = sender.push()
        if outcome.name != "success":
            raise RuntimeError(f"A push failed ({outcome.name}): {outcome.reason}")

    return push


def _receiver_port() -> int:
    command = [sys.executable, "-m", "benchmarks.measured.receiver"]
    receiver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    atexit.register(receiver.kill)
    if receiver.stdout is None:
        raise RuntimeError("The receiver was started without a pipe.")
    return int(receiver.stdout.readline())
