"""Send tasks of each kind, as a program of its own."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import django
from celery import Task

django.setup()

from depot import kinds  # noqa: E402
from depot.celery import app  # noqa: E402


def send(number: int, kills: int) -> None:
    """Send so many tasks, during some of which a process is killed."""
    rare = max(2, number // 125)
    folder = Path(kinds.LEDGER).parent
    names = ["is_killed"] * kills + ["is_killed_afterwards", "is_killed_once", "exits"] * 2
    names += ["passes_soft_limit", "passes_hard_limit"] * rare + ["is_revoked"] * rare
    common = ["succeeds", "fails", "retries", "rejects", "ignores"]
    names += [common[place % len(common)] for place in range(number - len(names))]
    random.shuffle(names)
    for place, name in enumerate(names):
        task = getattr(kinds, name)
        if name == "is_killed_once":
            task.delay(str(folder / f"killed-{place}"))
        elif name == "is_revoked":
            _revoke(task, place)
        else:
            task.delay()


def _revoke(task: Task, place: int) -> None:
    kinds.note("is_revoked", "revoked")
    # RabbitMQ drops messages that expire, and no worker ever sees them.
    if place % 2 and app.conf.broker_url.startswith("redis"):
        task.apply_async(expires=-1)
    else:
        task.apply_async(countdown=4).revoke()


if __name__ == "__main__":
    send(int(sys.argv[1]), int(sys.argv[2]))
    app.close()
