from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / ".ci" / "matrix.py"


def matrix(listed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT)],
        input=listed,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_every_environment_has_a_job_with_the_python_it_names():
    done = matrix("lint\npy310-lowest\npy313-django61\nprocesses-py314\n")

    name, _, value = done.stdout.partition("=")
    assert name == "environments"
    assert [(job["name"], job["python"]) for job in json.loads(value)] == [
        ("lint", "3.11"),
        ("py310-lowest", "3.10"),
        ("py313-django61", "3.13"),
        ("processes-py314", "3.14"),
    ]


@pytest.mark.parametrize("said", ["\n", "HandledError| unrecognized arguments: --all\n"])
def test_whatever_else_tox_says_is_no_success(said: str):
    done = matrix(said)

    assert done.returncode != 0
    assert done.stdout == ""
