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


def test_the_rules_use_the_names_of_the_settings():
    settings = {"NAMESPACE": "shop", "GLOBAL_LABELS": {"region": "north"}}

    found = rule("job:shop_http_requests:rate5m", **settings)["expr"]

    restriction = "\nand on (job) tachikoma_metrics_info"
    assert found == f"sum by (job, region) (rate(shop_http_requests_total[5m])){restriction}"


def test_the_error_budget_has_four_burn_rates():
    burns = [one for one in rules() if one.get("alert") == "DjangoErrorBudgetBurn"]

    severities = [(one["labels"]["window"], one["labels"]["severity"]) for one in burns]
    assert severities == [("1h", "page"), ("6h", "page"), ("1d", "ticket"), ("3d", "ticket")]
    assert "14.4 * 0.001\n" in burns[0]["expr"]


def test_the_objective_is_an_option():
    burn = rule("DjangoErrorBudgetBurn", "--objective", "99.5")

    assert "> 14.4 * 0.005\n" in burn["expr"]


def test_the_limit_of_slow_requests_is_the_bound_of_a_bucket():
    found = rule("DjangoRequestsSlow", "--slow-after", "0.4", LATENCY_BUCKETS=[0.1, 0.75, 3])

    assert 'le="0.75"' in found["expr"]
    assert "longer than 0.75 s" in found["annotations"]["summary"]


def test_the_limit_of_the_queue_wait_is_the_bound_of_a_bucket():
    assert 'le="120.0"' in rule("DjangoTasksWaiting", "--queue-wait", "90")["expr"]


def test_a_command_that_is_named_has_an_alert():
    named = ("--command", "clearsessions=90000", "--command", "migrate=3600")
    found = [
        one
        for one in rules(*named, COMMANDS=["clearsessions", "migrate"])
        if one.get("alert") == "DjangoCommandOverdue"
    ]

    assert [one["labels"]["command"] for one in found] == ["clearsessions", "migrate"]
    assert '{command="clearsessions"}[176400s])) > 90000\n' in found[0]["expr"]
    assert "DjangoCommandOverdue" not in {one.get("alert") for one in rules(COMMANDS=["*"])}


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("migrate=3600", "`COMMANDS` does not name 'migrate'"),
        ("nonexistent=3600", "a command of this project; got nonexistent"),
        ("clearsessions", "like clearsessions=90000; got clearsessions."),
        ("clearsessions=often", "like clearsessions=90000; got clearsessions=often."),
        ("clearsessions=5", "at least 60 seconds, such as clearsessions=90000; got"),
        ("clearsessions=inf", "at least 60 seconds"),
    ],
)
def test_a_command_that_cannot_be_watched_is_rejected(named: str, message: str):
    with pytest.raises(CommandError, match=re.escape(message)):
        written("metrics_rules", "--command", named, COMMANDS=["clearsessions"])


def test_without_a_bucket_above_the_limit_it_is_the_highest_bound():
    assert 'le="0.5"' in rule("DjangoRequestsSlow", LATENCY_BUCKETS=[0.1, 0.5])["expr"]


def test_rules_of_two_namespaces_do_not_collide():
    recorded = [
        {one["record"] for one in rules(NAMESPACE=name) if "record" in one} for name in ("a", "b")
    ]

    assert recorded[0] & recorded[1] == set()


def test_a_rule_with_a_label_in_its_name_is_left_out_without_the_label():
    without = {"LABELS": {"http_requests_total": ["method", "view", "status"]}}
    recorded = {one.get("record") for one in rules(**without)}

    assert "job:http_requests:rate5m" in recorded
    assert "job_path_status:http_requests:rate5m" not in recorded


def test_rules_may_be_restricted_to_one_job():
    for one in rules("--job", "shop", **EVERYTHING):
        assert 'job="shop"' in one["expr"]
    assert 'job="a\\"b"' in rule("DjangoMetricsFaults", "--job", 'a"b')["expr"]


def test_an_alert_about_a_metric_that_is_off_is_left_out():
    names = {one.get("alert") for one in rules(DISABLED_METRICS=["backend_errors_total"])}

    assert "DjangoBackendErrors" not in names
    assert "DjangoBusinessCountsStale" not in names
    assert "DjangoErrorBudgetBurn" in names


