"""Where ``CASES=few`` says so, two cases of each test run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("letter", "abc")
@pytest.mark.parametrize("number", range(3))
def test_a_case(letter: str, number: int):
    """Has nine of them, for the test below."""
    assert letter in "abc"
    assert number in range(3)


def test_the_first_and_the_last_case_are_enough_where_few_are():
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", f"{__file__}::test_a_case"],
        cwd=ROOT,
        env={**os.environ, "CASES": "few"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert set(re.findall(r"::test_a_case\[(.*)\]", listed.stdout)) == {"0-a", "2-c"}
