"""How many messages wait in each queue of the default Celery app, as its broker says.

A refresh of the business metrics calls this, in whichever process it runs; a scrape never does.
The queues are those of ``task_queues``, the default queue, and those that the app has routed a
task to in this process.

https://docs.celeryq.dev/en/stable/userguide/routing.html
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from tachikoma_metrics.conf import config
from tachikoma_metrics.registry.deadlines import TimedCalls
from tachikoma_metrics.store import STORE

_TIMEOUT_SECONDS = 5.0

_calls = TimedCalls(_TIMEOUT_SECONDS)
STORE.on_fork(_calls.forget)


class BrokerUnavailable(Exception):
    """Raised if the broker does not answer; the message names it, without its password."""


def queue_lengths() -> dict[str, int]:
    """Return the number of waiting messages by queue; a queue that does not exist yet has none.

    Raises ``BrokerUnavailable`` if the broker fails, or does not answer within 5 seconds.
    """
    errors: list[Exception] = []
    when_late = f"no answer within {_TIMEOUT_SECONDS:g} seconds"
    call = _calls.put("queue lengths", _lengths, errors.append, when_late)
    lengths = call.wait()
    if lengths is None:
        reason = errors[0] if errors else when_late
        raise BrokerUnavailable(f"Celery's broker at {_address()} failed: {reason}")
    return lengths


def _app() -> Any:
    from celery import current_app

    return current_app


def _address() -> str:
    return str(_app().connection_for_read().as_uri())


def _lengths() -> dict[str, int]:
    app = _app()
    names = _queue_names(app)
    with app.connection_for_read() as connection:
        return {name: _length(connection, name) for name in names}


def _queue_names(app: Any) -> list[str]:
    return [str(name) for name in islice(app.amqp.queues, config().cardinality_limit)]


def _length(connection: Any, queue: str) -> int:
    # In a channel for each queue: AMQP closes the channel that asks for a queue it lacks.
    channel = connection.channel()
    try:
        return int(channel.queue_declare(queue=queue, passive=True).message_count)
    except connection.channel_errors:
        return 0
    finally:
        channel.close()
