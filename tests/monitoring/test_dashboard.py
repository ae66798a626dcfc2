"""The dashboard that ``metrics_dashboard`` generates."""

from __future__ import annotations

import io
import json
import re

from django.core.management import call_command
from django.test import override_settings

from tachikoma_metrics import catalogue
from tests.monitoring.generated import (
    EVERYTHING,
    dashboard,
    expressions,
    panels,
    written,
)
from tests.promql import series


def test_every_metric_is_on_the_dashboard():
    shown = " ".join(expressions(dashboard(**EVERYTHING)))

    missing = [name for name in catalogue.FAMILIES if not re.search(rf"\b{name}(_|\b)", shown)]
    # The variables query the first; the second has an alert.
    assert missing == ["tachikoma_metrics_info", "tachikoma_metrics_overflow_total"]


def test_every_panel_says_what_it_shows():
    for panel in panels(dashboard(**EVERYTHING)):
        assert panel["title"]
        assert panel["description"].endswith(".")


def test_the_rows_are_in_order():
    rows = [panel["title"] for panel in dashboard(**EVERYTHING)["panels"] if panel["type"] == "row"]

    assert rows == [
        "Overview",
        "HTTP",
        "Database",
        "Cache",
        "WebSocket",
        "Tasks",
        "Commands",
        "Executions and tokens",
        "Backends",
        "Business",
        "Process and measuring",
    ]


def test_panels_do_not_overlap():
    board = dashboard(**EVERYTHING)
    groups = [row["panels"] for row in board["panels"] if row["type"] == "row"]
    for group in [board["panels"], *groups]:
        taken: set[tuple[int, int]] = set()
        for panel in group:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken
            assert max(x for x, _ in cells) < 24
            taken |= cells


def test_ids_are_unique():
    board = dashboard(**EVERYTHING)
    rows = [panel for panel in board["panels"] if panel["type"] == "row"]
    ids = [panel["id"] for panel in [*panels(board), *rows]]

    assert len(ids) == len(set(ids))


def test_every_query_is_filtered_by_job_and_instance():
    selectors = [
        one for expression in expressions(dashboard(**EVERYTHING)) for one in series(expression)
    ]

    assert len(selectors) > 80
    for name, labels in selectors:
        assert {"job", "instance"} <= labels, name


def test_data_source_job_and_instance_are_variables():
    variables = dashboard()["templating"]["list"]

    assert [variable["name"] for variable in variables] == ["datasource", "job", "instance"]
    job, instance = (variable["query"]["query"] for variable in variables[1:])
    assert job == "label_values(tachikoma_metrics_info, job)"
    assert instance == 'label_values(tachikoma_metrics_info{job=~"$job"}, instance)'


def test_without_the_info_metric_another_lists_the_jobs():
    variables = dashboard(DISABLED_METRICS=["tachikoma_metrics_info"])["templating"]["list"]

    query = variables[1]["query"]["query"]
    assert query == "label_values(tachikoma_metrics_processes, job)"


def test_all_jobs_are_those_that_are_instrumented():
    variables = {one["name"]: one for one in dashboard()["templating"]["list"]}

    assert "allValue" not in variables["job"]
    assert variables["instance"]["allValue"] == ".*"


def test_the_namespace_is_that_of_the_settings():
    shown = " ".join(expressions(dashboard(NAMESPACE="shop")))

    assert "shop_http_requests_total{" in shown
    assert not re.search(r"(?<!shop_)http_request", shown)
    assert " tachikoma_metrics_processes{" in shown or "(tachikoma_metrics_processes{" in shown


def test_a_dropped_label_is_not_queried():
    board = dashboard(LABELS={"http_requests_total": ["method", "status"]})
    routes = next(panel for panel in panels(board) if panel["title"] == "Requests by route")

    (target,) = routes["targets"]
    assert target["expr"].startswith("sum by (method) (rate(http_requests_total{")
    assert target["legendFormat"] == "{{method}}"


