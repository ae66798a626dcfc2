"""The dashboard that ``metrics_dashboard`` generates."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from tachikoma_metrics import catalogue
from tests.monitoring.generated import (
    EVERYTHING,
    dashboard,
    expressions,
    panels,
    rules,
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
        "Service level objective",
        "HTTP",
        "Routes",
        "Saturation",
        "Database",
        "Cache",
        "WebSocket",
        "Tasks",
        "Commands",
        "LLM calls and tokens",
        "Upstream APIs",
        "Business",
        "Runtime",
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
        # Recorded series are sums over all instances.
        wanted = {"job"} if name.startswith("job:") else {"job", "instance"}
        assert wanted <= labels, name


def test_data_source_job_and_instance_are_variables():
    variables = dashboard()["templating"]["list"]

    assert [variable["name"] for variable in variables[:3]] == ["datasource", "job", "instance"]
    job, instance = (variable["query"]["query"] for variable in variables[1:3])
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
    assert target["expr"].startswith("topk(10, sum by (method) (rate(http_requests_total{")
    assert target["legendFormat"] == "{{method}}"


def test_the_view_replaces_a_dropped_path():
    board = dashboard(LABELS={"http_requests_total": ["method", "view", "status"]})
    routes = next(panel for panel in panels(board) if panel["title"] == "Requests by route")

    (target,) = routes["targets"]
    assert target["expr"].startswith("topk(10, sum by (method, view) (")
    assert target["legendFormat"] == "{{method}} {{view}}"


def test_a_panel_that_needs_a_dropped_label_is_left_out_with_a_message():
    output, messages = io.StringIO(), io.StringIO()
    settings = {"LABELS": {"http_requests_total": ["method", "path"]}}
    with override_settings(TACHIKOMA_METRICS=settings):
        call_command("metrics_dashboard", verbosity=2, stdout=output, stderr=messages)

    assert "Error ratio by route" not in output.getvalue()
    assert (
        "Left out: Routes: Error ratio by route: `http_requests_total` has no label `status`."
    ) in messages.getvalue()


def test_metrics_that_are_switched_off_have_no_panel():
    backends = [name for name in catalogue.FAMILIES if name.startswith("backend_")]
    board = dashboard(DISABLED_METRICS=[*backends, "cache_size"])

    titles = {panel["title"] for panel in board["panels"]}
    assert "Upstream APIs" not in titles
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
    assert names == ["datasource", "job", "region", "instance", "method", "path"]
    # The metrics that Prometheus adds for a target have no global labels.
    without = [one for one in expressions(board) if 'region=~"$region"' not in one]
    assert without == ['sum(up{job=~"$job",instance=~"$instance"})']


def test_process_metrics_that_are_switched_off_have_no_panel():
    shown = " ".join(expressions(dashboard(INCLUDE_PROCESS_METRICS=False)))

    assert "process_cpu" not in shown
    assert "tachikoma_metrics_processes" in shown


def test_the_title_is_an_option():
    assert json.loads(written("metrics_dashboard", "--title", "Shop"))["title"] == "Shop"


def test_the_uid_is_an_option():
    assert json.loads(written("metrics_dashboard", "--uid", "shop_1"))["uid"] == "shop_1"


@pytest.mark.parametrize("uid", ["", "a b", "x" * 41, "schön"])
def test_a_uid_that_grafana_rejects_is_an_error(uid: str):
    with pytest.raises(CommandError, match="--uid should be 1 to 40 letters"):
        written("metrics_dashboard", "--uid", uid)


def test_the_data_source_is_an_option():
    board = json.loads(written("metrics_dashboard", "--datasource", "prom-1"))

    selected = board["templating"]["list"][0]["current"]
    assert selected == {"text": "prom-1", "value": "prom-1"}


def test_titles_of_panels_are_unique():
    titles = [panel["title"] for panel in panels(dashboard(**EVERYTHING))]

    assert sorted(titles) == sorted(set(titles))


def panel_of(title: str, board: dict[str, Any]) -> dict[str, Any]:
    return next(one for one in panels(board) if one["title"] == title)


def test_the_objective_sets_the_thresholds():
    arguments = ("--objective", "99.5", "--slow-after", "2.5")
    board = json.loads(written("metrics_dashboard", *arguments))

    def steps(title: str) -> list[tuple[str, float | None]]:
        found = panel_of(title, board)["fieldConfig"]["defaults"]["thresholds"]["steps"]
        return [(step["color"], step["value"]) for step in found]

    assert steps("Error ratio") == [("green", None), ("orange", 0.005), ("red", 0.03)]
    assert steps("p95 latency") == [("green", None), ("orange", 1.25), ("red", 2.5)]
    assert steps("Availability (30 days)") == [("red", None), ("green", 0.995)]


def test_an_objective_out_of_range_is_rejected():
    with pytest.raises(CommandError, match="at least 95 and less than 100"):
        written("metrics_dashboard", "--objective", "90")


@pytest.mark.parametrize(("seconds", "is_warned"), [("0.4", True), ("0.5", False)])
def test_a_limit_that_is_not_the_bound_of_a_bucket_is_reported(seconds: str, is_warned: bool):
    output, messages = io.StringIO(), io.StringIO()
    call_command("metrics_dashboard", "--slow-after", seconds, stdout=output, stderr=messages)

    warning = "Warning: --slow-after 0.4 is not the bound of a bucket. Requests of more than 0.5 s"
    assert (warning in messages.getvalue()) is is_warned


def test_the_objective_is_shown_by_the_series_that_the_rules_record():
    board = dashboard(NAMESPACE="shop")
    [row] = [one for one in board["panels"] if one["title"] == "Service level objective"]
    shown = [one for one in panels(board) if "rules" in one["description"]]

    recorded = {one["record"] for one in rules(NAMESPACE="shop") if "record" in one}
    asked = [
        one for panel in shown for target in panel["targets"] for one in series(target["expr"])
    ]
    assert {name for name, _ in asked} <= recorded
    assert not row["collapsed"]
    for panel in shown:
        assert panel["fieldConfig"]["defaults"]["noValue"] == "No data: load the rules"


def test_without_what_the_rules_record_there_is_no_objective():
    board = dashboard(LABELS={"http_requests_total": ["method", "path"]})

    assert "Service level objective" not in {one["title"] for one in board["panels"]}


def test_a_table_compares_the_routes():
    table = panel_of("Routes", dashboard())

    assert table["type"] == "table"
    assert {(one["format"], one["instant"]) for one in table["targets"]} == {("table", True)}
    assert all("topk(50, " in one["expr"] for one in table["targets"])
    merged, organized = table["transformations"]
    assert merged["id"] == "merge"
    columns = ["Method", "Path", "Rate", "Error ratio", "p50 latency", "p95 latency"]
    assert list(organized["options"]["renameByName"].values()) == [*columns, "Share of time"]
    units = {one["matcher"]["options"]: one["properties"][0]["value"] for one in overrides(table)}
    assert units["p95 latency"] == "s"
    assert units["Error ratio"] == "percentunit"


def overrides(panel: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = panel["fieldConfig"]["overrides"]
    return found


def test_the_table_has_the_view_instead_of_a_path_that_is_dropped():
    labels = ["method", "view"]
    added = {"http_requests_total": [*labels, "status"], "http_request_duration_seconds": labels}
    table = panel_of("Routes", dashboard(LABELS=added))

    titles = table["transformations"][1]["options"]["renameByName"]
    assert list(titles)[:2] == ["method", "view"]


def test_panels_by_route_show_the_highest_only():
    by_route = [
        target["expr"]
        for panel in panels(dashboard(**EVERYTHING))
        for target in panel["targets"]
        if "{{path}}" in target["legendFormat"]
    ]

    assert len(by_route) > 5
    assert all(one.startswith("topk(10, ") for one in by_route)


def test_the_method_and_the_path_select_http_metrics():
    board = dashboard(**EVERYTHING)
    method, path = board["templating"]["list"][-2:]

    assert (method["name"], path["name"]) == ("method", "path")
    chosen = '{job=~"$job",instance=~"$instance"}'
    assert path["query"]["query"] == f"label_values(http_requests_total{chosen}, path)"
    asked = [one for expression in expressions(board) for one in series(expression)]
    selected = {name for name, labels in asked if {"method", "path"} <= labels}
    assert selected >= {"http_requests_total", "http_request_duration_seconds_bucket"}
    assert all(name.startswith("http_") for name in selected)
    assert "http_requests_in_flight" not in selected


def test_a_label_that_is_dropped_is_no_variable():
    board = dashboard(LABELS={"http_requests_total": ["view", "status"]})

    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names == ["datasource", "job", "instance", "view"]


def test_statuses_have_the_colour_of_their_class():
    found = {
        one["matcher"]["options"]: one["properties"][0]["value"]["fixedColor"]
        for one in overrides(panel_of("Requests by status", dashboard()))
    }

    assert found["/^2/"] == "green"
    assert found["/^4/"] == "orange"
    assert found["/^5/"] == "red"


def test_what_is_no_time_has_no_unit_of_time():
    board = dashboard(**EVERYTHING)

    for title in ("Busy workers by route", "Busy workers", "Busy connections by operation"):
        assert panel_of(title, board)["fieldConfig"]["defaults"]["unit"] == "short"
    assert panel_of("CPU", board)["fieldConfig"]["defaults"]["unit"] == "cores"


def test_the_dashboard_links_to_the_runbooks():
    board = json.loads(written("metrics_dashboard", "--runbooks", "https://example.org/books"))

    assert board["links"][0]["url"] == "https://example.org/books"


def test_restarts_are_annotations():
    [restarts] = dashboard()["annotations"]["list"]

    assert [name for name, _ in series(restarts["expr"])] == ["process_start_time_seconds"]
    assert dashboard(INCLUDE_PROCESS_METRICS=False)["annotations"]["list"] == []


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
