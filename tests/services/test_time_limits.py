"""Soft time limits of a real Celery worker, which raises them out of a signal handler."""

from __future__ import annotations

import itertools

import pytest
from celery import Celery

from tests.services.processes import eventually
from tests.services.sites import Site

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

        assert _said(site, "'in time'") == TASKS


def _said(site: Site, what: str) -> int:
    return site.log("celery").read_text().count(what)
