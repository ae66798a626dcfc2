"""Tasks that run outside requests, by Celery or Django, and the schedules that send them.

``outcome`` of a run is one of a closed list, whichever task system runs it.
"""

from __future__ import annotations

from tachikoma_metrics.catalogue.definitions import Buckets, Counter, Gauge, Histogram, Label

RUN_BUCKETS: Buckets = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800)
WAIT_BUCKETS: Buckets = (0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800)

SUCCESS, FAILURE, RETRY = "success", "failure", "retry"
REJECTED, IGNORED, REVOKED = "rejected", "ignored", "revoked"
TIMEOUT, LOST = "timeout", "lost"

USUAL_OUTCOMES = (SUCCESS, FAILURE, RETRY, TIMEOUT, LOST)
"""The outcomes that any task may have, without a call of its code or of an operator's."""

TASK = Label("task", "The registered name of the task.")
QUEUE = Label("queue", "The queue that the task was sent to.")
RUN_OUTCOME = Label(
    "outcome",
    "`success`, `failure` for an exception, `retry`, `rejected`, `ignored`, `revoked`, `timeout` "
    "for a soft or hard time limit, or `lost` if the worker process was killed.",
    is_closed=True,
)
TASK_ERROR_TYPE = Label("error_type", "The class name of the exception; empty without one.")
ENTRY = Label("entry", "The name of the entry in Celery beat's schedule.")

TASK_SYSTEMS = "Celery, `django.tasks`"
"""Records the metrics of tasks."""

BEAT = "Celery beat"
"""Records the metrics of schedules."""

TASK_SENDS = Counter(
    "task_sends_total",
    "Tasks sent to a queue.",
    (TASK, QUEUE),
    recorded_by=TASK_SYSTEMS,
)
TASK_RUNS = Counter(
    "task_runs_total",
    "Runs of tasks that ended; each attempt is one.",
    (TASK, QUEUE, RUN_OUTCOME),
    (TASK_ERROR_TYPE,),
    recorded_by=TASK_SYSTEMS,
)
TASK_RUN_DURATION = Histogram(
    "task_run_duration_seconds",
    "Seconds a run of a task took once it had started, whatever its outcome.",
    (TASK,),
    (QUEUE, RUN_OUTCOME),
    buckets=RUN_BUCKETS,
    recorded_by=TASK_SYSTEMS,
    has_exemplars=True,
)
TASK_QUEUE_WAIT = Histogram(
    "task_queue_wait_seconds",
    "Seconds a task waited to start, after it was sent and its countdown was over.",
    (QUEUE,),
    (TASK,),
    buckets=WAIT_BUCKETS,
    recorded_by=TASK_SYSTEMS,
)
TASK_RUNS_IN_PROGRESS = Gauge(
    "task_runs_in_progress",
    "Runs of tasks currently in progress.",
    recorded_by=TASK_SYSTEMS,
)
TASK_QUEUE_LENGTH = Gauge(
    "task_queue_length",
    "Messages waiting in a queue, as of the last refresh of the business metrics.",
    (QUEUE,),
    latest_wins=True,
    opt_in=True,
    recorded_by="the refresh of business metrics, from Celery's broker",
)
TASK_LAST_SUCCESS_TIMESTAMP = Gauge(
    "task_last_success_timestamp_seconds",
    "Time of the last successful run of the task, in Unix seconds.",
    (TASK,),
    latest_wins=True,
    opt_in=True,
    recorded_by=TASK_SYSTEMS,
)
BEAT_LAST_TICK_TIMESTAMP = Gauge(
    "beat_last_tick_timestamp_seconds",
    "Time at which Celery beat last checked its schedule, in Unix seconds.",
    latest_wins=True,
    recorded_by=BEAT,
)
BEAT_ENTRY_OVERDUE = Gauge(
    "beat_entry_overdue_seconds",
    "Seconds by which an entry of the schedule is overdue; 0 if it is not.",
    (ENTRY,),
    latest_wins=True,
    recorded_by=BEAT,
)
