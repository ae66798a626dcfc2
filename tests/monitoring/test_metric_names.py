"""The names of metrics, labels and jobs in expressions."""

from __future__ import annotations

import json
import re

import pytest

from tachikoma_metrics import METRICS, catalogue
from tachikoma_metrics.monitoring.metric_names import PROCESS_METRICS, PROMETHEUS_METRICS
from tests.monitoring.generated import (
    EVERYTHING,
    dashboard,
    expressions,
    panels,
    rule,
    rules,
)
from tests.promql import series

WORDS = [
    *("sum", "by", "or", "rate", "time", "bool", "count", "vector"),
    *("job", "instance", "le", "status", "path", "service", "up", "x_bucket"),
]


@pytest.mark.parametrize("word", WORDS)
def test_business_metrics_may_have_the_name_of_a_keyword(word: str):
    counted = {word: {"model": "missions.Spec", "labels": {word: "status"}}}

    everywhere = [
        *expressions(dashboard(BUSINESS_METRICS=counted)),
        *(one["expr"] for one in rules("--job", word, BUSINESS_METRICS=counted)),
    ]

    # `series` raises for invalid PromQL.
    selectors = [one for expression in everywhere for one in series(expression)]
    label = f"exported_{word}" if word in ("job", "instance") else word
    assert ("", frozenset({"job", "instance", label})) in selectors


@pytest.mark.parametrize(
    "job", ["up", "a\nb", 'a}"b\\', "by (x)", "job:a:b", "http_requests_total"]
)
def test_a_job_may_have_any_name(job: str):
    for one in rules("--job", job):
        assert series(one["expr"])


def test_a_label_that_one_of_two_metrics_lacks_is_removed_from_both():
    expression = rule("DjangoBackendErrors", LABELS={"backend_requests_total": ["endpoint"]})[
        "expr"
    ]

    assert "sum by (job) (increase(backend_errors_total[1h]))" in expression
    assert "backend)" not in expression


def test_a_custom_label_may_have_any_name():
    settings = {
        "EXTRA_LABELS": {"service": "tests.views.tenant"},
        "LABELS": {"http_requests_total": ["service", "status"]},
        "GLOBAL_LABELS": {"up": "x", "datasource": "y"},
    }
    board = dashboard(**settings)

    (panel,) = (one for one in panels(board) if one["title"].endswith("by service"))
    assert panel["targets"][0]["expr"].startswith("sum by (service) (rate(http_requests_total{")
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names == ["datasource", "job", "up", "instance"]
    assert all(series(one["expr"]) for one in rules(**settings))


ANYWHERE = {"job", "instance", "le"}


def labels_by_series() -> dict[str, set[str]]:
    """Return the labels of every series there can be, by its name."""
    known = {
        name: set(labels) for name, labels in {**PROCESS_METRICS, **PROMETHEUS_METRICS}.items()
    }
    for name, family in catalogue.FAMILIES.items():
        suffixes = ("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)
        known |= {name + suffix: set(family.label_names) for suffix in suffixes}
    return known


def test_every_metric_and_label_in_an_expression_is_in_the_catalogue():
    known = labels_by_series()
    made = rules(**EVERYTHING)
    recorded = {one["record"] for one in made if "record" in one}
    named = [
        (expression, name, labels)
        for expression in [*expressions(dashboard(**EVERYTHING)), *(one["expr"] for one in made)]
        for name, labels in series(expression)
        if name not in recorded
    ]

    assert len(named) > 100
    for expression, name, labels in named:
        assert name in known, expression
        assert labels <= known[name] | ANYWHERE, expression


def test_every_label_in_an_annotation_is_in_the_expression():
    for one in rules(**EVERYTHING):
        named = set(re.findall(r"\$labels\.(\w+)", json.dumps(one.get("annotations", ""))))
        available = {"job"}.union(*(labels for _, labels in series(one["expr"])))
        assert named <= available


def test_the_process_metrics_are_those_of_prometheus_client():
    text = METRICS.encode()

    for name in PROCESS_METRICS:
        assert f"\n# TYPE {name} " in text
