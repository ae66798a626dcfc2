from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tachikoma_metrics import catalogue, conf

ROOT = Path(__file__).resolve().parent.parent


def generate(*arguments: str, at: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(at / "docs" / "generate.py"), *arguments],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_reference_is_current():
    done = generate("--check")

    assert done.stderr == ""
    assert done.returncode == 0


def test_a_reference_that_is_not_current_is_found_and_mended(tmp_path: Path):
    (tmp_path / "docs").mkdir()
    for name in ("generate.py", "metrics.md"):
        text = (ROOT / "docs" / name).read_text()
        (tmp_path / "docs" / name).write_text(text)

    before = generate("--check", at=tmp_path)
    generate(at=tmp_path)
    after = generate("--check", at=tmp_path)

    assert before.returncode == 1
    assert "docs/settings.md is not current" in before.stderr
    assert "docs/metrics.md" not in before.stderr
    assert after.returncode == 0


@pytest.mark.parametrize("name", catalogue.FAMILIES)
def test_every_family_is_in_the_reference(name: str):
    assert f"| `{name}` |" in (ROOT / "docs" / "metrics.md").read_text()


@pytest.mark.parametrize("key", conf.SETTINGS)
def test_every_setting_is_in_the_reference(key: str):
    assert f"| `{key}` |" in (ROOT / "docs" / "settings.md").read_text()


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md", "example_project/README.md"])
def test_every_link_to_a_file_leads_to_one(page: str):
    path = ROOT / page
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text())

    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_the_readme_is_one_screen():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 70
