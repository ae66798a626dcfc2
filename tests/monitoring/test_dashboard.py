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


def test_every_family_is_on_the_dashboard():
    shown = " ".join(expressions(dashboard(**EVERYTHING)))

    missing = [name for name in catalogue.FAMILIES if not re.search(rf"\b{name}(_|\b)", shown)]
    # The first is asked for the variables; overflow is an alert.
    assert missing == ["tachikoma_metrics_info", "tachikoma_metrics_overflow_total"]


def test_every_panel_says_what_it_shows():
    for panel in panels(dashboard(**EVERYTHING)):
        assert panel["title"]
        assert panel["description"].endswith(".")


def test_the_sections_are_in_order():
    rows = [panel["title"] for panel in dashboard(**EVERYTHING)["panels"] if panel["type"] == "row"]

    assert rows == [
        "Overview",
        "HTTP",
        "Database",
        "Cache",
        "WebSocket",
        "Executions and tokens",
        "Backends",
        "Business",
        "Process and measuring",
    ]


def test_panels_stand_side_by_side_and_never_on_each_other():
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


def test_every_series_is_of_the_job_and_instance_that_were_chosen():
    asked = [
        one for expression in expressions(dashboard(**EVERYTHING)) for one in series(expression)
    ]

    assert len(asked) > 80
    for name, labels in asked:
        assert {"job", "instance"} <= labels, name


def test_one_chooses_data_source_job_and_instance():
    variables = dashboard()["templating"]["list"]

    assert [variable["name"] for variable in variables] == ["datasource", "job", "instance"]
    job, instance = (variable["query"]["query"] for variable in variables[1:])
    assert job == "label_values(tachikoma_metrics_info, job)"
    assert instance == 'label_values(tachikoma_metrics_info{job=~"$job"}, instance)'


def test_without_the_family_that_tells_the_services_another_does():
    variables = dashboard(DISABLED_METRICS=["tachikoma_metrics_info"])["templating"]["list"]

    query = variables[1]["query"]["query"]
    assert query == "label_values(tachikoma_metrics_processes, job)"


def test_all_jobs_are_those_that_are_measured():
    variables = {one["name"]: one for one in dashboard()["templating"]["list"]}

    assert "allValue" not in variables["job"]
    assert variables["instance"]["allValue"] == ".*"


def test_the_namespace_is_that_of_the_settings():
    shown = " ".join(expressions(dashboard(NAMESPACE="shop")))

    assert "shop_http_requests_total{" in shown
    assert not re.search(r"(?<!shop_)http_request", shown)
    assert " tachikoma_metrics_processes{" in shown or "(tachikoma_metrics_processes{" in shown


def test_a_label_that_was_dropped_is_not_asked_for():
    board = dashboard(LABELS={"http_requests_total": ["method", "status"]})
    routes = next(panel for panel in panels(board) if panel["title"] == "Requests by route")

    (target,) = routes["targets"]
    assert target["expr"].startswith("sum by (method) (rate(http_requests_total{")
    assert target["legendFormat"] == "{{method}}"


def test_the_view_stands_in_for_the_path():
    board = dashboard(LABELS={"http_requests_total": ["method", "view", "status"]})
    routes = next(panel for panel in panels(board) if panel["title"] == "Requests by route")

    (target,) = routes["targets"]
    assert target["expr"].startswith("sum by (method, view) (")
    assert target["legendFormat"] == "{{method}} {{view}}"


def test_a_panel_that_needs_what_was_dropped_is_left_out_and_named():
    output, told = io.StringIO(), io.StringIO()
    settings = {"LABELS": {"http_requests_total": ["method", "path"]}}
    with override_settings(TACHIKOMA_METRICS=settings):
        call_command("metrics_dashboard", verbosity=2, stdout=output, stderr=told)

    assert "Failed requests by route" not in output.getvalue()
    assert (
        "Left out: HTTP: Failed requests by route: `http_requests_total` has no label `status`."
    ) in told.getvalue()


def test_families_that_are_switched_off_have_no_panel():
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


def test_business_counts_of_the_settings_have_a_panel():
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


def test_a_global_label_is_chosen_like_the_job():
    board = dashboard(GLOBAL_LABELS={"region": "north", "job": "ours"})

    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names == ["datasource", "job", "region", "instance"]
    # What Prometheus says of a target has none of the page's labels.
    without = [one for one in expressions(board) if 'region=~"$region"' not in one]
    assert without == ['sum(up{job=~"$job",instance=~"$instance"})']


def test_process_metrics_that_are_not_shown_have_no_panel():
    shown = " ".join(expressions(dashboard(INCLUDE_PROCESS_METRICS=False)))

    assert "process_cpu" not in shown
    assert "tachikoma_metrics_processes" in shown


def test_the_title_is_the_users():
    assert json.loads(written("metrics_dashboard", "--title", "Shop"))["title"] == "Shop"
