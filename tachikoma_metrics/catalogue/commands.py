"""Management commands that ``COMMANDS`` names, run by hand, by cron or by ``call_command``."""

from __future__ import annotations

from tachikoma_metrics.catalogue.definitions import Counter, Gauge, Histogram, Label
from tachikoma_metrics.catalogue.tasks import RUN_BUCKETS

COMMAND = Label("command", "The name of the management command.")
COMMAND_OUTCOME = Label(
    "outcome",
    "`success`, or `failure` for an exception or an exit status other than 0.",
    is_closed=True,
)

COMMANDS = "management commands that `COMMANDS` names"
"""Records the metrics of commands."""

COMMAND_RUNS = Counter(
    "command_runs_total",
    "Runs of management commands that ended.",
    (COMMAND, COMMAND_OUTCOME),
    recorded_by=COMMANDS,
)
COMMAND_RUN_DURATION = Histogram(
    "command_run_duration_seconds",
    "Seconds a run of a management command took, whatever its outcome.",
    (COMMAND,),
    buckets=RUN_BUCKETS,
    recorded_by=COMMANDS,
)
COMMAND_LAST_SUCCESS_TIMESTAMP = Gauge(
    "command_last_success_timestamp_seconds",
    "Time of the last successful run of the command, in Unix seconds.",
    (COMMAND,),
    latest_wins=True,
    recorded_by=COMMANDS,
)
