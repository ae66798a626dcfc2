"""The lengths of the queues of Celery's broker, as business metrics."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid
from typing import Any

import pytest

pytest.importorskip("celery", reason="Celery is not installed")

from celery import Celery
from django.core.management import call_command
from kombu.entity import Queue

from tachikoma_metrics import update_business_metrics
from tachikoma_metrics.conf import config
from tachikoma_metrics.registry.deadlines import TimedCalls
from tachikoma_metrics.task_runs import queue_lengths
from tachikoma_metrics.testing import sample_value, samples
from tests.business.declarations import MISSIONS
from tests.conftest import found
from tests.services.processes import free_port

EXTRA = {"EXTRA_METRICS": ["task_queue_length"]}


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a Celery app whose broker is in this process's memory."""
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.task_default_queue = f"orders {uuid.uuid4()}"
    monkeypatch.setattr(queue_lengths, "_app", lambda: app)
    monkeypatch.setattr(queue_lengths, "_calls", TimedCalls(5.0))
    return app


def lengths() -> dict[str, float]:
    return {
        dict(labels)["queue"]: value
        for (name, labels), value in samples().items()
        if name == "task_queue_length"
    }


def test_the_length_of_each_queue_is_that_of_the_broker(app: Any):
    orders = app.conf.task_default_queue
    mail = f"mail {uuid.uuid4()}"
    app.conf.task_queues = [Queue(orders), Queue(mail)]
    assert queue_lengths.queue_lengths() == {orders: 0, mail: 0}
    for _ in range(3):
        app.send_task("shop.pay")

    assert queue_lengths.queue_lengths() == {orders: 3, mail: 0}


def test_queues_that_tasks_were_routed_to_have_a_length(app: Any):
    orders, slow = app.conf.task_default_queue, f"slow {uuid.uuid4()}"
    app.conf.task_routes = {"shop.pay": {"queue": slow}}
    app.send_task("shop.pay")

    assert queue_lengths.queue_lengths() == {orders: 0, slow: 1}


def test_a_broker_that_is_away_is_named_without_its_password(app: Any):
    port = free_port()
    app.conf.broker_url = f"redis://:secret@127.0.0.1:{port}/0"
    with pytest.raises(queue_lengths.BrokerUnavailable) as raised:
        queue_lengths.queue_lengths()

    assert f"127.0.0.1:{port}" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_broker_that_hangs_is_not_waited_for(app: Any, monkeypatch: pytest.MonkeyPatch):
    goes_on = threading.Event()
    monkeypatch.setattr(queue_lengths, "_calls", TimedCalls(0.1))
    monkeypatch.setattr(queue_lengths, "_lengths", lambda app: goes_on.wait(30))
    began_at = time.monotonic()
    with pytest.raises(queue_lengths.BrokerUnavailable, match="no answer within"):
        queue_lengths.queue_lengths()
    goes_on.set()

    assert time.monotonic() - began_at < 5


def test_the_number_of_queues_is_bounded(app: Any, settings):
    settings.TACHIKOMA_METRICS = {"CARDINALITY_LIMIT": 10}
    app.conf.task_queues = [Queue(f"{uuid.uuid4()}") for _ in range(30)]

    assert len(queue_lengths.queue_lengths()) == config().cardinality_limit == 10


def test_a_process_without_an_app_has_no_lengths():
    code = "from tachikoma_metrics.task_runs.queue_lengths import queue_lengths; queue_lengths()"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60
    )

    assert "NoCeleryApp: This process has imported no Celery app." in done.stderr


# --- as a business metric ---------------------------------------------------


@pytest.mark.django_db
def test_a_refresh_sets_the_lengths_and_a_scrape_asks_no_broker(
    app: Any, settings, monkeypatch: pytest.MonkeyPatch
):
    settings.TACHIKOMA_METRICS = EXTRA
    app.send_task("shop.pay")
    update_business_metrics()
    monkeypatch.setattr(queue_lengths, "_app", None)

    assert lengths() == {app.conf.task_default_queue: 1}
    assert sample_value("tachikoma_metrics_business_up") == 1
    assert sample_value("tachikoma_metrics_errors_total", source="business") in (None, 0)


@pytest.mark.django_db
def test_the_lengths_are_beside_what_the_project_declares(app: Any, settings):
    settings.TACHIKOMA_METRICS = {**EXTRA, "BUSINESS_METRICS": MISSIONS}
    update_business_metrics()

    assert lengths() == {app.conf.task_default_queue: 0}
    assert sample_value("missions_total") == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    "options", [{}, {**EXTRA, "TASKS": False}, {**EXTRA, "TASKS": ["django"]}], ids=str
)
def test_the_broker_is_not_asked_unless_the_settings_say_so(
    app: Any, settings, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
):
    settings.TACHIKOMA_METRICS = {**options, "BUSINESS_METRICS": MISSIONS}
    monkeypatch.setattr(queue_lengths, "_app", None)
    update_business_metrics()

    assert lengths() == {}
    assert sample_value("missions_total") == 0
    assert sample_value("tachikoma_metrics_errors_total", source="business") in (None, 0)


@pytest.mark.django_db
def test_a_broker_that_is_away_is_an_error_and_the_lengths_stay(
    app: Any,
    settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    settings.TACHIKOMA_METRICS = EXTRA
    app.send_task("shop.pay")
    update_business_metrics()
    away = Celery("shop", broker=f"redis://127.0.0.1:{free_port()}/0", set_as_current=False)
    monkeypatch.setattr(queue_lengths, "_app", lambda: away)
    update_business_metrics()

    assert lengths() == {app.conf.task_default_queue: 1}
    assert sample_value("tachikoma_metrics_errors_total", source="business") == 1
    assert sample_value("tachikoma_metrics_business_refresh_errors") == 1
    assert "Traceback" not in caplog.text


@pytest.mark.django_db
def test_the_command_refreshes_the_lengths_alone(
    app: Any, settings, capsys: pytest.CaptureFixture[str]
):
    settings.TACHIKOMA_METRICS = EXTRA
    call_command("refresh_business_metrics")

    assert (
        f'task_queue_length{{queue="{app.conf.task_default_queue}"}} 0' in capsys.readouterr().out
    )


def test_the_lengths_need_no_declaration(settings):
    settings.TACHIKOMA_METRICS = EXTRA
    assert not {"E005", "E011"} & set(found())


def test_the_name_is_not_one_for_the_project(settings):
    declared = {"task_queue_length": {"callable": "tests.business.callables.answer"}}
    settings.TACHIKOMA_METRICS = {**EXTRA, "BUSINESS_METRICS": declared}

    assert "already used by another metric" in found()["E011"].msg


def test_a_queue_that_only_a_route_names_has_a_length(app: Any, settings: Any):
    settings.TACHIKOMA_METRICS = EXTRA

    def nothing() -> None:
        pass

    app.task(nothing, name="mail.send", shared=False)
    app.conf.task_routes = {"mail.*": {"queue": f"letters {uuid.uuid4()}"}}
    app.finalize()
    app.send_task("mail.send")

    assert 1 in queue_lengths.queue_lengths().values()
