"""How many messages wait in each queue of the default Celery app, as its broker says.

A refresh of the business metrics calls this, in whichever process it runs; a scrape never does.
The queues are those of ``task_queues``, the default queue, those to which ``task_routes`` sends a
task of the app, and those that this process has sent a task to.

https://docs.celeryq.dev/en/stable/userguide/routing.html
"""

from __future__ import annotations

from functools import partial
from itertools import chain, islice
from typing import Any

from tachikoma_metrics.conf import config
from tachikoma_metrics.registry.deadlines import TimedCalls
from tachikoma_metrics.store import STORE
from tachikoma_metrics.task_runs.celery_queues import own_tasks, queue_of_task

_TIMEOUT_SECONDS = 5.0
_NOT_FOUND = "404"

_calls = TimedCalls(_TIMEOUT_SECONDS)
STORE.on_fork(_calls.forget)


class BrokerUnavailable(Exception):
    """Raised if the broker does not answer; the message names it, without its password."""


class NoCeleryApp(Exception):
    """Raised in a process that has imported no Celery app; the message says what to import."""


def queue_lengths() -> dict[str, int]:
    """Return the number of waiting messages by queue; a queue that does not exist yet has none.

    Raises ``BrokerUnavailable`` if the broker fails, or does not answer within 5 seconds, and
    ``NoCeleryApp`` if there is no app to ask.
    """
    app = _app()
    errors: list[Exception] = []
    when_late = f"no answer within {_TIMEOUT_SECONDS:g} seconds"
    call = _calls.start("queue lengths", partial(_lengths, app), errors.append, when_late)
    lengths = call.wait()
    if lengths is None:
        reason = errors[0] if errors else when_late
        address = app.connection_for_read().as_uri()
        raise BrokerUnavailable(f"Celery's broker at {address} failed: {reason}")
    return lengths


def _app() -> Any:
    from celery import current_app

    # Where no app was made, Celery makes one that has the default broker, and no fixup for Django.
    if current_app.main == "default" and not current_app.fixups:
        raise NoCeleryApp(
            "This process has imported no Celery app. Import it in the package of the project's "
            "settings, as https://docs.celeryq.dev/en/stable/django/ says."
        )
    return current_app


def _lengths(app: Any) -> dict[str, int]:
    names = _queue_names(app)
    with app.connection_for_read() as connection:
        return {name: _length(connection, name) for name in names}


def _queue_names(app: Any) -> list[str]:
    known = map(str, list(app.amqp.queues))
    routed = (queue_of_task(app, name) for name in own_tasks(app))
    # Each once, in this order.
    names = dict.fromkeys(chain(known, routed))
    return list(islice(names, config().cardinality_limit))


def _length(connection: Any, queue: str) -> int:
    # In a channel for each queue: AMQP closes the channel that asks for a queue it lacks.
    channel = connection.channel()
    try:
        return int(channel.queue_declare(queue=queue, passive=True).message_count)
    except connection.channel_errors as error:
        if str(getattr(error, "reply_code", "")) == _NOT_FOUND:
            return 0
        raise
    finally:
        channel.close()
