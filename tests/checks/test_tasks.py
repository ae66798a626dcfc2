"""Commands and queues that are to be measured, and are not there."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from tests.checks.messages import message
from tests.conftest import found

QUEUES = "task_queue_length"


@pytest.mark.parametrize("pattern", ["clearsession", "send_*", "!send_test", "Migrate"])
def test_a_pattern_that_fits_no_command_is_a_warning(pattern: str):
    text = message("W140", {"COMMANDS": ["migrate", pattern]}).msg

    assert f"'{pattern}'" in text


def test_a_command_that_is_nearly_one_is_suggested():
    assert "'migrate'" in message("W140", {"COMMANDS": ["migrat"]}).msg


@pytest.mark.parametrize("commands", [[], ["*"], ["migrate", "!mig*"]])
def test_patterns_that_fit_are_no_warning(commands: list[str]):
    with override_settings(TACHIKOMA_METRICS={"COMMANDS": commands}):
        assert "W140" not in found()


@pytest.mark.parametrize("tasks", [False, ["django"]])
def test_queues_that_are_not_measured_are_a_warning(tasks: Any):
    text = message("W141", {"EXTRA_METRICS": [QUEUES], "TASKS": tasks}).msg

    assert QUEUES in text


@pytest.mark.parametrize(
    "settings",
    [
        {"EXTRA_METRICS": [QUEUES]},
        {"EXTRA_METRICS": [QUEUES], "TASKS": ["celery"]},
        {"EXTRA_METRICS": [QUEUES], "DISABLED_METRICS": [QUEUES], "TASKS": False},
        {"EXTRA_METRICS": [QUEUES], "ENABLED": False},
        {"TASKS": False},
    ],
)
def test_queues_that_are_measured_or_not_wanted_are_no_warning(settings: dict[str, Any]):
    with override_settings(TACHIKOMA_METRICS=settings):
        assert "W141" not in found()
