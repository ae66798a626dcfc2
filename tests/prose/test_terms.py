"""The prose has the field's terms; run by ``tox -e docs``, with textlint.

``terms.yml`` lists what is not to be said, and textlint's own rules know how names are spelt.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.services.processes import missing

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TEXTLINT = HERE / "node_modules" / ".bin" / "textlint"
PAGES = sorted(
    str(path)
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "example_project/README.md",
    )
)


@pytest.fixture(autouse=True)
def _textlint() -> None:
    if not TEXTLINT.exists():
        missing("textlint is not installed; `tox -e docs` installs it")


def findings(*paths: str) -> str:
    done = subprocess.run(
        [str(TEXTLINT), "--config", "textlintrc.json", "--format", "unix", *paths],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stderr == ""
    assert done.returncode in (0, 1)
    return done.stdout.strip()


def test_the_pages_have_the_terms_of_the_field():
    assert findings(*PAGES) == ""


def test_a_house_word_and_a_misspelt_name_are_found(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(
        "# Whales\n\nThe 95th percentile of a Javascript client is dearer, as in `dearer`.\n"
    )

    found = findings(str(page))

    assert "95th percentile => p95" in found
    assert "dearer => expensive" in found
    assert "JavaScript" in found
    assert found.count("dearer") == 1
