"""Panels and rules about native histograms."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from tachikoma_metrics import conf, monitoring
from tests.monitoring.generated import EVERYTHING, panels, rule, rules, written
from tests.monitoring.generated import dashboard as classic_dashboard
from tests.promql import series

NATIVE = {**EVERYTHING, "NATIVE_HISTOGRAMS": True}


def dashboard(**settings: object) -> dict[str, object]:
    made, _ = monitoring.dashboard(conf.read(settings), is_native=True)
    return made


def targets(**settings: object) -> list[dict[str, str]]:
    return [target for panel in panels(dashboard(**settings)) for target in panel["targets"]]


def expressions(**settings: object) -> list[str]:
    in_rules = [one["expr"] for one in rules("--native", **settings)]
    return [target["expr"] for target in targets(**settings)] + in_rules


def test_nothing_reads_series_that_a_native_histogram_does_not_have():
    found = [one for expression in expressions(**NATIVE) for one in series(expression)]

    assert len(found) > 100
    assert not [name for name, _ in found if name.endswith(("_bucket", "_sum", "_count"))]
    assert not [name for name, labels in found if "le" in labels]


def test_no_panel_and_no_rule_is_missing():
    classic, native = classic_dashboard(**EVERYTHING), dashboard(**NATIVE)

    assert [one["title"] for one in panels(native)] == [one["title"] for one in panels(classic)]
    names = [one.get("alert") for one in rules("--native", **NATIVE)]
    assert names == [one.get("alert") for one in rules(**NATIVE)]


def test_without_the_option_nothing_changes():
    assert classic_dashboard(**NATIVE) == classic_dashboard(**EVERYTHING)
    assert rules(**NATIVE) == rules(**EVERYTHING)


def test_a_recorded_series_is_named_for_what_it_is():
    recorded = {one["record"] for one in rules("--native", NAMESPACE="shop") if "record" in one}

    assert "job_path:shop_http_request_duration_seconds:rate5m" in recorded
    slow = rule("DjangoTasksSlow", "--native", NAMESPACE="shop")["expr"]
    assert "avg_over_time(job_task:shop_task_run_duration_seconds:rate5m[1h])" in slow


def test_the_share_of_slow_requests_is_a_fraction():
    found = rule("DjangoRequestsSlow", "--native", "--slow-after", "0.4", NATIVE_HISTOGRAMS=True)

    below = (
        "histogram_fraction(0, 0.4, sum by (job) (increase(http_request_duration_seconds[10m])))"
    )
    assert found["expr"].startswith(f"1 - {below}\n> 0.05\nand ")
    assert "longer than 0.4 s" in found["annotations"]["summary"]


def test_a_converted_histogram_has_the_bounds_of_the_classic_one():
    found = rule("DjangoRequestsSlow", "--native", "--slow-after", "0.4")

    assert "histogram_fraction(0, 0.5, " in found["expr"]


def test_histograms_that_the_setting_does_not_name_are_queried_as_before():
    settings = {**EVERYTHING, "NATIVE_HISTOGRAMS": ["http_request_duration_seconds"]}
    shown = " ".join(expressions(**settings))

    assert "http_request_duration_seconds_bucket" not in shown
    assert "db_query_duration_seconds_bucket" in shown
    assert 'task_queue_wait_seconds_bucket{le="60.0"}' in shown


def test_the_heat_map_is_made_of_histograms():
    [panel] = [one for one in panels(dashboard(**NATIVE)) if one["type"] == "heatmap"]

    [target] = panel["targets"]
    assert target["expr"].startswith("sum(increase(http_request_duration_seconds{")
    assert (target["format"], target["legendFormat"]) == ("time_series", "__auto")


def test_durations_are_shown_with_their_exemplars():
    shown = [one["expr"] for one in targets(**NATIVE, EXEMPLARS="auto") if one.get("exemplar")]

    assert any(one.startswith("sum(increase(http_request_duration_seconds{") for one in shown)
    assert not any("db_query_duration_seconds" in one for one in shown)


def test_the_rules_of_a_view_need_classic_buckets():
    with pytest.raises(CommandError, match="--views cannot be combined with --native"):
        written("metrics_rules", "--native", "--views", "django-prometheus")


@pytest.mark.parametrize("command", ["metrics_rules", "metrics_dashboard"])
@pytest.mark.parametrize("setting", [True, False])
def test_a_remark_says_that_prometheus_has_to_convert(command: str, setting: bool):
    output, messages = io.StringIO(), io.StringIO()
    with override_settings(TACHIKOMA_METRICS={"NATIVE_HISTOGRAMS": setting}):
        call_command(command, "--native", stdout=output, stderr=messages)

    assert "histogram_quantile(0.95, " in output.getvalue()
    assert ("convert_classic_histograms_to_nhcb" in messages.getvalue()) is not setting
