"""CPU that one variant adds to a Celery task that does nothing."""

from __future__ import annotations

import contextlib
import logging
from typing import Any, NamedTuple

from celery import Celery, signals
from celery.app import trace
from celery.concurrency.solo import TaskPool
from celery.worker.request import Request
from kombu.simple import SimpleQueue

from benchmarks import variants
from benchmarks.measured.commands import run_commands
from benchmarks.measured.timing import Prepare, added, stay_on_one_cpu
from benchmarks.project.start import start
from benchmarks.rounds import Figures

_SIGNALS = (
    signals.before_task_publish,
    signals.after_task_publish,
    signals.task_prerun,
    signals.task_postrun,
    signals.task_success,
)
_MEASURING = ("opentelemetry", "tachikoma_metrics")
_EVENTS_AT_A_TIME = 24
"""As many as Celery's dispatcher keeps back at most."""


class Instruments(NamedTuple):
    """What stands around a task: receivers of signals, and what Celery sends and runs it with."""

    receivers: dict[Any, list[Any]]
    send: Any
    trace: Any

    @property
    def bare(self) -> Instruments:
        """The same without what measures."""
        receivers = {
            signal: [one for one in those if not _measures(_receiver(one))]
            for signal, those in self.receivers.items()
        }
        return Instruments(receivers, _unwrapped(self.send), _unwrapped(self.trace))


class Queue:
    """A queue in memory, its publisher, and what a worker does with its messages."""

    def __init__(self) -> None:
        self.app = Celery("benchmark", broker="memory://", set_as_current=True)
        self.app.conf.task_ignore_result = True
        self.task = self.app.task(name="nothing")(_nothing)
        self.app.finalize()
        self._connection = self.app.connection()
        self._queue = _new_queue(self._connection)
        self._pool = TaskPool(app=self.app)
        self._events = self.app.events.Dispatcher(
            self._connection, enabled=False, buffer_group=["task"], buffer_limit=_EVENTS_AT_A_TIME
        )

    @property
    def instruments(self) -> Instruments:
        """Return what is connected to each signal, and what sends and runs a task."""
        # What sends or runs a task is made once, for what is connected then.
        self.app.amqp.__dict__.pop("send_task_message", None)
        return Instruments(
            {signal: list(signal.receivers or ()) for signal in _SIGNALS},
            self.app.amqp.send_task_message,
            trace.build_tracer(self.task.name, self.task, app=self.app),
        )

    def use(self, instruments: Instruments, has_events: bool) -> None:
        """Have these instruments, and no others; and events sent, or not."""
        for signal, receivers in instruments.receivers.items():
            signal.receivers[:] = receivers
            signal.sender_receivers_cache.clear()
        self.app.conf.task_send_sent_event = self._events.enabled = has_events
        self.app.amqp.send_task_message = instruments.send
        self.task.__trace__ = instruments.trace

    def send_and_run(self, number: int) -> None:
        """Send tasks, and run them as the pool that needs no process does."""
        for _ in range(number):
            self.task.apply_async()
            message = self._queue.get_nowait()
            request = Request(message, app=self.app, task=self.task, eventer=self._events)
            signals.task_received.send(sender=None, request=request)
            request.send_event("task-received", name=request.name, root_id=request.root_id)
            request.execute_using_pool(self._pool)
        self._events.flush(groups=("task",))


def _new_queue(connection: Any) -> Any:
    make: Any = SimpleQueue
    return make(connection, "celery", no_ack=True)


def _nothing() -> None:
    """Do nothing."""


def measure(repeats: int) -> Figures:
    """Return the seconds of CPU that a task costs more, sent and run."""
    logging.disable()
    queue, number = Queue(), 50
    is_of_events = variants.current() is variants.CELERY_EVENTS
    _instrument()
    # A signal without a receiver at that time is never sent by what runs a task.
    measured = queue.instruments
    bare = measured.bare
    assert is_of_events or bare != measured  # noqa: S101  # Else nothing is measured.

    def work(instruments: Instruments, has_events: bool) -> Prepare:
        def prepare() -> Any:
            queue.use(instruments, has_events)
            return lambda: queue.send_and_run(number)

        return prepare

    more = added(work(bare, False), work(measured, is_of_events), repeats) / number
    variants.require_files()
    return {"task": more}


def _instrument() -> None:
    if variants.current() is variants.OPENTELEMETRY_TRACES:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.trace import set_tracer_provider

        set_tracer_provider(TracerProvider())
    if variants.current() in {variants.OPENTELEMETRY, variants.OPENTELEMETRY_TRACES}:
        from opentelemetry.instrumentation.celery import CeleryInstrumentor

        make: Any = CeleryInstrumentor  # It has no types.
        make().instrument()


def _receiver(connected: Any) -> Any:
    receiver = connected[1]
    with contextlib.suppress(TypeError):
        # A weak reference returns what it refers to.
        receiver = receiver() or receiver
    return receiver


def _measures(function: Any) -> bool:
    return str(function.__module__).startswith(_MEASURING)


def _unwrapped(function: Any) -> Any:
    while _measures(function):
        function = function.__wrapped__
    return function


if __name__ == "__main__":
    stay_on_one_cpu()
    start()
    run_commands({"measure": measure})
