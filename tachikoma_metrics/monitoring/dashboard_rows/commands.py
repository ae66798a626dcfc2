"""The row of management commands, over a day: most run a few times a day."""

from __future__ import annotations

from tachikoma_metrics.monitoring.panels import OUTCOME_COLORS, Panel, Query, Row

_WINDOW = "1d"
_RUNS = "command_runs_total"
_FAILED = 'command_runs_total{outcome="failure"}'


def _in_a_day(counter: str, by: str) -> str:
    return f"sum by ({by}) (increase({counter}[{_WINDOW}]))"


COMMANDS = Row(
    "Commands",
    (
        Panel(
            "Command runs in a day",
            "Runs of the last 24 hours, by command and outcome.",
            (Query(_in_a_day(_RUNS, "command, outcome"), "{{command}} {{outcome}}"),),
            colors=OUTCOME_COLORS,
        ),
        Panel(
            "Failed command runs in a day",
            "Ratio of a command's runs of the last 24 hours that failed.",
            (
                Query(
                    f"({_in_a_day(_FAILED, 'command')} or 0 * {_in_a_day(_RUNS, 'command')}) "
                    f"/ {_in_a_day(_RUNS, 'command')}",
                    "{{command}}",
                ),
            ),
            "percentunit",
            max=1,
        ),
        Panel(
            "p95 duration by command",
            "Seconds that a run of the last 24 hours took, whatever its outcome.",
            (
                Query(
                    "histogram_quantile(0.95, "
                    f"{_in_a_day('command_run_duration_seconds_bucket', 'command, le')})",
                    "{{command}}",
                ),
            ),
            "s",
        ),
        Panel(
            "Time since a command's last success",
            "A command that runs every night is overdue above 86,400 s.",
            (
                Query(
                    "time() - max by (<service>, command) (command_last_success_timestamp_seconds)",
                    "{{job}} {{command}}",
                ),
            ),
            "s",
        ),
    ),
)
