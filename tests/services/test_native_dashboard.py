"""A real Prometheus that scrapes native histograms answers what is written with ``--native``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tachikoma_metrics import conf, monitoring
from tests.services.processes import eventually, free_ports, program
from tests.services.prometheus import CONFIGURATION, Prometheus, running_prometheus
from tests.services.test_dashboard import (
    assert_every_panel_has_data,
    dashboard_of_the_example,
    filled,
    write_rules_of_the_example,
)
from tests.services.test_demo import demonstrating, require_clean_end

DURATION = "http_request_duration_seconds"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Run the demo with native histograms, and a Prometheus that stores no others."""
    program("prometheus3")
    folder = tmp_path_factory.mktemp("native-demo")
    ports = free_ports(3)
    option = "--enable-feature=native-histograms"
    configuration = CONFIGURATION.format(port=ports[0])
    write_rules_of_the_example(folder, "--native")
    with (
        demonstrating(ports[0], folder, NATIVE_HISTOGRAMS="1") as demo,
        running_prometheus("prometheus3", configuration, folder, option) as asked,
    ):
        eventually(lambda: asked.query(DURATION) != [])
        yield asked
    # It was told to stop by SIGTERM.
    require_clean_end(demo, ports, folder)


def test_every_panel_of_the_demo_has_data(prometheus: Prometheus):
    board = dashboard_of_the_example("--native")

    assert_every_panel_has_data(prometheus, board)

    assert prometheus.query(f"{DURATION}_bucket") == []


def test_what_is_recorded_can_be_had_from_the_demo(prometheus: Prometheus):
    expressions = recorded_from_metrics()

    eventually(lambda: all(map(prometheus.query, expressions)))


def test_every_rule_is_understood(prometheus: Prometheus):
    for rule in rules():
        answered = prometheus.answer(rule["expr"])
        assert answered["status"] == "success", answered
        # Such as a function that ignores histograms.
        assert not answered.get("warnings"), answered
        assert not answered.get("infos"), answered


def test_the_heat_map_is_of_histograms(prometheus: Prometheus):
    board = dashboard_of_the_example("--native")
    panels = [one for row in board["panels"] for one in (row, *row.get("panels", ()))]
    [target] = next(one["targets"] for one in panels if one["type"] == "heatmap")

    def buckets() -> list[Any]:
        found = prometheus.query(filled(target["expr"]))
        return found[0]["histogram"][1].get("buckets", []) if found else []

    assert target["format"] == "time_series"
    eventually(lambda: len(buckets()) > 1)


def rules() -> list[dict[str, Any]]:
    made, _ = monitoring.rule_file(conf.read({"NATIVE_HISTOGRAMS": True}), is_native=True)
    return [rule for group in made["groups"] for rule in group["rules"]]


def recorded_from_metrics() -> list[str]:
    # The others read what these record.
    found = [rule["expr"] for rule in rules() if "record" in rule and "job:" not in rule["expr"]]
    assert "_bucket" not in json.dumps(found)
    return found
