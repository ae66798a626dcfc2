from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

celery = pytest.importorskip("celery", reason="the demo's environment has it")

from celery import signals  # noqa: E402
from celery.app import trace  # noqa: E402
from celery.app.amqp import AMQP  # noqa: E402
from kombu.simple import SimpleQueue  # noqa: E402

from tachikoma_metrics.task_runs import celery_signals  # noqa: E402


class Broker:
    """An app whose messages stay in memory, and a worker that runs them in the test's process."""

    def __init__(self) -> None:
        self.app = celery.Celery("tests", broker="memory://", set_as_current=False)
        self.app.conf.task_ignore_result = True
        self._connection = self.app.connection_for_write()
        self._queue = SimpleQueue(self._connection, "celery", no_ack=True)
        self._queue.clear()

    def task(self, run: Callable[..., Any], **options: Any) -> Any:
        """Return a task that runs a function."""
        task = self.app.task(name=f"tests.{run.__name__}", shared=False, **options)(run)
        return self.app.tasks[task.name]

    def message(self) -> Any:
        """Take the message that was sent first."""
        return self._queue.get(timeout=1)

    def run(self, message: Any, **headers: Any) -> None:
        """Run the task of a message, some of whose headers are changed."""
        request = {**message.headers, "delivery_info": message.delivery_info, **headers}
        args, kwargs, _ = message.payload
        task = self.app.tasks[request["task"]]
        trace.trace_task(
            task, request["id"], args, kwargs, {**request, "is_eager": False}, app=self.app
        )

    def work(self) -> None:
        """Run the message that was sent first."""
        self.run(self.message())

    def close(self) -> None:
        self._queue.close()
        self._connection.release()
        self.app.close()


@pytest.fixture(params=["functions", "signals"])
def broker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """Return an app that is measured around Celery's functions, or by its signals."""
    with by_signals(monkeypatch) if request.param == "signals" else nullcontext():
        broker = Broker()
        yield broker
        broker.close()


@contextmanager
def by_signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Measure as if this release of Celery had none of the functions that are replaced."""
    build: Any = trace.build_tracer
    make: Any = AMQP._create_task_sender
    monkeypatch.setattr(trace, "build_tracer", build.__wrapped__)
    monkeypatch.setattr(AMQP, "_create_task_sender", make.__wrapped__)
    celery_signals.receive_runs()
    celery_signals.receive_publications()
    yield
    for signal, receiver in (
        (signals.before_task_publish, celery_signals.on_before_publish),
        (signals.after_task_publish, celery_signals.on_after_publish),
        (signals.task_prerun, celery_signals.on_prerun),
        (signals.task_postrun, celery_signals.on_postrun),
    ):
        uid = f"{celery_signals.__name__}.{receiver.__name__}"
        assert signal.disconnect(dispatch_uid=uid)
