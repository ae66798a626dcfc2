from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "CONTRIBUTING.md"


def environments() -> list[str]:
    """Return the first part of the name of each tox environment."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    # tox itself runs the environment that builds the package.
    named = [name for name in tox.sections() if ":" in name and name != "testenv:.pkg"]
    sections = [name.removeprefix("testenv:") for name in named]
    return [re.sub(r"-(py)?\{.*", "", name) for name in sections]


@pytest.mark.parametrize("name", environments())
def test_every_environment_is_listed(name: str):
    assert re.search(rf"`{name}(-\w+)?`", PAGE.read_text())


@pytest.mark.parametrize("page", ["CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_every_named_file_exists(page: str):
    folders = (ROOT, ROOT / "tachikoma_metrics", ROOT / ".github" / "workflows")
    named = re.findall(r"[\w./-]+\.(?:md|py|toml|yml)\b", (ROOT / page).read_text())

    assert [n for n in named if not any((folder / n).is_file() for folder in folders)] == []


def test_help_lists_every_make_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.+)$", makefile, re.M)
    assert targets is not None

    listed = subprocess.check_output(["make", "--no-print-directory", "help"], cwd=ROOT, text=True)

    assert sorted(line.split()[0] for line in listed.splitlines()) == sorted(targets[1].split())
