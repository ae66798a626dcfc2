"""Tasks of ``django.tasks``, which write what they do into a ledger."""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import datetime, timezone
from typing import Any

try:
    from django.tasks import task
except ImportError:
    # The backport for Django 5.2.
    from django_tasks import task  # type: ignore[no-redef]

LEDGER = "ledger"
LATER = 3.0


def note(*facts: object) -> None:
    """Append a line to the ledger, whole, whichever other processes do so as well."""
    ledger = os.open(LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(ledger, (" ".join(map(str, facts)) + "\n").encode())
    finally:
        os.close(ledger)


def _begin(name: str, due: float) -> None:
    note("begin", name, f"{time.time() - due:.6f}")


@task
def deliver(due: float) -> None:
    """Succeed."""
    _begin("deliver", due)
    note("success", "deliver")


@task
def refuse(due: float) -> None:
    """Raise an exception."""
    _begin("refuse", due)
    note("failure", "refuse")
    raise LookupError("no such address")


@task
def leave(due: float) -> None:
    """Raise what ends a process elsewhere."""
    _begin("leave", due)
    note("failure", "leave")
    sys.exit(1)


@task
def ask(due: float) -> None:
    """Send another task."""
    _begin("ask", due)
    send("deliver")
    note("success", "ask")


@task
def die(due: float) -> None:
    """Kill the process that runs this."""
    _begin("die", due)
    os.kill(os.getpid(), signal.SIGKILL)


@task
def wait(due: float) -> None:
    """Run until the process is killed."""
    _begin("wait", due)
    time.sleep(60)


TASKS: dict[str, Any] = {
    "deliver": deliver,
    "refuse": refuse,
    "leave": leave,
    "ask": ask,
    "die": die,
    "wait": wait,
    "later": deliver,
}


def send(kind: str) -> None:
    """Send one task, to the queue of its name."""
    options: dict[str, Any] = {"queue_name": kind}
    due = time.time()
    if kind == "later":
        due += LATER
        options["run_after"] = datetime.fromtimestamp(due, timezone.utc)
    TASKS[kind].using(**options).enqueue(due)
    note("send", TASKS[kind].module_path.rpartition(".")[2], kind)
