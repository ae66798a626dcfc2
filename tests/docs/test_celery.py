"""The guide to Celery, followed with a real worker, beat and Redis; and the lines for beat."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from celery import Celery
from prometheus_client.parser import text_string_to_metric_families

from tests.docs.conftest import blocks_of_files
from tests.docs.files import is_addition
from tests.docs.following import PROJECT, Reader
from tests.docs.pages import CELERY
from tests.docs.terminals import Desk
from tests.services.processes import eventually, get


def test_the_lines_keep_the_app_and_what_it_has_scheduled():
    (block,) = filter(is_addition, blocks_of_files(CELERY))
    app = Celery("shop", broker="memory://")
    app.conf.beat_schedule = {"nightly": {"task": "shop.tasks.tidy", "schedule": 86400}}
    there = {"app": app}

    exec(block, there)  # noqa: S102  # As a reader's module would.

    assert there["app"] is app
    assert app.conf.broker_url == "memory://"
    assert sorted(app.conf.beat_schedule) == [
        "nightly",
        "tachikoma_metrics: refresh business metrics",
    ]


Totals = dict[tuple[str, str], float]


def totals(port: str) -> Totals:
    """Return the sends and runs that the metrics endpoint has, by task and outcome."""
    families = text_string_to_metric_families(get(f"http://127.0.0.1:{port}/metrics")[1].decode())
    return {
        (sample.labels["task"], sample.labels.get("outcome", "sent")): sample.value
        for family in families
        if family.name in ("task_sends", "task_runs")
        for sample in family.samples
    }


def entries(port: str) -> set[str]:
    families = text_string_to_metric_families(get(f"http://127.0.0.1:{port}/metrics")[1].decode())
    return {
        sample.labels["entry"]
        for family in families
        if family.name == "beat_entry_overdue_seconds"
        for sample in family.samples
    }


MAIL = f"{PROJECT}.celery.send_mail"
REFRESH = "tachikoma_metrics.tasks.refresh_business_metrics"


@pytest.mark.django_db
def test_a_project_with_a_schedule_has_its_tasks_and_the_refresh_on_the_endpoint(
    sit_down: Callable[[], Desk],
):
    reader = Reader(CELERY, sit_down)
    reader.follow()
    web, worker = (reader.desk.port(named) for named in ("8000", "9100"))

    # The web server and the worker share a host, and so their values.
    assert {"newsletter", "tachikoma_metrics: refresh business metrics"} <= entries(worker)
    eventually(lambda: totals(worker)[MAIL, "success"] >= 4)
    eventually(lambda: totals(worker)[REFRESH, "success"] >= 1)
    shown = totals(web)
    assert shown[MAIL, "failure"] == 1
    assert shown[MAIL, "sent"] >= 5
    assert shown[REFRESH, "failure"] == 0
