"""What is checked of the live page's files without a browser; run by ``tox -e live``."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tachikoma_metrics.live.assets import FOLDER
from tests.services.processes import missing

HERE = Path(__file__).resolve().parent
MODULES = HERE / "node_modules"
VENDORED = {
    "uplot.js": "dist/uPlot.iife.min.js",
    "uplot.css": "dist/uPlot.min.css",
    "uplot-license.txt": "LICENSE",
}


@pytest.fixture(autouse=True)
def _modules() -> None:
    if not (MODULES / "uplot").exists():
        missing("The npm packages are not installed; `tox -e live` does that")


def test_the_module_has_the_types_that_it_says():
    done = subprocess.run(
        ["node", f"{MODULES}/typescript/lib/tsc.js", "--project", str(HERE)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize("name", VENDORED)
def test_a_vendored_file_is_the_one_of_the_pinned_package(name: str):
    assert (FOLDER / name).read_bytes() == (MODULES / "uplot" / VENDORED[name]).read_bytes()


def test_the_package_says_which_version_is_vendored():
    pinned = json.loads((HERE / "package.json").read_text())["dependencies"]["uplot"]

    assert f"uPlot\n{pinned}" in (FOLDER.parent / "assets.py").read_text()
