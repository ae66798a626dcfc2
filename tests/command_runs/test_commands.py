"""Runs of management commands, within the process and as processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management import CommandError, call_command, get_commands

from tachikoma_metrics.testing import sample_value
from tests import starter

ROOT = Path(__file__).resolve().parent.parent.parent

Measure = Callable[..., None]


@pytest.fixture
def measure(settings) -> Iterator[Measure]:
    """Return a function that sets ``COMMANDS``, beside other settings."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "tests.command_runs.shop"]
    get_commands.cache_clear()  # type: ignore[attr-defined]

    def set_(*patterns: str, **others: Any) -> None:
        settings.TACHIKOMA_METRICS = {"COMMANDS": list(patterns), **others}

    yield set_
    get_commands.cache_clear()  # type: ignore[attr-defined]


def runs(command: str, outcome: str = "success") -> float | None:
    return sample_value("command_runs_total", command=command, outcome=outcome)


def last_success(command: str) -> float | None:
    return sample_value("command_last_success_timestamp_seconds", command=command)


# --- outcomes ---------------------------------------------------------------


def test_a_run_that_returns_is_a_success(measure: Measure, capsys: pytest.CaptureFixture[str]):
    measure("sell")
    began_at = time.time()
    returned = call_command("sell")

    assert returned == "sold"
    assert capsys.readouterr().out == "sold\n"
    assert runs("sell") == 1
    assert sample_value("command_run_duration_seconds_count", command="sell") == 1
    assert began_at <= (last_success("sell") or 0) <= time.time()


@pytest.mark.parametrize(
    ("how", "error", "outcome"),
    [
        ("error", CommandError, "failure"),
        ("bug", ValueError, "failure"),
        ("exit", SystemExit, "success"),
        ("exit-0", SystemExit, "success"),
        ("exit-2", SystemExit, "failure"),
        ("exit-text", SystemExit, "failure"),
        ("interrupt", KeyboardInterrupt, "failure"),
    ],
)
def test_what_a_command_raises_passes_through(
    measure: Measure, how: str, error: type[BaseException], outcome: str
):
    measure("sell")
    with pytest.raises(error) as raised:
        call_command("sell", how)

    assert raised.type is error
    assert raised.value.__cause__ is None
    assert runs("sell", outcome) == 1
    assert (last_success("sell") is None) == (outcome == "failure")
    assert sample_value("command_run_duration_seconds_count", command="sell") == 1


def test_the_return_code_of_a_command_error_is_kept(measure: Measure):
    measure("sell")
    with pytest.raises(CommandError) as raised:
        call_command("sell", "error")

    assert raised.value.returncode == 7


# --- which commands ---------------------------------------------------------


def test_a_nested_command_counts_once_as_itself(measure: Measure):
    measure("sell*")
    call_command("sell", "nested")

    assert (runs("sell"), runs("sell_again")) == (1, 2)


def test_a_nested_command_that_fails_makes_both_fail(measure: Measure):
    measure("*")
    with pytest.raises(CommandError):
        call_command("sell", "nested-error")

    assert runs("sell", "failure") == 2


@pytest.mark.parametrize(
    ("patterns", "counted"),
    [
        (["sell"], {"sell"}),
        (["sell_*"], {"sell_again"}),
        (["*"], {"sell", "sell_again", "restock"}),
        (["*", "!sell"], {"sell_again", "restock"}),
        (["*", "!sell*", "sell"], {"sell", "restock"}),
        (["!sell"], set()),
        (["SELL"], set()),
        ([], set()),
    ],
    ids=str,
)
def test_the_last_pattern_that_matches_decides(
    measure: Measure, patterns: list[str], counted: set[str]
):
    measure(*patterns)
    commands = ("sell", "sell_again", "restock")
    for command in commands:
        call_command(command)

    assert {command for command in commands if runs(command)} == counted


def test_a_command_that_overrides_execute_counts_once(measure: Measure):
    measure("sell_again")
    call_command("sell_again")

    assert runs("sell_again") == 1


def test_a_command_of_django_is_measured(measure: Measure):
    measure("check")
    call_command("check")

    assert runs("check") == 1


def test_nothing_is_counted_once_the_setting_is_empty_or_metrics_are_disabled(
    measure: Measure, settings
):
    measure("*")
    call_command("restock")
    measure()
    call_command("restock")
    measure("*", ENABLED=False)
    call_command("restock")
    measure("*")

    assert runs("restock") == 1


