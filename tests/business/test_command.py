"""The command ``refresh_business_metrics``."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from tachikoma_metrics.models import BusinessSnapshot
from tests.business.declarations import MISSIONS, SPECS, Declare
from tests.business.recorded import create_specs

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("path", "labels", "message"),
    [
        ("answer", ["x"], "a dictionary with a number for each value of `x`; it returned 42."),
        ("numbers", ["x"], "each value of `x`; it returned a dictionary with the key ('a', True)."),
        ("answer", ["x", "y"], "for each tuple of values of `x`, `y`; it returned 42."),
        ("numbers", [], "a number, as the metric is declared without `labels`; it returned a"),
        ("nonsense", [], "A count must be a number; got 'many'."),
        ("nothing", [], "A count must be a number; got None."),
    ],
)
def test_a_callable_that_returns_another_type_is_explained(
    declare: Declare,
    capsys: pytest.CaptureFixture[str],
    path: str,
    labels: list[str],
    message: str,
):
    declare({"bad": {"callable": f"tests.business.callables.{path}", "labels": labels}})
    with pytest.raises(CommandError):
        call_command("refresh_business_metrics", "--no-color")

    assert message in capsys.readouterr().err


def test_the_command_prints_the_values(declare: Declare, capsys: pytest.CaptureFixture[str]):
    declare({**MISSIONS, **SPECS})
    create_specs(done=2)
    call_command("refresh_business_metrics")

    lines = capsys.readouterr().out.splitlines()
    assert "missions_total 1" in lines
    assert 'specs_total{status="done"} 2' in lines


def test_the_command_fails_if_a_metric_cannot_be_counted(
    declare: Declare, capsys: pytest.CaptureFixture[str]
):
    declare({"bad": {"callable": "tests.business.callables.raises"}, **MISSIONS})
    with pytest.raises(CommandError, match="1 could not be counted"):
        call_command("refresh_business_metrics")

    assert "bad: out of order" in capsys.readouterr().err


def test_the_command_can_count_without_storing(
    declare: Declare, capsys: pytest.CaptureFixture[str]
):
    declare(MISSIONS)
    call_command("refresh_business_metrics", "--dry-run")

    assert "missions_total 0" in capsys.readouterr().out
    assert not BusinessSnapshot.objects.exists()


def test_the_command_rejects_an_interval_longer_than_the_maximum_age(declare: Declare):
    declare(MISSIONS, BUSINESS_INTERVAL=1)
    with pytest.raises(CommandError, match="BUSINESS_MAX_AGE"):
        call_command("refresh_business_metrics", "--every", "11")


def test_the_command_fails_without_declarations():
    with pytest.raises(CommandError, match="BUSINESS_METRICS"):
        call_command("refresh_business_metrics")
