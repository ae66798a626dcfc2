"""Messages that a Celery app publishes, stamped and counted around the function that sends them.

Each app makes that function once, when it first publishes. The signals ``before_task_publish``
and ``after_task_publish`` have the same facts, and cost more than what is recorded.

https://github.com/celery/celery/blob/v5.5.0/celery/app/amqp.py
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from time import perf_counter, time_ns
from typing import Any

from celery import _state
from kombu.common import Broadcast
from kombu.entity import Queue

from tachikoma_metrics.conf import config, on_change
from tachikoma_metrics.recording.tasks import TASK_SEND
from tachikoma_metrics.registry import METRICS, SeriesGroup
from tachikoma_metrics.task_runs import celery_signals
from tachikoma_metrics.task_runs.celery_messages import HEADER, MICROSECONDS, queue_of_publication
from tachikoma_metrics.task_runs.replacing import is_measured, replacement

_ONE = (1.0,)
_MAKE = "_create_task_sender"
_SEND = "send_task_message"

_MOST_REMEMBERED = 4096

_sends: dict[tuple[str, str], SeriesGroup] = {}
"""The series of each task that was sent to each queue, while they are the right ones."""

Send = Callable[..., Any]


def install() -> None:
    """Measure what every app publishes, by Celery's signals if apps have no such function."""
    kind: Any = getattr(sys.modules["celery.app.amqp"], "AMQP", None)
    make = getattr(kind, _MAKE, None)
    if not callable(make) or not hasattr(kind, _SEND):
        celery_signals.receive_publications()
        return
    if not is_measured(make):
        setattr(kind, _MAKE, _measuring(make))
    for app in _state._get_active_apps():
        amqp = vars(app).get("amqp")
        send = vars(amqp).get(_SEND) if amqp else None
        if send is not None and not is_measured(send):
            setattr(amqp, _SEND, _measured(send, amqp))


def _measuring(make: Callable[[Any], Send]) -> Callable[[Any], Send]:
    """Return a method that makes a measured function."""

    @functools.wraps(make)
    def create(amqp: Any) -> Send:
        return _measured(make(amqp), amqp)

    return replacement(make, create)


def _measured(send: Send, amqp: Any) -> Send:
    """Return a function that sends a message as ``send`` does, stamps it, and counts it."""

    def send_task_message(
        producer: Any, name: str, message: Any, *arguments: Any, **options: Any
    ) -> Any:
        series = None
        try:
            wanted: Any = options.get("queue")
            is_usual = type(wanted) is Queue and not options.get("declare")
            queue = wanted.name if is_usual else _queue_of(amqp, options)
            series = _sends.get((name, queue)) or _find(name, queue)
            if series is not None:
                message[0][HEADER] = f"{time_ns() // 1000}{MICROSECONDS}{queue}"
                headers = options.get("headers")
                if headers and HEADER in headers:
                    # A retry has the headers of the message that it follows.
                    options["headers"] = {**headers, HEADER: message[0][HEADER]}
        except Exception as error:
            METRICS.count_error("task", error)
        result = send(producer, name, message, *arguments, **options)
        if series is not None:
            try:
                series.add(_ONE, perf_counter())
            except BaseException as error:
                TASK_SEND.recover(error, (name, queue), _ONE)
        return result

    return replacement(send, send_task_message)


def _find(name: str, queue: str) -> SeriesGroup | None:
    if not config().measures_celery:
        return None
    if len(_sends) >= _MOST_REMEMBERED:
        _sends.clear()
    series = _sends[name, queue] = TASK_SEND.group((name, queue))
    return series


def _queue_of(amqp: Any, options: dict[str, Any]) -> str:
    """Return the name of the queue that a message is sent to, else its routing key.

    Celery declares the queue first, unless each consumer has one of its own.
    """
    queue, declared = options.get("queue"), options.get("declare")
    routing_key, has_exchange = options.get("routing_key"), options.get("exchange") is not None
    if queue is None and not has_exchange:
        queue = amqp.default_queue
    if isinstance(queue, str):
        queue = amqp.queues[queue]
    if declared is None and queue is not None:
        if not isinstance(queue, Broadcast):
            return str(queue.name)
        if not has_exchange:
            default = amqp.app.conf.task_default_routing_key
            routing_key = routing_key or queue.routing_key or default
    return queue_of_publication(declared, routing_key)


METRICS.on_reset(_sends.clear)
on_change(_sends.clear)
