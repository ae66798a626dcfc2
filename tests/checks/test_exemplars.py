"""What ``EXEMPLARS`` may name."""

from __future__ import annotations

import pytest
from django.test import override_settings

from tests.checks.messages import message
from tests.conftest import found


@pytest.mark.parametrize("value", [None, "auto", "tests.tracing.callables.exemplar"])
def test_any_callable_without_arguments_is_a_source(value: str | None):
    with override_settings(TACHIKOMA_METRICS={"EXEMPLARS": value}):
        assert found() == {}


@pytest.mark.parametrize(
    ("name", "trouble"),
    [
        ("nothing", "cannot be imported"),
        ("calls", "is not callable"),
        ("coroutine", "is a coroutine function"),
        ("with_argument", "cannot be called without arguments: missing a required argument"),
    ],
)
def test_another_one_is_an_error(name: str, trouble: str):
    path = f"tests.tracing.callables.{name}"
    reported = message("E161", {"EXEMPLARS": path})

    assert f"'{path}' in EXEMPLARS {trouble}" in reported.msg
    assert '"EXEMPLARS": "auto"' in (reported.hint or "")
    assert reported.is_serious()
