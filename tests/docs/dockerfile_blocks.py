"""Blocks of a Dockerfile: its instructions, and that the programs it starts are tried elsewhere.

Nothing here can build an image.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from sybil import Example

INSTRUCTIONS = frozenset(
    {
        "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL",
        "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
    }
)  # fmt: skip
"""https://docs.docker.com/reference/dockerfile/#overview"""


def evaluate(example: Example) -> None:
    """Read the instructions; the first and the last have their place."""
    found = list(instructions(str(example.parsed)))
    names = [name for name, _ in found]

    assert set(names) <= INSTRUCTIONS
    assert names[0] == "FROM"
    assert names[-1] == "CMD"
    assert "root" not in dict(found)["USER"]
    assert command(str(example.parsed))[0] in ("gunicorn", "uvicorn", "uwsgi")


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield the instructions and their arguments."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, arguments = line.partition(" ")
            yield name, arguments.strip()


def command(text: str) -> list[str]:
    """Return what a container of this image runs."""
    arguments = dict(instructions(text))["CMD"]
    parts = json.loads(arguments) if arguments.startswith("[") else shlex.split(arguments)
    return [str(part) for part in parts]
