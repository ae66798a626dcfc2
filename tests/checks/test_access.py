"""Networks, tokens and permissions."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import override_settings

from tachikoma_metrics import checks
from tests.checks.messages import message
from tests.conftest import found


@pytest.mark.parametrize("path", ["tenant", "of_any", "Plain", "given_another", "curried"])
def test_any_callable_of_the_request_is_a_permission(path: str):
    with override_settings(TACHIKOMA_METRICS={"PERMISSION": f"tests.views.{path}"}):
        assert found() == {}


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_file_without_tokens_is_a_warning(tmp_path: Path, content: bytes | None):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)

    reported = message("W021", {"TOKENS": [f"file:{file}"]})

    assert str(file) in reported.msg
    assert "readable" in (reported.hint or "")


def test_the_path_of_a_file_without_its_prefix_is_a_warning(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("s3cr3t-token-00000000\n", encoding="utf-8")

    reported = message("W021", {"TOKENS": [str(file)]})

    assert f"{str(file)!r} lacks 'file:' before the path" in reported.msg
    assert "file:/run/secrets/metrics" in (reported.hint or "")


@pytest.mark.parametrize(
    "token", [" spaced-token-00000000", "two words-00000000000", "tökén-of-umlauts-000", "a\tb" * 9]
)
def test_a_token_that_cannot_be_sent_is_a_warning_and_not_shown(token: str):
    reported = message("W022", {"TOKENS": [token, "one-that-is-fine-0000000"]})

    assert "1 of 2" in reported.msg
    assert token not in f"{reported.msg} {reported.hint}"


def test_tokens_in_a_file_are_checked_too(tmp_path: Path):
    (tmp_path / "token").write_text("tökén-of-umlauts-000\n", encoding="utf-8")

    assert "1 of 1" in message("W022", {"TOKENS": [f"file:{tmp_path}/token"]}).msg


@pytest.mark.parametrize(
    "token", ["s3cr3t-token-00000000", "a.b_c~d+e/f==0000000000", "a!b#c:d$ef0000"]
)
def test_a_token_that_can_be_sent_is_fine(token: str):
    with override_settings(TACHIKOMA_METRICS={"TOKENS": [token]}):
        assert found() == {}


@pytest.mark.parametrize(
    "networks",
    [
        ["*"],
        ["0.0.0.0/0"],
        ["::/0"],
        ["private", "0.0.0.0/0", "::/0"],
        ["0.0.0.0/1", "128.0.0.0/1"],
        ["2000::/3"],
        ["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/1"],
        ["unix:X-Forwarded-For", "0.0.0.0/0"],
    ],
)
def test_access_from_everywhere_is_a_warning_before_deployment(networks: list[str]):
    with override_settings(TACHIKOMA_METRICS={"ALLOWED_NETWORKS": networks}):
        assert [one.id for one in checks.access.check_endpoint_is_not_open()] == [
            "tachikoma_metrics.W012"
        ]


@pytest.mark.parametrize(
    "declared",
    [
        {"ALLOWED_NETWORKS": ["0.0.0.0/0"], "TOKENS": ["s3cr3t-token-00000000"]},
        {"ALLOWED_NETWORKS": ["private", "100.64.0.0/10", "8.0.0.0/8", "fc00::/7"]},
        {"ALLOWED_NETWORKS": ["unix:X-Forwarded-For"]},
        {"ALLOWED_NETWORKS": ["unix:X-Forwarded-For", "private", "10.1.0.0/16"]},
        {},
    ],
)
def test_limited_access_is_fine(declared: object):
    with override_settings(TACHIKOMA_METRICS=declared):
        assert checks.access.check_endpoint_is_not_open() == []