@pytest.mark.parametrize(
    "name",
    [
        "command_runs_total",
        "command_run_duration_seconds",
        "command_last_success_timestamp_seconds",
    ],
)
@pytest.mark.parametrize("setting", ["disabled", "without labels"])
def test_the_settings_of_a_metric_hold(measure: Measure, name: str, setting: str):
    options: dict[str, Any] = {"DISABLED_METRICS": [name]}
    if setting == "without labels":
        options = {"LABELS": {name: []}}
    measure("*", **options)
    call_command("restock")

    assert sample_value("tachikoma_metrics_errors_total", source="command") in (None, 0)


def test_an_option_may_have_any_name(measure: Measure):
    measure("sell_again")
    for name in ("command", "name", "self_", "execute"):
        call_command("sell_again", **{name: "x"})

    assert runs("sell_again") == 4


def test_a_rejected_command_line_is_not_a_run(measure: Measure):
    measure("*")
    with pytest.raises(CommandError):
        call_command("restock", "--everything")

    assert runs("restock", "failure") is None


# --- threads and async code -------------------------------------------------


def test_commands_in_threads_are_counted(measure: Measure):
    measure("restock")
    threads = [threading.Thread(target=call_command, args=("restock",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert runs("restock") == 8


async def test_a_command_in_async_code_is_counted(measure: Measure):
    await sync_to_async(measure)("restock")
    await sync_to_async(call_command)("restock")

    assert runs("restock") == 1


# --- processes --------------------------------------------------------------

MANAGE = """
import json, signal, sys
# A test run in the background may ignore it, and what it starts then does so, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
from django.conf import settings
settings.configure(INSTALLED_APPS=["tests.command_runs.shop", "tachikoma_metrics"], SECRET_KEY="x",
    USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    TACHIKOMA_METRICS=json.loads(sys.argv.pop(1)))
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


def manage(tmp_path: Path, patterns: list[str], *arguments: str) -> subprocess.Popen[str]:
    """Start a management command as a process."""
    metrics = {"COMMANDS": patterns, "STORE_DIR": str(tmp_path / "store")}
    return starter.start(
        MANAGE,
        json.dumps(metrics),
        *arguments,
        environment=os.environ,
        options=("-W", "ignore"),
        directory=tmp_path,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return the exit status of a process and what it printed, without the traceback's frames."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, re.sub(r"(?m)^ .*\n", "", err)


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ("return", 0),
        ("error", 7),
        ("bug", 1),
        ("exit-0", 0),
        ("exit-2", 2),
        ("exit-text", 1),
        ("interrupt", 130),
    ],
)
def test_the_exit_status_and_the_output_are_those_of_a_command_that_is_not_measured(
    tmp_path: Path, how: str, status: int
):
    measured = manage(tmp_path, ["*"], "sell", how)
    unmeasured = manage(tmp_path, [], "sell", how)
    found = ended(measured)

    assert found == ended(unmeasured)
    assert abs(found[0]) in {status, signal.SIGINT if status == 130 else status}


def test_a_command_ends_by_ctrl_c_as_it_did(tmp_path: Path):
    found = []
    for patterns in (["*"], []):
        process = manage(tmp_path, patterns, "sell", "sleep")
        assert process.stdout is not None
        assert process.stdout.readline() == "asleep\n"
        process.send_signal(signal.SIGINT)
        found.append(ended(process))

    assert found[0] == found[1]
    assert "KeyboardInterrupt" in found[0][2]


def test_without_the_setting_execute_is_that_of_django(tmp_path: Path):
    code = (
        "from django.core.management.base import BaseCommand; print(BaseCommand.execute.__module__,"
    )
    code += " hasattr(BaseCommand.execute, '__wrapped__'))"
    for patterns, expected in (([], "False"), (["*"], "True")):
        status, out, _ = ended(manage(tmp_path, patterns, "shell", "--no-imports", "-c", code))
        assert (status, out.split()) == (0, ["django.core.management.base", expected])


def test_a_command_whose_child_runs_it_to_its_end_counts_once(tmp_path: Path):
    code = (
        "import os, sys; from django.core.management import call_command;"
        " from tachikoma_metrics.testing import sample_value;"
        " call_command('sell', 'fork');"
        " print(*(sample_value('command_runs_total', command='sell', outcome=one)"
        " for one in ('success', 'failure')))"
    )
    status, out, _ = ended(manage(tmp_path, ["sell"], "shell", "--no-imports", "-c", code))

    assert (status, out) == (0, "1.0 0.0\n")
