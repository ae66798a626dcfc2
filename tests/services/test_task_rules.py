"""``promtool`` evaluates the alerts about tasks, beat and management commands."""

from __future__ import annotations

import pytest

from tachikoma_metrics.monitoring import Objectives
from tests.services.alerting import ALL_DAY, fire, rising
from tests.services.prometheus import Promtool

RUNS = 'task_runs_total{{job="shop",instance="{}",task="mail",queue="celery",outcome="{}"}}'


def runs(ended: dict[str, str], instance: str = "a") -> dict[str, str]:
    """Return the series of a task's runs by outcome."""
    return {RUNS.format(instance, outcome): values for outcome, values in ended.items()}


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [("failure", ["DjangoTasksFailing/ticket"]), ("retry", []), ("ignored", [])],
)
def test_a_task_that_fails_is_a_ticket(promtool: Promtool, outcome: str, expected: list[str]):
    series = runs({"success": rising(8, 60), outcome: rising(2, 60)})

    fire(promtool, series, 60, *expected)


def test_a_task_without_runs_raises_no_alert(promtool: Promtool):
    fire(promtool, runs(dict.fromkeys(("success", "failure", "lost"), "0x60")), 60)


def test_a_few_failures_of_a_rare_task_raise_no_alert(promtool: Promtool):
    fire(promtool, runs({"success": rising(0.3, 60), "failure": rising(0.1, 60)}), 60)


def test_tasks_that_failed_and_succeed_again_raise_no_alert(promtool: Promtool):
    series = runs({"success": rising(80, 95), "failure": "0x40 0+20x20 400x40"})

    fire(promtool, series, 95)


def test_workers_that_are_replaced_are_no_failures(promtool: Promtool):
    before = runs({"success": "0+80x60 stale", "failure": "500x60 stale"})
    after = runs({"success": "_x61 0+80x60", "failure": "_x61 0x60"}, instance="b")

    fire(promtool, {**before, **after}, 90)


@pytest.mark.parametrize("outcome", ["lost", "timeout"])
def test_a_run_that_is_lost_or_timed_out_is_a_ticket_for_an_hour(promtool: Promtool, outcome: str):
    series = runs({"success": rising(80, 180), outcome: "_x60 1x120"})

    fire(promtool, series, 50)
    fire(promtool, series, 70, "DjangoTasksLost/ticket")
    fire(promtool, series, 130)


def test_workers_that_are_replaced_are_no_lost_runs(promtool: Promtool):
    before = runs({"success": "0+80x60 stale", "lost": "3x60 stale"})
    after = runs({"success": "_x61 0+80x120"}, instance="b")

    fire(promtool, {**before, **after}, 130)


def test_the_lost_runs_of_a_job_that_is_not_instrumented_raise_no_alert(promtool: Promtool):
    series = runs({"success": rising(80, 60), "lost": rising(2, 60)})

    fire(promtool, {one.replace("shop", "desk"): values for one, values in series.items()}, 60)


def task_durations(fast: str, slow: str) -> dict[str, str]:
    """Return the durations of a task: those up to 1 s, and all, up to 30 s."""
    name, labels = "task_run_duration_seconds", 'job="shop",instance="a",task="mail"'
    bounds = {"0.5": "0x4000", "1.0": fast, "5.0": fast, "30.0": slow, "+Inf": slow}
    series = {f'{name}_bucket{{{labels},le="{bound}"}}': values for bound, values in bounds.items()}
    return {**series, f"{name}_count{{{labels}}}": slow}


TWO_DAYS = 2 * ALL_DAY
SLOW_SINCE = TWO_DAYS - 240
"""The minute from which a task is slow."""


def test_a_task_that_is_far_slower_than_before_is_a_ticket(promtool: Promtool):
    series = task_durations(f"0+10x{SLOW_SINCE} {10 * SLOW_SINCE}x300", rising(10, TWO_DAYS))

    fire(promtool, series, TWO_DAYS, "DjangoTasksSlow/ticket")


def test_a_task_that_is_as_slow_as_before_raises_no_alert(promtool: Promtool):
    fire(promtool, task_durations(f"0x{TWO_DAYS}", rising(10, TWO_DAYS)), TWO_DAYS)


def test_a_slow_task_that_is_new_raises_no_alert(promtool: Promtool):
    fire(promtool, task_durations("0x40", rising(10, 40)), 40)


def test_a_slow_task_that_runs_rarely_raises_no_alert(promtool: Promtool):
    series = task_durations(
        f"0+10x{SLOW_SINCE} {10 * SLOW_SINCE}x300", f"0+10x{SLOW_SINCE} {10 * SLOW_SINCE}+0.2x300"
    )

    fire(promtool, series, TWO_DAYS)


