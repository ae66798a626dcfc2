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
}


def compiled(board: dict[str, Any], folder: Path) -> str:
    """Return what the TypeScript compiler has to say of a dashboard."""
    if not (MODULES / "@grafana" / "schema").exists():
        missing("Grafana's types are not installed; `tox -e grafana` does that")
    shutil.copy(HERE / "types.ts", folder)
    (folder / "node_modules").symlink_to(MODULES)
    (folder / "dashboard.ts").write_text(
        "import type { Written_Dashboard } from './types';\n"
        f"export const dashboard: Written_Dashboard = {json.dumps(board, indent=2)};\n"
    )
    done = subprocess.run(
        [
            *("node", f"{MODULES}/typescript/lib/tsc.js", "dashboard.ts"),
            *("--noEmit", "--strict", "--skipLibCheck"),
            *("--module", "esnext", "--moduleResolution", "node"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout + done.stderr


def dashboard(settings: dict[str, Any]) -> dict[str, Any]:
    made, _ = monitoring.dashboard(conf.read(settings))
    return made


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_the_dashboard_is_what_grafana_says_one_is(settings: dict[str, Any], tmp_path: Path):
    assert compiled(dashboard(settings), tmp_path) == ""


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


@pytest.mark.parametrize(("place", "key", "value"), MISTAKES)
def test_a_mistake_is_found(
    place: Callable[[dict[str, Any]], dict[str, Any]], key: str, value: object, tmp_path: Path
):
    board = dashboard({})
    place(board)[key] = value

    assert "error TS" in compiled(board, tmp_path)
