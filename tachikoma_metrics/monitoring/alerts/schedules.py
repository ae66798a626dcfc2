"""Alerts about what runs on a schedule: Celery beat, its entries, and management commands."""

from __future__ import annotations

from collections.abc import Iterator

from tachikoma_metrics import catalogue
from tachikoma_metrics.monitoring.alerts.alert import Alert, Runbook
from tachikoma_metrics.monitoring.objectives import Objectives

_DAY = 86_400
_SILENT_SECONDS = 600
_OVERDUE_SECONDS = 60


def schedule_alerts(objectives: Objectives) -> Iterator[Alert]:
    """Yield the alerts about beat, and one for each command that has to succeed regularly."""
    yield from (_BEAT_SILENT, _ENTRY_OVERDUE)
    for command, seconds in objectives.commands.items():
        yield _command_overdue(command, seconds)


def _age(gauge: str, window: str) -> str:
    """Return the age of the newest time of a gauge, on whichever host, also if it is gone.

    A host that was removed reports nothing, and neither does a job whose last process ended.
    """
    return f"time() - max by (<service>) (max_over_time({gauge}[{window}]))"


def _of_instrumented_jobs(window: str) -> str:
    return f"and on (job) max_over_time({catalogue.INFO.name}[{window}])"


_BEAT_SILENT = Alert(
    "DjangoBeatSilent",
    f"{_age('beat_last_tick_timestamp_seconds', '1d')} > {_SILENT_SECONDS}\n"
    f"{_of_instrumented_jobs('1d')}",
    "1m",
    "page",
    "{{ $labels.job }}: Celery beat last looked at its schedule "
    "{{ $value | humanizeDuration }} ago.",
    Runbook(
        "No Celery beat looked at its schedule for ten minutes, on any host, and one did within "
        "the last day: tasks of the schedule are not sent. Beat looks at least every "
        "`beat_max_loop_interval`, five minutes by default. After a day without beat the alert "
        "resolves.",
        (
            "Is a `celery beat`, or a worker with `--beat`, running? Start one.",
            "If it runs, look at its log: `py-spy dump --pid ...` shows what it waits for. "
            "Usually it is the broker, or the database of django-celery-beat.",
            "If beat was removed on purpose, silence the alert for a day.",
        ),
    ),
)

_ENTRY_OVERDUE = Alert(
    "DjangoBeatEntryOverdue",
    # A host that beat has left keeps the last values that it had there.
    f"max by (<service>, instance, entry) (beat_entry_overdue_seconds) > {_OVERDUE_SECONDS}\n"
    f"and on (<service>, instance) time() - beat_last_tick_timestamp_seconds < {_SILENT_SECONDS}",
    "5m",
    "ticket",
    "{{ $labels.job }}: {{ $labels.entry }} has been due for {{ $value | humanizeDuration }}.",
    Runbook(
        "Celery beat looks at its schedule, and has not sent an entry that is due.",
        (
            "Look for `Message Error` in the log of beat: the broker may be unavailable.",
            "Beat sends one entry after the other: a slow broker, or very many entries, delay "
            "all of them.",
        ),
    ),
)


def _command_overdue(command: str, seconds: float) -> Alert:
    gauge = f'command_last_success_timestamp_seconds{{command="{command}"}}'
    # Long enough for the alert to stay until a day after it began, if the metric is gone.
    window = f"{int(seconds) + _DAY}s"
    return Alert(
        "DjangoCommandOverdue",
        f"{_age(gauge, window)} > {seconds:g}\n{_of_instrumented_jobs(window)}",
        "1m",
        "ticket",
        f"{{{{ $labels.job }}}}: {command} last succeeded {{{{ $value | humanizeDuration }}}} ago.",
        Runbook(
            "A management command has not succeeded for longer than `--command` allows. "
            "A command that never succeeded while Prometheus watched raises no alert.",
            (
                "Did it run, and fail? Check in *Failed command runs in a day*, and look at its "
                "output.",
                "If it did not run, look at what starts it: the log of cron, the timer of "
                "systemd, or the `CronJob` of Kubernetes.",
                "Check in *p95 duration by command* whether it takes longer than the time "
                "between two runs.",
            ),
        ),
        labels=(("command", command),),
    )
