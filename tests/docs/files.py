"""What pages say of files: which block is one, which is added to one, and where.

- A block whose first line is a comment with a path in it, such as ``# mysite/urls.py`` or
  ``# prometheus.yml``, is the whole of that file.
- One whose first line ends in ``, at the end`` is added to the end of the file that it names.
- A block whose first line is ``# settings.py`` goes to the end of the project's settings.
- A block in ``diff`` names its file in its first line. Each line with a ``+`` is added after
  the line above it, which is there, and each with a ``-`` is removed; ``...`` is whatever is in
  between.
"""

from __future__ import annotations

import re
from pathlib import Path

SETTINGS = "settings.py"

_NAME = re.compile(r"# (?P<name>[\w./-]+\.(?:py|yml|conf|ini)|Dockerfile)(?:, .*)?")


def named(block: str) -> str | None:
    """Return the file that a block names in its first line; None if it names none."""
    match = _NAME.fullmatch(block.partition("\n")[0])
    return None if match is None else match["name"]


def put(block: str, home: Path, project: str) -> None:
    """Write a block where it says, if it does, in the folder ``home`` of a project."""
    name = named(block)
    if name == SETTINGS:
        with (home / project / SETTINGS).open("a", encoding="utf-8") as file:
            file.write(f"\n{block}")
    elif name is not None:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        there = path.read_text(encoding="utf-8") if is_addition(block) else ""
        path.write_text(there + block, encoding="utf-8")


def is_addition(block: str) -> bool:
    """Tell whether a block is to be added to the file that it names."""
    return block.partition("\n")[0].endswith(", at the end")


def apply(block: str, home: Path) -> None:
    """Change the file that a ``diff`` names; raise ``ValueError`` if the lines do not fit."""
    head, *lines = block.splitlines()
    name = named(head)
    if name is None:
        raise ValueError(f"A diff should name its file in its first line, not {head!r}.")
    path = home / name
    path.write_text(_merged(path.read_text(encoding="utf-8"), lines), encoding="utf-8")


def _merged(text: str, lines: list[str]) -> str:
    there = text.splitlines()
    place = 0
    for line in lines:
        mark, content = line[:1], line[1:]
        if mark == "+":
            there.insert(place, content)
            place += 1
        elif mark == "-":
            place = there.index(content, place)
            del there[place]
        elif mark == " " or not line:
            if content.strip() not in ("", "..."):
                place = there.index(content, place) + 1
        else:
            raise ValueError(f"A line of a diff should begin with +, - or a space: {line!r}")
    return "\n".join(there) + "\n"
