"""The options, output and exit status of ``manage.py metrics_doctor``."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from tachikoma_metrics import METRICS
from tachikoma_metrics.doctor import CHECKS
from tests.doctor.endpoint import Doctor, Serve


def test_findings_are_printed_as_lines(capsys: pytest.CaptureFixture[str]):
    call_command("metrics_doctor", "--no-color")

    printed = capsys.readouterr().out
    assert "     ok  settings: System checks passed.\n" in printed
    assert "     ok  access: Access is limited to: networks private.\n" in printed


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("\x1b]0;owned\x07\x1b[2J\x1b[1;32mAll is fine.\r\x1b[K fine", 403),
        ('tachikoma_metrics_info{version="\x1b[2J\u202eowned"} 1\n', 200),
    ],
)
def test_control_characters_of_a_server_do_not_reach_the_terminal(
    served: Serve, capsys: pytest.CaptureFixture[str], body: str, status: int
):
    with contextlib.suppress(SystemExit):
        call_command("metrics_doctor", "--no-color", "--url", served(body, status))

    printed = capsys.readouterr().out
    assert "\N{REPLACEMENT CHARACTER}" in printed
    assert all(letter.isprintable() or letter == "\n" for letter in printed)


def test_a_file_without_a_token_is_rejected(served: Serve, tmp_path: Path):
    with pytest.raises(CommandError, match=r"--token-file: '.*absent' cannot be read: No such"):
        call_command("metrics_doctor", "--url", served(""), "--token-file", f"{tmp_path}/absent")


def test_an_empty_url_is_rejected(doctor: Doctor):
    for url in ("", " "):
        with pytest.raises(CommandError, match="--url is empty"):
            doctor("--url", url)


@pytest.mark.parametrize("option", ["--token", "--token-file"])
def test_a_token_without_a_url_is_rejected(doctor: Doctor, option: str):
    with pytest.raises(CommandError, match="need --url"):
        doctor(option, "anything")


@pytest.mark.parametrize(
    ("declared", "level", "code"),
    [
        ({"STORE_DIR": None}, "error", 0),
        ({"STORE_DIR": None}, "warning", 1),
        ({"ENABLED": False}, "warning", 1),
        ({"ENABLED": False}, "error", 1),
    ],
)
def test_the_exit_status_is_1_from_the_fail_level_on(
    doctor: Doctor, declared: dict[str, object], level: str, code: int
):
    with override_settings(TACHIKOMA_METRICS=declared):
        assert doctor("--fail-level", level)[0] == code


def test_without_warnings_the_exit_status_is_0(doctor: Doctor, served: Serve):
    url = served(METRICS.encode())

    assert doctor("--fail-level", "warning", "--url", url)[0] == 0


def test_the_exit_status_is_1_for_an_error_by_default(doctor: Doctor):
    with override_settings(TACHIKOMA_METRICS={"STORE_DIR": None}):
        assert doctor()[0] == 0
    with override_settings(TACHIKOMA_METRICS={"NAMESPACE": "no good"}):
        assert doctor()[0] == 1


def test_json_is_a_list_of_findings(capsys: pytest.CaptureFixture[str]):
    call_command("metrics_doctor", "--json")

    findings = json.loads(capsys.readouterr().out)
    assert isinstance(findings, list)
    assert all([*one] == ["check", "status", "message", "hint"] for one in findings)
    assert {one["status"] for one in findings} <= {"ok", "warning", "error"}
    assert {one["check"] for one in findings} <= set(CHECKS)
