"""To which queue an app sends each of its tasks.

The app is only asked, and makes no queue: Celery's own way, ``router.route``, adds the queue to
those that the app knows, and before Celery 5.7 a worker then consumes it as well.

https://docs.celeryq.dev/en/stable/userguide/routing.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tachikoma_metrics.registry import METRICS

_OF_CELERY = "celery."


def own_tasks(app: Any) -> Iterator[str]:
    """Yield the names of the tasks that an app has, but for Celery's own."""
    return (str(name) for name in list(app.tasks) if not name.startswith(_OF_CELERY))


def queue_of_task(app: Any, name: str) -> str:
    """Return the name of the queue that a task is routed to by its app's settings.

    A router of the project that raises is an instrumentation error, and its tasks are taken to
    go to the default queue.
    """
    try:
        route = app.amqp.router.lookup_route(name, (), {}, {})
    except Exception as error:
        METRICS.count_error("task", error)
        route = None
    queue = route if isinstance(route, str) else (route or {}).get("queue")
    return str(getattr(queue, "name", queue) or app.conf.task_default_queue)
