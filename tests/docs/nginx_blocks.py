"""Blocks of nginx's configuration: nginx itself says whether they are right."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from sybil import Example

from tests.services.nginx import configuration
from tests.services.processes import program

_BELONGS_IN_HTTP = re.compile(r"^(server|upstream|map) ?", re.MULTILINE)


def evaluate(example: Example) -> None:
    """Have nginx test a snippet, which is for ``http`` or for a ``server``."""
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "nginx.conf"
        path.write_text(around(str(example.parsed), home))
        tested = subprocess.run(
            [program("nginx"), "-t", "-p", home, "-c", str(path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    assert tested.returncode == 0, tested.stderr
    assert "[warn]" not in tested.stderr.replace('the "user" directive', "")


def around(snippet: str, home: str) -> str:
    """Return a whole configuration with a snippet in it."""
    if not _BELONGS_IN_HTTP.search(snippet):
        snippet = f"server {{ {snippet} }}"
    return configuration(snippet, home)
