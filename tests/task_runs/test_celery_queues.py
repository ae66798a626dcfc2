"""To which queue an app sends a task; to ask changes nothing in the app."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("celery", reason="Celery is not installed")

from celery import Celery
from kombu.entity import Queue

from tachikoma_metrics.task_runs.celery_queues import own_tasks, queue_of_task
from tachikoma_metrics.testing import sample_value


def nothing() -> None:
    """Do nothing, as a task."""


@pytest.fixture
def app() -> Any:
    app = Celery("shop", broker="memory://", set_as_current=False)
    for name in ("shop.add", "mail.send", "mail.urgent"):
        app.task(nothing, name=name, shared=False)
    app.finalize()
    return app


def test_a_task_without_a_route_goes_to_the_default_queue(app: Any):
    assert queue_of_task(app, "shop.add") == "celery"


@pytest.mark.parametrize("queue", ["letters", Queue("letters")])
def test_a_route_names_the_queue_and_the_app_knows_no_more_queues(app: Any, queue: object):
    app.conf.task_routes = {"mail.*": {"queue": queue}}
    before = set(app.amqp.queues)

    assert queue_of_task(app, "mail.send") == "letters"
    assert set(app.amqp.queues) == before


def test_a_router_may_return_the_name_of_a_queue(app: Any):
    app.conf.task_routes = (lambda name, *args, **kwargs: "letters" if "mail" in name else None,)

    assert queue_of_task(app, "mail.send") == "letters"
    assert queue_of_task(app, "shop.add") == "celery"


def test_a_router_that_raises_is_an_instrumentation_error(app: Any):
    def route(*args: Any, **kwargs: Any) -> None:
        raise LookupError("no such tenant")

    app.conf.task_routes = (route,)

    assert queue_of_task(app, "mail.send") == "celery"
    assert sample_value("tachikoma_metrics_errors_total", source="task") == 1


def test_the_tasks_of_celery_itself_are_not_the_apps(app: Any):
    found = set(own_tasks(app))

    assert found >= {"shop.add", "mail.send", "mail.urgent"}
    assert not [name for name in found if name.startswith("celery.")]
