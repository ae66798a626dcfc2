"""Whether values are sent by OTLP, where to, and since when no more."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tachikoma_metrics import conf
from tachikoma_metrics.doctor.exposition import Samples, by_label, total
from tachikoma_metrics.doctor.findings import OK, WARNING, Finding, counted
from tachikoma_metrics.push import environment

CHECK = "push"

_MISSED = 4
"""Intervals after which a push is overdue."""


def of_setting() -> Iterator[Finding]:
    """Yield where ``OTLP`` sends values, if it does; the system checks say what is wrong."""
    if conf.config().otlp and environment.is_installed():
        seconds = environment.interval() or environment.DEFAULT_INTERVAL
        where = environment.shown_endpoint()
        yield Finding(CHECK, OK, f"OTLP: one process sends to {where} every {seconds:g} s.")


def of_samples(samples: Samples) -> Iterator[Finding]:
    """Yield how many pushes there were, and whether the last one is overdue."""
    pushes = by_label(samples, "tachikoma_metrics_pushes_total", "outcome")
    if not any(pushes.values()):
        return
    counts = ", ".join(f"{number:.0f} {name}" for name, number in pushes.items() if number)
    message = f"{counted(sum(pushes.values()), 'push', 'es')} by OTLP: {counts}."
    last = total(samples, "tachikoma_metrics_push_last_success_timestamp_seconds")
    age = time.time() - last
    allowed = _MISSED * (environment.interval() or environment.DEFAULT_INTERVAL)
    if last and age <= max(allowed, 60.0):
        yield Finding(CHECK, OK, f"{message} The last successful one was {age:.0f} s ago.")
        return
    when = f"The last successful one was {age:.0f} s ago." if last else "None was successful."
    yield Finding(
        CHECK,
        WARNING,
        f"{message} {when}",
        "The log of the sender says why: look for `A push to` there.",
    )
