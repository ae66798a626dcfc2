from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

celery = pytest.importorskip("celery", reason="the demo's environment has it")

from celery.app.trace import trace_task  # noqa: E402
from kombu.simple import SimpleQueue  # noqa: E402


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
        task = self.app.task(name=f"tests.{run.__name__}", **options)(run)
        return self.app.tasks[task.name]

    def message(self) -> Any:
        """Take the message that was sent first."""
        return self._queue.get(timeout=1)

    def run(self, message: Any, **headers: Any) -> None:
        """Run the task of a message, some of whose headers are changed."""
        request = {**message.headers, "delivery_info": message.delivery_info, **headers}
        args, kwargs, _ = message.payload
        task = self.app.tasks[request["task"]]
        trace_task(task, request["id"], args, kwargs, {**request, "is_eager": False}, app=self.app)

    def work(self) -> None:
        """Run the message that was sent first."""
        self.run(self.message())

    def close(self) -> None:
        self._queue.close()
        self._connection.release()
        self.app.close()


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    yield broker
    broker.close()
