"""The dashboard is what Grafana's own types say a dashboard is; run by ``tox -e grafana``."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tachikoma_metrics import catalogue, conf, monitoring
from tests.services.processes import missing

HERE = Path(__file__).resolve().parent
MODULES = HERE / "node_modules"
OPT_IN = [family.name for family in catalogue.FAMILIES.values() if family.opt_in]

SETTINGS: dict[str, dict[str, Any]] = {
    "none": {},
    "everything": {
        "EXTRA_METRICS": OPT_IN,
        "GLOBAL_LABELS": {"region": "north"},
        "BUSINESS_METRICS": {"tickets": {"model": "missions.Spec", "labels": {"of": "status"}}},
    },
    "native": {"NATIVE_HISTOGRAMS": True, "EXEMPLARS": "auto", "EXTRA_METRICS": OPT_IN},
}


def dashboard(settings: dict[str, Any]) -> dict[str, Any]:
    config = conf.read(settings)
    made, _ = monitoring.dashboard(config, is_native=bool(config.native_histograms))
    return made


def in_panel(number: int, *keys: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def found(board: dict[str, Any]) -> dict[str, Any]:
        part: dict[str, Any] = board["panels"][number]
        for key in keys:
            part = part[key]
        return part

    return found


# The panels are: a row, and a number under it.
MISTAKES: list[tuple[Callable[[dict[str, Any]], dict[str, Any]], str, object]] = [
    (lambda board: board, "graphTooltip", "always"),
    (lambda board: board, "unheard_of", 1),
    (in_panel(0), "collapsed", "no"),
    (in_panel(1), "descripton", "misspelt"),
    (in_panel(1, "options"), "colorMode", "rainbow"),
    (in_panel(1, "fieldConfig", "defaults", "thresholds"), "mode", "sometimes"),
    (in_panel(1, "gridPos"), "h", "tall"),
]


def with_mistake(place: Callable[[dict[str, Any]], dict[str, Any]], key: str, value: object) -> Any:
    board = dashboard({})
    place(board)[key] = value
    return board


BOARDS = {
    **{name: dashboard(settings) for name, settings in SETTINGS.items()},
    **{mistake[1]: with_mistake(*mistake) for mistake in MISTAKES},
}


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Return what the TypeScript compiler has to say of each dashboard.

    It reads Grafana's types once for all of them, which takes it seconds.
    """
    if not (MODULES / "@grafana" / "schema").exists():
        missing("Grafana's types are not installed; `tox -e grafana` does that")
    folder = tmp_path_factory.mktemp("types")
    shutil.copy(HERE / "types.ts", folder)
    (folder / "node_modules").symlink_to(MODULES)
    for name, board in BOARDS.items():
        (folder / f"{name}.ts").write_text(
            "import type { Written_Dashboard } from './types';\n"
            f"export const dashboard: Written_Dashboard = {json.dumps(board, indent=2)};\n"
        )
    said = compiled(folder, [f"{name}.ts" for name in BOARDS])
    found = {name: [line for line in said if line.startswith(f"{name}.ts(")] for name in BOARDS}
    assert sum(map(len, found.values())) == sum(not line.startswith(" ") for line in said), said
    return found


def compiled(folder: Path, files: list[str]) -> list[str]:
    """Return the lines that the TypeScript compiler writes of these files."""
    done = subprocess.run(
        [
            *("node", f"{MODULES}/typescript/lib/tsc.js", *files),
            *("--noEmit", "--strict", "--skipLibCheck"),
            *("--module", "esnext", "--moduleResolution", "node"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return (done.stdout + done.stderr).splitlines()


@pytest.mark.parametrize("name", SETTINGS)
def test_the_dashboard_is_what_grafana_says_one_is(complaints: dict[str, list[str]], name: str):
    assert complaints[name] == []


@pytest.mark.parametrize("name", [key for _, key, _ in MISTAKES])
def test_a_mistake_is_found(complaints: dict[str, list[str]], name: str):
    assert any("error TS" in line for line in complaints[name])
