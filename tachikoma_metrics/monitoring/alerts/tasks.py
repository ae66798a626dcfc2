"""Alerts about tasks: failures, duration, and the wait in a queue."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tachikoma_metrics.catalogue.tasks import TASK_QUEUE_WAIT
from tachikoma_metrics.conf import Config
from tachikoma_metrics.monitoring.alerts.alert import Alert, Runbook
from tachikoma_metrics.monitoring.alerts.expressions import (
    bucket_bound,
    failing_share,
    increased,
    slow_share,
)
from tachikoma_metrics.monitoring.objectives import Objectives
from tachikoma_metrics.monitoring.recording_rules import TASK_DURATIONS


def task_alerts(
    config: Config, objectives: Objectives, native: Collection[str] = ()
) -> Iterator[Alert]:
    """Yield the alerts about tasks."""
    yield from (_FAILING, _SLOW)
    yield _waiting(config, objectives, native)
    yield _LOST


_FAILING = Alert(
    "DjangoTasksFailing",
    failing_share('task_runs_total{outcome=~"failure|timeout|lost"}', "task_runs_total", by="task"),
    "5m",
    "ticket",
    "{{ $labels.job }}: {{ $value | humanizePercentage }} of the runs of {{ $labels.task }} fail.",
    Runbook(
        "More than one run in ten of a task ended in an exception, at a time limit, or with its "
        "process within an hour, and runs still fail. Attempts that are retried are no failures. "
        "The alert needs more than ten failures in the hour.",
        (
            "Check in *Failed runs by task* when it began, and whether other tasks fail, too.",
            "Look for the exception in the log of the worker; the optional label `error_type` of "
            "`task_runs_total` has its class.",
            "One task since a deployment: roll it back. All tasks: look for a dependency that "
            "they share, such as the database.",
            "Once it is fixed, run the tasks again that failed: Celery does not.",
        ),
    ),
)

_SLOW_FACTOR, _SLOW_SECONDS, _SLOW_RUNS = 3, 1, 20


def _p95(window: str) -> str:
    return f"histogram_quantile(0.95, avg_over_time({TASK_DURATIONS}{window}))"


_SLOW = Alert(
    "DjangoTasksSlow",
    f"{_p95('[1h]')} > {_SLOW_SECONDS}\n"
    f"and {_p95('[1h]')}\n"
    f"  > {_SLOW_FACTOR} * {_p95('[1d] offset 1d')}\n"
    "and sum by (<service>, task) (increase(task_run_duration_seconds_count[1h])) "
    f"> {_SLOW_RUNS}",
    "15m",
    "ticket",
    "{{ $labels.job }}: the p95 duration of {{ $labels.task }} is "
    "{{ $value | humanizeDuration }}, far more than before.",
    Runbook(
        "The p95 duration of a task over an hour is more than three times that of the day before "
        "(of 24 hours to 48 hours ago), and more than a second. The alert needs more than twenty "
        "runs in the hour.",
        (
            "Check in *p95 duration by task* when it began, and whether other tasks are slow.",
            "Compare it with *p95 query duration by operation* and *p95 duration by "
            "provider*: which dependency is slow?",
            "Were the tasks given more work than usual? The alert then resolves after a day.",
            "Check *p95 queue wait by queue*: slow tasks keep others waiting.",
        ),
    ),
)


def _waiting(config: Config, objectives: Objectives, native: Collection[str]) -> Alert:
    bound = bucket_bound(TASK_QUEUE_WAIT, objectives.queue_wait, config, native)
    return Alert(
        "DjangoTasksWaiting",
        slow_share("task_queue_wait_seconds", bound, by="queue"),
        "10m",
        "ticket",
        "{{ $labels.job }}: {{ $value | humanizePercentage }} of the tasks of the queue "
        f"{{{{ $labels.queue }}}} wait longer than {bound:g} s.",
        Runbook(
            "The p95 wait in a queue is above the limit: more than one task in twenty waited "
            "longer, from when it could start to its start.",
            (
                "Check in *Sent and run by queue* whether more is sent than before, or less run.",
                "Less is run: are all workers up? Check in *p95 duration by task* whether one "
                "task is slow and occupies them.",
                "More is sent: start more workers, or more processes of each. A separate queue "
                "keeps a burst of one task from the others.",
                "If the queue may wait that long, raise the limit with `--queue-wait`.",
            ),
        ),
    )


_LOST = Alert(
    "DjangoTasksLost",
    increased('task_runs_total{outcome=~"lost|timeout"}', "task, outcome"),
    "1m",
    "ticket",
    "{{ $labels.job }}: runs of {{ $labels.task }} ended as {{ $labels.outcome }} within the last "
    "hour.",
    Runbook(
        "A run passed a time limit (`timeout`), or its process was killed (`lost`) within the "
        "last hour. A task with `acks_late` and `reject_on_worker_lost` is run again; any other "
        "is not.",
        (
            "`lost`: look for `WorkerLostError` in the log of the worker, and for `oom-kill` in "
            "that of the kernel or `OOMKilled` in the state of the container. Then compare "
            "*Memory* with the limit; `worker_max_memory_per_child` replaces processes before "
            "they reach it.",
            "`timeout`: find the slow dependency of the task, or raise its `soft_time_limit` and "
            "`time_limit`.",
            "If it was during a deployment, give the workers more time to finish (Kubernetes: "
            "`terminationGracePeriodSeconds`).",
        ),
    ),
)
