"""The rules that ``metrics_rules`` generates."""

from __future__ import annotations

import json
import re

import pytest
from django.core.management import CommandError

from tachikoma_metrics import conf, monitoring
from tachikoma_metrics.monitoring.alerts import alerts
from tachikoma_metrics.monitoring.objectives import Objectives
from tests.monitoring.generated import (
    COUNTED,
    EVERYTHING,
    dashboard,
    panels,
    rule,
    rules,
    written,
)


def test_the_rules_are_in_the_names_of_the_settings():
    settings = {"NAMESPACE": "shop", "GLOBAL_LABELS": {"region": "north"}}

    said = rule("job:shop_http_requests:rate5m", **settings)["expr"]

    of_ours = "\nand on (job) tachikoma_metrics_info"
    assert said == f"sum by (job, region) (rate(shop_http_requests_total[5m])){of_ours}"


def test_the_error_budget_burns_at_four_speeds():
    burns = [one for one in rules() if one.get("alert") == "DjangoErrorBudgetBurn"]

    said = [(one["labels"]["window"], one["labels"]["severity"]) for one in burns]
    assert said == [("1h", "page"), ("6h", "page"), ("1d", "ticket"), ("3d", "ticket")]
    assert "14.4 * 0.001\n" in burns[0]["expr"]


def test_the_objective_is_the_users():
    burn = rule("DjangoErrorBudgetBurn", "--objective", "99.5")

    assert "> 14.4 * 0.005\n" in burn["expr"]


def test_a_slow_request_is_in_a_bucket_that_exists():
    said = rule("DjangoRequestsSlow", "--slow-after", "0.4", LATENCY_BUCKETS=[0.1, 0.75, 3])

    assert 'le="0.75"' in said["expr"]
    assert "longer than 0.75 s" in said["annotations"]["summary"]


def test_without_such_a_bucket_it_is_the_highest():
    assert 'le="0.5"' in rule("DjangoRequestsSlow", LATENCY_BUCKETS=[0.1, 0.5])["expr"]


def test_rules_of_two_namespaces_record_under_two_names():
    recorded = [
        {one["record"] for one in rules(NAMESPACE=name) if "record" in one} for name in ("a", "b")
    ]

    assert recorded[0] & recorded[1] == set()


def test_a_rule_whose_name_tells_a_label_is_left_out_without_it():
    without = {"LABELS": {"http_requests_total": ["method", "view", "status"]}}
    recorded = {one.get("record") for one in rules(**without)}

    assert "job:http_requests:rate5m" in recorded
    assert "job_path_status:http_requests:rate5m" not in recorded


def test_rules_may_be_about_one_job():
    for one in rules("--job", "shop", **EVERYTHING):
        assert 'job="shop"' in one["expr"]
    assert 'job="a\\"b"' in rule("DjangoMetricsFaults", "--job", 'a"b')["expr"]


def test_an_alert_about_what_is_not_measured_is_left_out():
    names = {one.get("alert") for one in rules(DISABLED_METRICS=["backend_errors_total"])}

    assert "DjangoBackendErrors" not in names
    assert "DjangoBusinessCountsStale" not in names
    assert "DjangoErrorBudgetBurn" in names


def test_what_reads_a_rule_that_is_left_out_is_left_out_too():
    made, left_out = monitoring.rule_file(conf.read({"DISABLED_METRICS": ["http_requests_total"]}))

    said = json.dumps(made)
    assert "job:http_requests:rate5m" not in said
    assert "DjangoErrorBudgetBurn" not in said
    assert "job:http_requests:rate5m: `http_requests_total` is not measured." in left_out
    count = "job:http_request_errors:increase1h"
    assert f"DjangoErrorBudgetBurn: `{count}` is left out." in left_out


def test_counts_are_stale_before_they_are_dropped():
    settings = {"BUSINESS_METRICS": COUNTED, "BUSINESS_INTERVAL": 600, "BUSINESS_MAX_AGE": 900}

    assert rule("DjangoBusinessCountsStale", **settings)["expr"].endswith("> 750")


def test_every_alert_leads_to_its_runbook():
    for one in rules("--runbooks", "https://example.org/runbook", **EVERYTHING):
        if "alert" in one:
            url = f"https://example.org/runbook#{one['alert'].lower()}"
            assert one["annotations"]["runbook_url"] == url


def test_every_runbook_says_what_it_means_and_what_to_do():
    for alert in alerts(conf.read({}), Objectives()):
        assert alert.runbook.meaning.endswith(".")
        assert alert.runbook.steps


def test_every_panel_that_a_runbook_names_is_on_the_dashboard():
    board = dashboard(**EVERYTHING)
    titles = {panel["title"] for panel in panels(board)}
    texts = [step for alert in alerts(conf.read({}), Objectives()) for step in alert.runbook.steps]
    named = {name for text in texts for name in re.findall(r"\*([A-Z][^*]+)\*", text)}

    # That one is a page of Prometheus.
    assert len(named) > 5
    assert named - titles == {"Status, Targets"}


def test_every_rule_that_is_read_is_recorded():
    made = rules(**EVERYTHING)
    recorded = {one["record"] for one in made if "record" in one}

    read = {name for one in made for name in re.findall(r"\bjob\w*:\w+:\w+", one["expr"])}
    assert read <= recorded


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--objective", "100", "less than 100, such as 99.9; got 100."),
        ("--objective", "nan", "such as 99.9; got nan."),
        ("--objective", "90", "at least 95 and less than 100"),
        ("--slow-after", "0", "a positive number of seconds; got 0."),
        ("--connections", "0", "at least 1; got 0."),
    ],
)
def test_an_objective_that_makes_no_sense_is_refused(option: str, value: str, told: str):
    with pytest.raises(CommandError, match=re.escape(told)):
        written("metrics_rules", option, value)
