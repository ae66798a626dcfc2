"""The rules for the metrics of views that ``metrics_rules --views`` generates."""

from __future__ import annotations

import re

import pytest
from django.core.management import CommandError
from django.test import override_settings

from tachikoma_metrics import conf, monitoring
from tachikoma_metrics.catalogue.views import VIEWS
from tests.monitoring.generated import rule, rules, written

EVERY_LABEL = {
    "LABELS": {
        "http_requests_total": ["method", "path", "status", "view", "scheme"],
        "http_request_duration_seconds": ["method", "view", "path", "status", "scheme"],
        "http_exceptions_total": ["exception", "view"],
        "db_queries_total": ["alias", "operation", "table"],
        "db_query_duration_seconds": ["alias", "operation"],
        "db_errors_total": ["error_type", "alias"],
        "db_connections_opened_total": ["alias"],
        "db_connection_errors_total": ["alias"],
        "cache_hits_total": ["cache"],
        "cache_misses_total": ["cache"],
        "cache_errors_total": ["operation", "cache"],
    },
    "EXTRA_METRICS": [
        "http_responses_by_template_total",
        "migrations_applied",
        "migrations_unapplied",
    ],
}

INCUMBENT = ("--views", "django-prometheus")


def recorded(*arguments: str, **settings: object) -> set[str]:
    return {one["record"] for one in rules(*arguments, **settings)}


def left_out(view: str, **settings: object) -> dict[str, str]:
    """Return the reasons by the metric that is left out."""
    _, reasons = monitoring.view_rule_file(conf.read(settings), [view])
    return dict(reason.split(": ", 1) for reason in reasons)


def test_with_every_label_all_metrics_of_the_views_are_recorded():
    for name, view in VIEWS.items():
        found = recorded("--views", name, **EVERY_LABEL)

        stems = {re.sub("_(bucket|sum|count)$", "", one) for one in found}
        assert stems == {metric.name for metric in view.metrics}
        assert set(left_out(name, **EVERY_LABEL)) >= set(view.missing)


def test_only_the_rules_of_the_view_are_written():
    assert not any(":" in name for name in recorded(*INCUMBENT))
    assert all("record" in one for one in rules(*INCUMBENT))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--views", "opentelemetry,django-prometheus"),
        ("--views", "opentelemetry", "--views", "django-prometheus"),
    ],
)
def test_several_views_may_be_named(arguments: tuple[str, ...]):
    found = recorded(*arguments, **EVERY_LABEL)

    assert {"http_server_request_duration_seconds_count", "django_db_execute_total"} <= found


def test_the_labels_of_the_target_are_kept_and_others_summed():
    found = rule("django_http_requests_total_by_method_total", *INCUMBENT)["expr"]

    assert found == (
        "sum without (path, status) (\n"
        '  label_replace(http_requests_total, "method", "<invalid method>", "method", "other")\n'
        ")\n"
        "and on (job) tachikoma_metrics_info"
    )


def test_both_namespaces_are_honoured():
    with override_settings(PROMETHEUS_METRIC_NAMESPACE="old"):
        found = rule("old_django_http_requests_before_middlewares_total", *INCUMBENT, NAMESPACE="n")

    assert "n_http_requests_total" in found["expr"]


def test_a_label_of_the_project_is_kept():
    settings = {
        "EXTRA_LABELS": {"plan": "tests.views.hello"},
        "LABELS": {"http_requests_total": ["method", "status", "plan"]},
    }
    found = rule("django_http_requests_total_by_method_total", *INCUMBENT, **settings)["expr"]

    assert found.startswith("sum without (status) (")


def test_a_metric_without_its_label_is_left_out_and_says_what_adds_it():
    settings = {"LABELS": {"http_requests_total": ["method"]}}
    found = left_out("django-prometheus", **settings)

    assert found["django_http_responses_total_by_status_total"] == (
        '`http_requests_total` has no label `status`: LABELS needs "http_requests_total": '
        '["method", "scheme", "view", "status"].'
    )
    assert "django_http_responses_total_by_status_total" not in recorded(*INCUMBENT, **settings)


def test_a_metric_whose_source_is_off_is_left_out():
    found = left_out("django-prometheus", DISABLED_METRICS=["http_request_size_bytes"])

    assert found["django_http_requests_body_total_bytes"] == (
        "`http_request_size_bytes` is not measured."
    )
    assert found["django_migrations_applied_total"] == (
        '`migrations_applied` is not measured: EXTRA_METRICS needs "migrations_applied".'
    )


def test_bounds_that_the_source_lacks_are_left_out_alone():
    name = "django_http_requests_latency_including_middlewares_seconds_bucket"
    settings = {"LATENCY_BUCKETS": [0.001, 0.01, 0.025, 75]}

    assert (
        '{le=~"0\\\\.01|0\\\\.025|75\\\\.0|\\\\+Inf"}' in rule(name, *INCUMBENT, **settings)["expr"]
    )
    assert "the bounds 0.05, 0.075" in left_out("django-prometheus", **settings)[name]


def test_bounds_of_the_settings_of_django_prometheus_are_those_recorded():
    name = "django_http_requests_latency_including_middlewares_seconds_bucket"
    with override_settings(PROMETHEUS_LATENCY_BUCKETS=(0.1, 1, float("inf"))):
        found = rule(name, *INCUMBENT, LATENCY_BUCKETS=[0.1, 1])["expr"]
        reasons = left_out("django-prometheus", LATENCY_BUCKETS=[0.1, 1])

    assert "le=" not in found
    assert name not in reasons


def test_what_cannot_be_derived_at_all_is_among_what_is_left_out():
    reasons = left_out("django-prometheus")

    assert set(VIEWS["django-prometheus"].missing) <= set(reasons)


def test_rules_of_views_may_be_restricted_to_one_job():
    for one in rules(*INCUMBENT, "--job", "shop", **EVERY_LABEL):
        assert one["expr"].count('job="shop"') >= 1
        assert "_total)" not in one["expr"]


def test_an_unknown_view_is_rejected():
    with pytest.raises(CommandError, match="Did you mean 'django-prometheus'"):
        written("metrics_rules", "--views", "django_prometheus")


def test_a_view_that_is_on_the_endpoint_is_rejected():
    with pytest.raises(CommandError, match=r"VIEWS has 'django-prometheus'.*record them twice"):
        written("metrics_rules", *INCUMBENT, VIEWS=["django-prometheus"])
