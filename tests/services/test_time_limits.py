"""Soft time limits of a real Celery worker, which raises them out of a signal handler."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from celery import Celery

import tachikoma_metrics
from tests.services.processes import eventually
from tests.services.sites import Site

PACKAGE = str(Path(tachikoma_metrics.__file__).parent)
TASKS = 12


@pytest.mark.usefixtures("broker")
def test_every_soft_time_limit_reaches_its_task(site: Site):
    site.environment["SQLITE"] = ":memory:"
    sender = Celery(broker=site.environment["BROKER"], set_as_current=False)
    with site.celery("--pool", "prefork", "--concurrency", "4"), sender:
        kinds = itertools.cycle(["queries", "lookups"])
        for kind in itertools.islice(kinds, TASKS):
            limits = {"soft_time_limit": 0.3, "time_limit": 10}
            sender.send_task("depot.tasks.work", [kind], ignore_result=True, **limits)

        eventually(lambda: _said(site, "'in time'") + _said(site, "TimeLimitExceeded(") >= TASKS)

        ignored = _ignored(site)
        assert _said(site, "'in time'") + len(ignored) == TASKS
        assert [one for one in ignored if f"{PACKAGE}/" in one] == []


def _ignored(site: Site) -> list[str]:
    """Return the tracebacks of limits that the interpreter itself ignored.

    It does that with whatever is raised while it calls back for a weak reference that ended.
    https://docs.python.org/3/library/sys.html#sys.unraisablehook
    """
    _, *reports = site.log("celery").read_text().split("Exception ignored ")
    return [report.partition("SoftTimeLimitExceeded")[0] for report in reports]


def _said(site: Site, what: str) -> int:
    return site.log("celery").read_text().count(what)