def test_an_alert_that_uses_a_rule_that_is_left_out_is_left_out_too():
    made, left_out = monitoring.rule_file(conf.read({"DISABLED_METRICS": ["http_requests_total"]}))

    text = json.dumps(made)
    assert "job:http_requests:rate5m" not in text
    assert "DjangoErrorBudgetBurn" not in text
    assert "job:http_requests:rate5m: `http_requests_total` is not measured." in left_out
    count = "job:http_request_errors:increase1h"
    assert f"DjangoErrorBudgetBurn: `{count}` is left out." in left_out


def test_business_metrics_are_stale_before_they_are_removed():
    settings = {"BUSINESS_METRICS": COUNTED, "BUSINESS_INTERVAL": 600, "BUSINESS_MAX_AGE": 900}

    assert rule("DjangoBusinessCountsStale", **settings)["expr"].endswith("> 750")


def test_every_alert_has_the_url_of_its_runbook():
    for one in rules("--runbooks", "https://example.org/runbook", **EVERYTHING):
        if "alert" in one:
            url = f"https://example.org/runbook#{one['alert'].lower()}"
            assert one["annotations"]["runbook_url"] == url


def test_alerts_link_to_the_dashboard_if_its_url_is_given():
    for url, expected in [
        ("https://grafana.example.org/d/shop", "https://grafana.example.org/d/shop?var-job="),
        ("https://example.org/d/shop?orgId=1", "https://example.org/d/shop?orgId=1&var-job="),
    ]:
        found = rule("DjangoRequestsSlow", "--dashboard", url)["annotations"]["dashboard_url"]
        assert found == f"{expected}{{{{ $labels.job | urlquery }}}}"
    assert "dashboard_url" not in rule("DjangoRequestsSlow")["annotations"]


def test_severities_may_have_other_names():
    found = rules("--severities", "critical, warning", **EVERYTHING)
    usual = rules(**EVERYTHING)

    names = {"page": "critical", "ticket": "warning"}
    severities = [one["labels"]["severity"] for one in found if "alert" in one]
    assert severities == [names[one["labels"]["severity"]] for one in usual if "alert" in one]


@pytest.mark.parametrize("names", ["critical", "a,b,c", "critical,", ""])
def test_severities_are_two_names(names: str):
    with pytest.raises(CommandError, match="--severities should be two names"):
        written("metrics_rules", "--severities", names)


def test_every_runbook_has_a_meaning_and_steps():
    for alert in alerts(conf.read({}), Objectives()):
        assert alert.runbook.meaning.endswith(".")
        assert alert.runbook.steps


def test_every_panel_that_a_runbook_names_exists():
    board = dashboard(**EVERYTHING)
    titles = {panel["title"] for panel in panels(board)}
    texts = [step for alert in alerts(conf.read({}), Objectives()) for step in alert.runbook.steps]
    named = {name for text in texts for name in re.findall(r"\*([A-Z][^*]+)\*", text)}

    # The remaining name is a page of Prometheus.
    assert len(named) > 5
    assert named - titles == {"Status, Targets"}


def test_every_recorded_series_that_is_used_has_a_rule():
    made = rules(**EVERYTHING)
    recorded = {one["record"] for one in made if "record" in one}

    read = {name for one in made for name in re.findall(r"\bjob\w*:\w+:\w+", one["expr"])}
    assert read <= recorded


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--objective", "100", "less than 100, such as 99.9; got 100."),
        ("--objective", "nan", "such as 99.9; got nan."),
        ("--objective", "90", "at least 95 and less than 100"),
        ("--slow-after", "0", "a positive number of seconds; got 0."),
        ("--queue-wait", "0", "a positive number of seconds; got 0."),
        ("--connections", "0", "at least 1; got 0."),
    ],
)
def test_an_objective_out_of_range_is_rejected(option: str, value: str, message: str):
    with pytest.raises(CommandError, match=re.escape(message)):
        written("metrics_rules", option, value)