def test_the_view_replaces_a_dropped_path():
    board = dashboard(LABELS={"http_requests_total": ["method", "view", "status"]})
    routes = next(panel for panel in panels(board) if panel["title"] == "Requests by route")

    (target,) = routes["targets"]
    assert target["expr"].startswith("sum by (method, view) (")
    assert target["legendFormat"] == "{{method}} {{view}}"


def test_a_panel_that_needs_a_dropped_label_is_left_out_with_a_message():
    output, messages = io.StringIO(), io.StringIO()
    settings = {"LABELS": {"http_requests_total": ["method", "path"]}}
    with override_settings(TACHIKOMA_METRICS=settings):
        call_command("metrics_dashboard", verbosity=2, stdout=output, stderr=messages)

    assert "Failed requests by route" not in output.getvalue()
    assert (
        "Left out: HTTP: Failed requests by route: `http_requests_total` has no label `status`."
    ) in messages.getvalue()


def test_metrics_that_are_switched_off_have_no_panel():
    backends = [name for name in catalogue.FAMILIES if name.startswith("backend_")]
    board = dashboard(DISABLED_METRICS=[*backends, "cache_size"])

    titles = {panel["title"] for panel in board["panels"]}
    assert "Backends" not in titles
    assert "Cache" in titles
    assert "cache_size" not in " ".join(expressions(board))


def test_a_label_that_the_settings_add_has_a_panel():
    added = {"db_queries_total": ["operation", "table", "alias"]}
    board = dashboard(LABELS=added)

    panel = next(
        one for one in panels(board) if one["title"] == "Database queries executed by alias"
    )
    assert panel["targets"][0]["expr"].startswith("sum by (alias) (rate(db_queries_total{")


def test_business_metrics_of_the_settings_have_a_panel():
    counted = {
        "open_tickets": {"model": "missions.Spec", "labels": {"state": "status"}, "help": "Open."},
        "tickets_sum": {"model": "missions.Spec"},
    }
    board = dashboard(NAMESPACE="shop", BUSINESS_METRICS=counted)

    found = {panel["title"]: panel for panel in panels(board)}
    by_state = found["open_tickets"]["targets"][0]
    chosen = 'job=~"$job",instance=~"$instance"'
    assert by_state["expr"] == f'max by (job, state) ({{{chosen},__name__="open_tickets"}})'
    assert by_state["legendFormat"] == "{{job}} {{state}}"
    assert found["open_tickets"]["description"] == "Open."
    total = f'max by (job) ({{{chosen},__name__="tickets_sum"}})'
    assert found["tickets_sum"]["targets"][0]["expr"] == total
    assert "Missions" not in found


def test_a_global_label_is_a_variable_like_the_job():
    board = dashboard(GLOBAL_LABELS={"region": "north", "job": "shop"})

    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names == ["datasource", "job", "region", "instance"]
    # The metrics that Prometheus adds for a target have no global labels.
    without = [one for one in expressions(board) if 'region=~"$region"' not in one]
    assert without == ['sum(up{job=~"$job",instance=~"$instance"})']


def test_process_metrics_that_are_switched_off_have_no_panel():
    shown = " ".join(expressions(dashboard(INCLUDE_PROCESS_METRICS=False)))

    assert "process_cpu" not in shown
    assert "tachikoma_metrics_processes" in shown


def test_the_title_is_an_option():
    assert json.loads(written("metrics_dashboard", "--title", "Shop"))["title"] == "Shop"


def test_durations_are_shown_with_their_exemplars_if_there_are_any():
    targets = [
        target for panel in panels(dashboard(EXEMPLARS="auto")) for target in panel["targets"]
    ]
    shown = [target["expr"] for target in targets if target.get("exemplar")]

    assert shown
    assert all("_duration_seconds_bucket" in expression for expression in shown)
    assert not any("db_query_duration_seconds" in expression for expression in shown)
    before = [target for panel in panels(dashboard()) for target in panel["targets"]]
    assert not any("exemplar" in target for target in before)
