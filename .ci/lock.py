"""Pin all that the environments of tox install: names, versions and hashes, but no index.

    make lock

Resolves the dependency groups of each environment anew, with what is released today, and
writes the constraint file that the environment names in tox.ini. One file serves every
Python that its environments have: where a version is not for all of them, there is a line
for each. An environment without a constraint file stays unpinned.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 10)
HEADER = "# Written by `make lock`.\n"


@dataclass(frozen=True)
class Lock:
    """A constraint file, and what is resolved for it."""

    path: str
    groups: tuple[str, ...]
    python: tuple[int, int] = OLDEST_PYTHON
    with_project: bool = True

    @property
    def command(self) -> list[str]:
        """Return the command that writes the pins to standard output."""
        source = ["pyproject.toml"] if self.with_project else []
        groups = [f"--group=pyproject.toml:{group}" for group in self.groups]
        python = f"--python-version={self.python[0]}.{self.python[1]}"
        options = ["--universal", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
        return [*UV, "pip", "compile", *source, *groups, python, *options]


UV = [str(Path(sys.executable).parent / "uv")]

# What is installed before there is tox, and beside it.
BESIDE_TOX = (
    Lock("constraints/dev.txt", ("dev",)),
    Lock("constraints/tox.txt", ("tox",), with_project=False),
)


def locks(environments: dict[str, Any]) -> list[Lock]:
    """Return the constraint files that these environments of tox name.

    Raises ``ValueError`` if two of them have one file for different groups.
    """
    found: dict[str, Lock] = {}
    for name, environment in environments.items():
        for path in environment["constraints"]:
            lock = Lock(
                path,
                tuple(sorted(environment["dependency_groups"])),
                oldest_python(environment["base_python"]),
                environment["package"] != "skip",
            )
            found[path] = merged(found.get(path, lock), lock, name)
    return [*found.values(), *BESIDE_TOX]


def merged(one: Lock, other: Lock, name: str) -> Lock:
    """Return the lock that serves both; raises ``ValueError`` if they want different groups."""
    if (one.groups, one.with_project) != (other.groups, other.with_project):
        raise ValueError(f"{name} has {other.path} for {other.groups}, another for {one.groups}.")
    return one if one.python <= other.python else other


def oldest_python(base_python: Iterable[str]) -> tuple[int, int]:
    """Return the Python that an environment asks for; the oldest supported, if it asks for none."""
    asked = re.findall(r"\bpy(\d)(\d+)\b", " ".join(base_python))
    return min(((int(major), int(minor)) for major, minor in asked), default=OLDEST_PYTHON)


def environments_of_tox() -> dict[str, Any]:
    """Return the settings of every environment in tox.ini."""
    keys = ("base_python", "constraints", "dependency_groups", "package")
    options = ["config", "-e", "ALL", "--format", "json", "-k", *keys]
    said = subprocess.run(
        [sys.executable, "-m", "tox", *options], cwd=ROOT, check=True, capture_output=True
    )
    found: dict[str, Any] = json.loads(said.stdout)["env"]
    return found


def write(lock: Lock) -> str:
    """Resolve and write one file; return its path."""
    done = subprocess.run(lock.command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{lock.path} cannot be resolved:\n{done.stderr}")
    path = ROOT / lock.path
    path.parent.mkdir(exist_ok=True)
    path.write_text(HEADER + done.stdout)
    return lock.path


def write_all(wanted: Iterable[Lock]) -> Iterator[str]:
    """Write all files, several at a time; yield the path of each."""
    with ThreadPoolExecutor() as pool:
        yield from pool.map(write, wanted)


if __name__ == "__main__":
    for path in write_all(locks(environments_of_tox())):
        print(path)
