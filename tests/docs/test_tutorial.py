"""Somebody follows the tutorial to the letter, in an empty folder, and sees the graph's values.

Three things are not as on the page: the package comes from a wheel of this tree, where pip
looks first, everything else is as old as what the tests are pinned to, and the ports are
free ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest

from tests.docs import promql_blocks
from tests.docs.following import Reader
from tests.docs.pages import ROOT, TUTORIAL
from tests.docs.terminals import Desk, desk
from tests.services.processes import eventually, get, program

pytest.importorskip("build", reason="the guides environment has it")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel of this tree and return its folder."""
    folder = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    subprocess.run([*build, str(folder), str(ROOT)], check=True, capture_output=True, timeout=300)
    return folder


def path_without_this_environment() -> str:
    """Return a PATH on which a reader's python3 is, and nothing that is installed here."""
    here = os.path.dirname(sys.executable)
    base = os.path.dirname(os.path.realpath(sys.executable))
    others = [part for part in os.environ["PATH"].split(os.pathsep) if part != here]
    return os.pathsep.join([base, *others])


def pins(file: Path) -> Path:
    """Write what this environment is pinned to, for pip, which takes no hash of a constraint."""
    pinned = Path(os.environ.get("UV_CONSTRAINT", os.devnull)).read_text().splitlines()
    versions = [line.rstrip("\\ ") for line in pinned if not line.startswith((" ", "#"))]
    file.write_text("\n".join(versions))
    return file


def test_who_follows_the_tutorial_sees_the_graph(tmp_path: Path, wheels: Path):
    program("prometheus")
    program("curl")
    home = tmp_path / "empty"
    home.mkdir()

    with desk(home, tmp_path, path_without_this_environment()) as somebody:
        places = somebody.environment.get("PIP_FIND_LINKS", "").split()
        somebody.environment["PIP_FIND_LINKS"] = " ".join([str(wheels), *places])
        # Most of Django is never imported here.
        somebody.environment["PIP_COMPILE"] = "0"
        somebody.environment["PIP_CONSTRAINT"] = str(pins(tmp_path / "pins.txt"))
        Reader(TUTORIAL, lambda: somebody, lambda command: False).follow()

        eventually(lambda: rates(somebody).get(("/hello/:name/", "200"), 0) > 0)
        assert installed(home) == sources(ROOT)


def installed(home: Path) -> dict[str, bytes]:
    """Return what pip installed for who followed the page."""
    (folder,) = home.glob("venv/lib/python3*/site-packages")
    return sources(folder)


def sources(folder: Path) -> dict[str, bytes]:
    """Return the modules of the package in a folder."""
    modules = (folder / "tachikoma_metrics").rglob("*.py")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in modules}


def rates(somebody: Desk) -> dict[tuple[str, str], float]:
    """Return what Prometheus says of the expression that the page has a graph of."""
    (query,) = graphs()
    url = f"http://127.0.0.1:{somebody.port('9090')}/api/v1/query?"
    answer = json.loads(get(url + urllib.parse.urlencode({"query": query}))[1])
    return {
        (one["metric"]["path"], one["metric"]["status"]): float(one["value"][1])
        for one in answer["data"]["result"]
    }


def graphs() -> list[str]:
    """Return the expressions of the page."""
    _, _, after = TUTORIAL.read_text(encoding="utf-8").partition("```promql\n")
    return list(promql_blocks.expressions(after.partition("```")[0]))