def waits(fast: float, slow: float) -> dict[str, str]:
    """Return the waits in a queue, so many below and above a minute each minute."""
    name, labels = "task_queue_wait_seconds", 'job="shop",instance="a",queue="celery"'
    return {
        f'{name}_bucket{{{labels},le="60.0"}}': rising(fast, 60),
        f'{name}_bucket{{{labels},le="+Inf"}}': rising(fast + slow, 60),
        f"{name}_count{{{labels}}}": rising(fast + slow, 60),
    }


@pytest.mark.parametrize(
    ("slow", "expected"), [(10, ["DjangoTasksWaiting/ticket"]), (4, []), (0, [])]
)
def test_tasks_that_wait_are_a_ticket(promtool: Promtool, slow: float, expected: list[str]):
    fire(promtool, waits(100 - slow, slow), 60, *expected)


def test_a_queue_without_tasks_raises_no_alert(promtool: Promtool):
    fire(promtool, waits(0, 0), 60)


def tick(instance: str = "a") -> str:
    return f'beat_last_tick_timestamp_seconds{{job="shop",instance="{instance}"}}'


SILENT = "DjangoBeatSilent/page"


def test_a_beat_that_stands_still_pages(promtool: Promtool):
    fire(promtool, {tick(): "0+60x30 1800x60"}, 38)
    fire(promtool, {tick(): "0+60x30 1800x60"}, 60, SILENT)


def test_a_beat_whose_metrics_are_gone_pages_for_a_day(promtool: Promtool):
    series = {tick(): "0+60x30 stale"}

    fire(promtool, series, 60, SILENT)
    fire(promtool, series, ALL_DAY + 60)


def test_a_beat_whose_job_is_gone_pages(promtool: Promtool):
    info = 'tachikoma_metrics_info{job="cron",instance="c",version="1"}'

    fire(
        promtool,
        {tick("c").replace("shop", "cron"): "0+60x30 stale", info: "1x30 stale"},
        60,
        SILENT,
    )


def test_a_beat_that_moves_to_another_host_raises_no_alert(promtool: Promtool):
    # The first host exposes the last tick for as long as other processes run there.
    fire(promtool, {tick("a"): "0+60x30 1800x60", tick("b"): "_x32 1920+60x60"}, 90)


def test_without_beat_there_is_no_alert(promtool: Promtool):
    fire(promtool, runs({"success": rising(10, 60)}), 60)


OVERDUE = 'beat_entry_overdue_seconds{job="shop",instance="a",entry="nightly"}'


@pytest.mark.parametrize(
    ("overdue", "expected"),
    [
        ("0x50 30+60x40", ["DjangoBeatEntryOverdue/ticket"]),
        ("0x90", []),
        # Beat was busy for a moment.
        ("0x86 90x1 0x10", []),
    ],
)
def test_an_entry_that_is_not_sent_is_a_ticket(
    promtool: Promtool, overdue: str, expected: list[str]
):
    fire(promtool, {OVERDUE: overdue, tick(): "0+60x90"}, 60 if expected else 88, *expected)


def test_an_entry_on_a_host_that_beat_has_left_raises_no_alert(promtool: Promtool):
    series = {OVERDUE: "300x90", tick("a"): "0x90", tick("b"): "0+60x90"}

    fire(promtool, series, 60)


DAILY = Objectives(commands={"clearsessions": 90_000})
SUCCESS = 'command_last_success_timestamp_seconds{job="shop",instance="a",command="clearsessions"}'


def test_a_command_that_did_not_succeed_in_time_is_a_ticket(promtool: Promtool):
    series = {SUCCESS: "_x10 600x2000"}

    fire(promtool, series, 1500, objectives=DAILY)
    fire(promtool, series, 1530, "DjangoCommandOverdue/ticket", objectives=DAILY)


def test_a_command_whose_metrics_are_gone_is_a_ticket(promtool: Promtool):
    series = {SUCCESS: "_x10 600x20 stale"}

    fire(promtool, series, 1530, "DjangoCommandOverdue/ticket", objectives=DAILY)


def test_a_command_that_succeeds_in_time_raises_no_alert(promtool: Promtool):
    fire(promtool, {SUCCESS: "600x1000 60000x600"}, 1530, objectives=DAILY)


def test_without_the_option_no_command_is_overdue(promtool: Promtool):
    fire(promtool, {SUCCESS: "0x1600"}, 1530)
