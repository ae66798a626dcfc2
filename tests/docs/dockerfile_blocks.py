"""Blocks of a Dockerfile: its instructions, and that the programs it starts are tried elsewhere.

Nothing here can build an image.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from sybil import Example

from tests.docs.pages import SERVERS

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
    assert f"$ {command(str(example.parsed))}\n" in SERVERS.read_text(encoding="utf-8")


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield the instructions and their arguments."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, arguments = line.partition(" ")
            yield name, arguments.strip()


def command(text: str) -> str:
    """Return what a container of this image runs, as one would try it on a machine."""
    arguments = dict(instructions(text))["CMD"]
    parts = json.loads(arguments) if arguments.startswith("[") else shlex.split(arguments)
    return " ".join(parts).replace("0.0.0.0", "127.0.0.1")  # noqa: S104  # A container's.
