"""Tasks of each outcome, which write in a ledger what becomes of each run."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from celery import Task, signals
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded

from depot.celery import app

LEDGER = Path(os.environ["LEDGER"])


def note(*words: object) -> None:
    """Write one line, which those of other processes do not interrupt."""
    with LEDGER.open("a", buffering=1) as ledger:
        ledger.write(" ".join(map(str, words)) + "\n")


@app.task
def succeeds() -> None:
    note("succeeds", "success")


@app.task
def fails() -> None:
    note("fails", "failure")
    raise ValueError("as it should")


@app.task(bind=True, max_retries=1)
def retries(self: Task) -> None:
    if self.request.retries:
        note("retries", "success")
        return
    note("retries", "retry")
    raise self.retry(countdown=1)


@app.task(soft_time_limit=1, time_limit=20)
def passes_soft_limit() -> None:
    try:
        time.sleep(15)
    except SoftTimeLimitExceeded:
        note("passes_soft_limit", "timeout")
        raise


@app.task(time_limit=1)
def passes_hard_limit() -> None:
    note("passes_hard_limit", "timeout")
    time.sleep(15)


@app.task(acks_late=True)
def rejects() -> None:
    note("rejects", "rejected")
    raise Reject("as it should", requeue=False)


@app.task
def ignores() -> None:
    note("ignores", "ignored")
    raise Ignore


@app.task
def is_killed() -> None:
    """Wait for the test, which kills the process and notes that."""
    note("victim", os.getpid())
    time.sleep(60)


@app.task(acks_late=True, reject_on_worker_lost=True, bind=True)
def is_killed_once(self: Task, path: str) -> None:
    """End the process by a kill, the first time."""
    if Path(path).exists():
        note("is_killed_once", "success")
        return
    Path(path).touch()
    note("is_killed_once", "lost")
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def is_killed_afterwards() -> None:
    """Note a success; the process is killed before it reports that, but once it is counted."""
    note("is_killed_afterwards", "success")


@signals.worker_process_init.connect
def kill_afterwards(**_: object) -> None:
    """End this process by a kill when Celery's function that runs the task has returned."""
    trace = is_killed_afterwards.__trace__

    def trace_and_die(*args: object) -> None:
        trace(*args)
        os.kill(os.getpid(), signal.SIGKILL)

    is_killed_afterwards.__trace__ = trace_and_die


@app.task
def exits() -> None:
    note("exits", "lost")
    sys.exit(1)


@app.task
def is_revoked() -> None:
    note("is_revoked", "success")


@app.task(bind=True)
def is_terminated(self: Task) -> None:
    note("running", self.request.id)
    time.sleep(60)


@app.task
def add(*numbers: int) -> int:
    note("add", "success")
    return 1


@app.task(bind=True)
def replaces(self: Task) -> None:
    note("replaces", "ignored")
    raise self.replace(add.si())
