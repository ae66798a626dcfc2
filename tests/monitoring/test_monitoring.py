"""What ``metrics_dashboard`` and ``metrics_rules`` write."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.test import override_settings

from tachikoma_metrics import METRICS, catalogue, conf, monitoring
from tachikoma_metrics.monitoring.alerts import alerts
from tachikoma_metrics.monitoring.dialect import OF_PROCESSES, OF_PROMETHEUS
from tachikoma_metrics.monitoring.objectives import Objectives
from tests.promql import series

OPT_IN = [name for name, family in catalogue.FAMILIES.items() if family.opt_in]
COUNTED = {
    "missions_total": {"model": "missions.Mission"},
    "specs_total": {"model": "missions.Spec", "labels": {"status": "status"}},
}
EVERYTHING = {"EXTRA_METRICS": OPT_IN, "BUSINESS_METRICS": COUNTED}


def written(command: str, *arguments: str, **settings: object) -> str:
    """Return what a command writes in a service with these settings."""
    output = io.StringIO()
    with override_settings(TACHIKOMA_METRICS=settings):
        call_command(command, *arguments, stdout=output, stderr=io.StringIO())
    return output.getvalue()


def dashboard(**settings: object) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(written("metrics_dashboard", **settings))
    return made


def rules(*arguments: str, **settings: object) -> list[dict[str, Any]]:
    made = yaml.safe_load(written("metrics_rules", *arguments, **settings))
    return [rule for group in made["groups"] for rule in group["rules"]]


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the panels, those of closed rows too."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def expressions(board: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in panels(board) for target in panel["targets"]]


def rule(name: str, *arguments: str, **settings: object) -> dict[str, Any]:
    """Return the first rule of a name."""
    return next(
        one
        for one in rules(*arguments, **settings)
        if name in (one.get("alert"), one.get("record"))
    )


# --- the dashboard ----------------------------------------------------------


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


WORDS = [
    *("sum", "by", "or", "rate", "time", "bool", "count", "vector"),
    *("job", "instance", "le", "status", "path", "service", "up", "x_bucket"),
]


@pytest.mark.parametrize("word", WORDS)
def test_business_counts_may_be_called_as_they_like(word: str):
    counted = {word: {"model": "missions.Spec", "labels": {word: "status"}}}

    everywhere = [
        *expressions(dashboard(BUSINESS_METRICS=counted)),
        *(one["expr"] for one in rules("--job", word, BUSINESS_METRICS=counted)),
    ]

    # Which raises for what is no PromQL.
    asked = [one for expression in everywhere for one in series(expression)]
    label = f"exported_{word}" if word in ("job", "instance") else word
    assert ("", frozenset({"job", "instance", label})) in asked


@pytest.mark.parametrize(
    "job", ["up", "a\nb", 'a}"b\\', "by (x)", "job:a:b", "http_requests_total"]
)
def test_a_job_may_be_called_as_it_likes(job: str):
    for one in rules("--job", job):
        assert series(one["expr"])


def test_a_label_that_one_of_two_families_lacks_is_asked_of_neither():
    said = rule("DjangoBackendErrors", LABELS={"backend_requests_total": ["endpoint"]})["expr"]

    assert "sum by (job) (increase(backend_errors_total[1h]))" in said
    assert "backend)" not in said


def test_a_label_of_ones_own_may_have_the_name_of_any_word():
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


# --- the rules --------------------------------------------------------------


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


# --- names ------------------------------------------------------------------

ANYWHERE = {"job", "instance", "le"}


def labels_by_series() -> dict[str, set[str]]:
    """Return the labels of every series there can be, by its name."""
    known = {name: set(labels) for name, labels in {**OF_PROCESSES, **OF_PROMETHEUS}.items()}
    for name, family in catalogue.FAMILIES.items():
        suffixes = ("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)
        known |= {name + suffix: set(family.label_names) for suffix in suffixes}
    return known


def test_every_metric_and_label_that_is_named_is_in_the_catalogue():
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


def test_every_label_that_a_text_names_is_one_of_its_expression():
    for one in rules(**EVERYTHING):
        named = set(re.findall(r"\$labels\.(\w+)", json.dumps(one.get("annotations", ""))))
        asked = {"job"}.union(*(labels for _, labels in series(one["expr"])))
        assert named <= asked


def test_the_process_metrics_are_those_of_prometheus_client():
    page = METRICS.encode()

    for name in OF_PROCESSES:
        assert f"\n# TYPE {name} " in page


# --- both -------------------------------------------------------------------


@pytest.mark.parametrize("command", ["metrics_dashboard", "metrics_rules"])
def test_it_is_written_to_a_file(command: str, tmp_path: Path):
    file = tmp_path / "made"

    shown = written(command, "--output", str(file))

    assert shown == ""
    assert file.read_text() == written(command)


@pytest.mark.parametrize("command", ["metrics_dashboard", "metrics_rules"])
def test_a_program_may_name_the_file_by_a_string(command: str, tmp_path: Path):
    call_command(command, output=str(tmp_path / "made"), verbosity=0)

    assert (tmp_path / "made").read_text() == written(command)


@pytest.mark.parametrize("command", ["metrics_dashboard", "metrics_rules"])
def test_a_file_that_cannot_be_written_is_told_of(command: str, tmp_path: Path):
    with pytest.raises(CommandError, match="The file cannot be written"):
        written(command, "--output", str(tmp_path))


@pytest.mark.parametrize("command", ["metrics_dashboard", "metrics_rules"])
def test_nothing_is_written_where_nothing_is_measured(command: str):
    with pytest.raises(CommandError, match="ENABLED is False"):
        written(command, ENABLED=False)
