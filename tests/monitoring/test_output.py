"""Where ``metrics_dashboard`` and ``metrics_rules`` write."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.monitoring.generated import (
    written,
)


@pytest.mark.parametrize("command", ["metrics_dashboard", "metrics_rules"])
def test_it_is_written_to_a_file(command: str, tmp_path: Path):
    file = tmp_path / "made"

    shown = written(command, "--output", str(file))

    assert shown == ""
    assert file.read_text() == written(command)


@pytest.mark.parametrize("command", ["metrics_dashboard", "metrics_rules"])
def test_a_program_may_name_the_file_by_a_string(command: str, tmp_path: Path):
    call_command(command, output=str(tmp_path / "made"), verbosity=0)

    assert (tmp_path / "made").read_text() == written(command)


@pytest.mark.parametrize("command", ["metrics_dashboard", "metrics_rules"])
def test_a_file_that_cannot_be_written_is_told_of(command: str, tmp_path: Path):
    with pytest.raises(CommandError, match="The file cannot be written"):
        written(command, "--output", str(tmp_path))


@pytest.mark.parametrize("command", ["metrics_dashboard", "metrics_rules"])
def test_nothing_is_written_where_nothing_is_measured(command: str):
    with pytest.raises(CommandError, match="`ENABLED` should be True"):
        written(command, ENABLED=False)
