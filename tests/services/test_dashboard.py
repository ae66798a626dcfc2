"""A real Prometheus that scrapes the demo answers whatever the dashboard and the rules ask."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tachikoma_metrics import catalogue, conf, monitoring
from tests.services.conftest import EXAMPLE
from tests.services.processes import eventually, free_ports
from tests.services.prometheus import RULES, Prometheus, scraping
from tests.services.test_demo import demonstrating, require_all_seen, require_clean_end

VARIABLES = {
    "$__rate_interval": "10s",
    "$__range": "1h",
    "$job": "tachikoma",
    **dict.fromkeys(("$instance", "$method", "$path"), ".*"),
}
SECONDS_UNTIL_ALL_HAPPENED = 60


@pytest.fixture(scope="module")
def prometheuses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Prometheus]]:
    """Run the demo, and each Prometheus, which all scrape it."""
    folder = tmp_path_factory.mktemp("demo")
    ports = free_ports(3)
    write_rules_of_the_example(folder)
    with (
        demonstrating(ports[0], folder, signal.SIGINT) as demo,
        scraping(ports[0], folder) as asked,
    ):
        yield asked
        require_all_seen(ports[0])
    require_clean_end(demo, ports, folder)


def written_by_the_example(*command: str) -> str:
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=EXAMPLE,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def dashboard_of_the_example(*options: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(written_by_the_example("metrics_dashboard", *options))
    return made


def write_rules_of_the_example(folder: Path, *options: str) -> None:
    """Write rules that Prometheus evaluates more often than once a minute."""
    rules = written_by_the_example("metrics_rules", *options)
    assert "interval: 60s" in rules
    (folder / RULES).write_text(rules.replace("interval: 60s", "interval: 2s"))


def asked_by(board: dict[str, Any]) -> dict[str, list[str]]:
    """Return the expressions of each panel, as Grafana would ask them."""
    flat = [one for panel in board["panels"] for one in (panel, *panel.get("panels", ()))]
    return {
        f"{panel['id']} {panel['title']}": [filled(target["expr"]) for target in panel["targets"]]
        for panel in flat
        if "targets" in panel
    }


def filled(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def test_every_panel_of_the_demo_has_data(prometheus: Prometheus):
    assert_every_panel_has_data(prometheus, dashboard_of_the_example())


def assert_every_panel_has_data(prometheus: Prometheus, board: dict[str, Any]) -> None:
    empty = asked_by(board)
    assert len(empty) > 40

    def all_have_data() -> bool:
        for panel, expressions in list(empty.items()):
            if all(map(has_data, expressions)):
                del empty[panel]
        return not empty

    def has_data(expression: str) -> bool:
        # A native histogram has no value.
        return any(found.get("value", "")[1:] != ["NaN"] for found in prometheus.query(expression))

    try:
        eventually(all_have_data, SECONDS_UNTIL_ALL_HAPPENED)
    finally:
        assert list(empty) == []


def test_prometheus_understands_every_expression(prometheus: Prometheus):
    everything = conf.read(
        {
            "NAMESPACE": "shop",
            "GLOBAL_LABELS": {"region": "north"},
            "EXTRA_METRICS": [one.name for one in catalogue.FAMILIES.values() if one.opt_in],
            "BUSINESS_METRICS": {
                "specs_total": {"model": "missions.Spec", "labels": {"status": "status"}},
                "tickets": {"model": "missions.Spec", "labels": {"state": "status"}},
            },
        }
    )
    board, _ = monitoring.dashboard(everything)
    rules, _ = monitoring.rule_file(everything, job="shop")
    [annotation] = board["annotations"]["list"]
    expressions = [filled(annotation["expr"])]
    expressions += [one for panel in asked_by(board).values() for one in panel]
    expressions += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]

    refused = [one for one in expressions if prometheus.answer(one)["status"] != "success"]

    assert len(expressions) > 90
    assert refused == []


def test_what_is_recorded_can_be_had_from_the_demo(prometheus: Prometheus):
    rules, _ = monitoring.rule_file(conf.read({}))
    recorded = [rule for group in rules["groups"] for rule in group["rules"] if "record" in rule]
    # The others read these.
    expressions = [rule["expr"] for rule in recorded if "job:" not in rule["expr"]]
    assert len(expressions) == 4

    eventually(lambda: all(prometheus.query(one) for one in expressions))


def test_the_values_of_the_variables_can_be_had(prometheus: Prometheus):
    eventually(lambda: set(prometheus.values("tachikoma_metrics_info", "job")) == {("tachikoma",)})
