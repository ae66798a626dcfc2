"""Make the jobs of a workflow from the environments of tox.

tox list -d --no-desc --quiet | python .ci/matrix.py

Writes ``environments=[{"name": ..., "python": ...}, ...]`` for a job's outputs.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable

DEFAULT_PYTHON = "3.11"


def python_of(environment: str) -> str:
    """Return the Python that the name of an environment asks for."""
    asked = re.search(r"\bpy3(\d+)\b", environment)
    return f"3.{asked[1]}" if asked else DEFAULT_PYTHON


def matrix(lines: Iterable[str]) -> list[dict[str, str]]:
    """Return a job for each environment; raise ``ValueError`` if that is no list of them."""
    names = [line.strip() for line in lines if line.strip()]
    if not names or not all(re.fullmatch(r"[\w.-]+", name) for name in names):
        raise ValueError(f"tox should list its environments; it said {names}.")
    return [{"name": name, "python": python_of(name)} for name in names]


if __name__ == "__main__":
    print(f"environments={json.dumps(matrix(sys.stdin))}")
