"""Where ``metrics_dashboard`` and ``metrics_rules`` write."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.monitoring.generated import (
    written,
)


@pytest.mark.parametrize("command", ["metrics_dashboard", "metrics_rules"])
def test_the_output_may_be_a_file(command: str, tmp_path: Path):
    file = tmp_path / "made"

    shown = written(command, "--output", str(file))

    assert shown == ""
    assert file.read_text() == written(command)


@pytest.mark.parametrize("command", ["metrics_dashboard", "metrics_rules"])
def test_call_command_accepts_a_path_as_a_string(command: str, tmp_path: Path):
    call_command(command, output=str(tmp_path / "made"), verbosity=0)

    assert (tmp_path / "made").read_text() == written(command)


@pytest.mark.parametrize("command", ["metrics_dashboard", "metrics_rules"])
def test_a_file_that_cannot_be_written_is_an_error(command: str, tmp_path: Path):
    with pytest.raises(CommandError, match="The file cannot be written"):
        written(command, "--output", str(tmp_path))


@pytest.mark.parametrize("command", ["metrics_dashboard", "metrics_rules"])
def test_nothing_is_written_if_metrics_are_disabled(command: str):
    with pytest.raises(CommandError, match="ENABLED is False"):
        written(command, ENABLED=False)
