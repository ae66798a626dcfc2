"""What the tests of alerting rules share: series as promtool takes them, and a run of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tachikoma_metrics import conf, monitoring
from tachikoma_metrics.conf import Config
from tachikoma_metrics.monitoring import Objectives
from tests.services.prometheus import Promtool

COUNTED = {"missions_total": {"model": "missions.Mission"}}
USUAL: dict[str, Any] = {"BUSINESS_METRICS": COUNTED}
ALL_DAY = 24 * 60

INFO = 'tachikoma_metrics_info{{job="shop",instance="{}",version="1"}}'


def rising(per_minute: float, minutes: int) -> str:
    """Return the values of a counter that rises, one each minute."""
    return f"0+{per_minute}x{minutes}"


def write_rules(folder: Path, config: Config, **wishes: Any) -> None:
    made, _ = monitoring.rule_file(config, **wishes)
    (folder / "rules.yml").write_text(monitoring.as_yaml(made))


def durations(name: str, labels: str, fast: float, slow: float, bound: str) -> dict[str, str]:
    """Return a histogram with so many below and above a bound each minute."""
    return {
        f'{name}_bucket{{job="shop",{labels}le="{bound}"}}': rising(fast, 60),
        f'{name}_bucket{{job="shop",{labels}le="+Inf"}}': rising(fast + slow, 60),
        f'{name}_count{{job="shop",{labels}}}'.replace(",}", "}"): rising(fast + slow, 60),
    }


def fire(
    promtool: Promtool,
    series: dict[str, str],
    minutes: int,
    *expected: str,
    objectives: Objectives | None = None,
    settings: dict[str, Any] = USUAL,
    is_native: bool = False,
    quiet_at: int | None = None,
) -> None:
    """Assert that exactly these alerts fire, ``name/severity``, so long after a start.

    After ``quiet_at`` minutes, none may.
    """
    write_rules(promtool.folder, conf.read(settings), objectives=objectives, is_native=is_native)
    # The rules are about jobs that tachikoma_metrics instruments.
    series = {INFO.format("a"): f"1x{minutes}", **series}
    samples = [
        {"labels": f'{{alertname="{name}", severity="{severity}"}}', "value": 1}
        for name, _, severity in (one.partition("/") for one in expected)
    ]
    firing = 'count by (alertname, severity) (ALERTS{alertstate="firing"}) > bool 0'
    test = {
        "rule_files": ["rules.yml"],
        # Evaluations take most of the time. Every five minutes is too rare: what a rule reads of
        # another has to be younger than that.
        "evaluation_interval": "4m" if minutes >= ALL_DAY else "2m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": one, "values": series[one]} for one in series],
                "promql_expr_test": [
                    {"expr": firing, "eval_time": f"{at}m", "exp_samples": expected_then}
                    for at, expected_then in [(quiet_at, []), (minutes, samples)]
                    if at is not None
                ],
            }
        ],
    }
    # JSON is YAML.
    (promtool.folder / "test.yml").write_text(json.dumps(test))

    tested = promtool.run("test", "rules", "test.yml")

    assert tested.returncode == 0, tested.stdout + tested.stderr
