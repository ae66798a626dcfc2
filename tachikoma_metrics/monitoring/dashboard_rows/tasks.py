"""The row of tasks, their queues, and Celery beat."""

from __future__ import annotations

from tachikoma_metrics.monitoring.panels import (
    OUTCOME_COLORS,
    THIRD,
    Panel,
    Query,
    Row,
    by_instance,
    quantile,
    rate,
    top,
)

_FAILED = 'task_runs_total{outcome=~"failure|timeout|lost"}'

TASKS = Row(
    "Tasks",
    (
        Panel(
            "Runs by task",
            "Runs that ended per second, of the ten tasks with the most; each attempt is one.",
            top(*rate("task_runs_total", "task", "{{task}}")),
            "ops",
        ),
        Panel(
            "Runs by outcome",
            "Runs that ended per second; lost is a run whose process was killed.",
            rate("task_runs_total", "outcome", "{{outcome}}"),
            "ops",
            is_stacked=True,
            colors=OUTCOME_COLORS,
        ),
        Panel(
            "Failed runs by task",
            "Ratio of a task's runs that ended in an exception, at a time limit, or with their "
            "process; the ten highest.",
            top(
                Query(
                    f"sum by (task) (rate({_FAILED}[$__rate_interval])) "
                    "/ sum by (task) (rate(task_runs_total[$__rate_interval]))",
                    "{{task}}",
                )
            ),
            "percentunit",
            max=1,
        ),
        Panel(
            "p95 duration by task",
            "Seconds that a run took, whatever its outcome; the ten slowest tasks.",
            top(quantile(0.95, "task_run_duration_seconds", "task", "{{task}}")),
            "s",
        ),
        Panel(
            "p95 queue wait by queue",
            "Seconds from when a task could start to its start. A line that rises is a queue "
            "with too few workers.",
            (quantile(0.95, "task_queue_wait_seconds", "queue", "{{queue}}"),),
            "s",
        ),
        Panel(
            "Sent and run by queue",
            "Per second. More sent than run is a queue that grows; retries are sent again.",
            (
                *rate("task_sends_total", "queue", "sent {{queue}}"),
                *rate("task_runs_total", "queue", "run {{queue}}"),
            ),
            "ops",
        ),
        Panel(
            "Runs in progress",
            "Runs in progress. All processes of a worker busy, and a wait that rises: add some.",
            by_instance("task_runs_in_progress"),
            width=THIRD,
            is_stacked=True,
        ),
        Panel(
            "Lost and timed-out runs",
            "Runs that ended at a time limit, or whose process was killed.",
            (
                Query(
                    "sum by (task, outcome) (increase("
                    'task_runs_total{outcome=~"lost|timeout"}[$__rate_interval])) '
                    "or on () 0 * sum(tachikoma_metrics_processes)",
                    "{{task}} {{outcome}}",
                ),
            ),
            width=THIRD,
        ),
        Panel(
            "Queue length",
            "Messages that wait at the broker, as of the last refresh of the business metrics.",
            (Query("max by (<service>, queue) (task_queue_length)", "{{job}} {{queue}}"),),
            width=THIRD,
        ),
        Panel(
            "Time since the last success",
            "Since a run of the task last succeeded; the ten longest.",
            top(
                Query(
                    "time() - max by (<service>, task) (task_last_success_timestamp_seconds)",
                    "{{job}} {{task}}",
                )
            ),
            "s",
            width=THIRD,
        ),
        Panel(
            "Time since beat's last tick",
            "Since Celery beat last looked at its schedule, on whichever host it runs.",
            (Query("time() - max by (<service>) (beat_last_tick_timestamp_seconds)", "{{job}}"),),
            "s",
            width=THIRD,
        ),
        Panel(
            "Overdue schedule entries",
            "Seconds since an entry was due without being sent. Beat hangs, or reaches no broker.",
            (Query("max by (<service>, entry) (beat_entry_overdue_seconds)", "{{job}} {{entry}}"),),
            "s",
            width=THIRD,
        ),
    ),
)
