"""Blocks of a console: commands after ``$``, and what they say.

A line that ends in a backslash goes on in the next one. Where a page shows what a command
says, all of it is compared, and ``...`` stands for anything; where it shows nothing, the
command has to succeed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.docs.terminals import Desk

_PROMPT = "$ "


@dataclass
class Command:
    """A command, and the lines that the page shows after it."""

    text: str
    shown: list[str] = field(default_factory=list)


def commands(block: str) -> Iterator[Command]:
    """Yield the commands of a block."""
    command: Command | None = None
    for line in block.rstrip().splitlines():
        if line.startswith(_PROMPT):
            if command is not None:
                yield command
            command = Command(line.removeprefix(_PROMPT))
        elif command is None:
            raise ValueError(f"A block of a console should begin with a command: {line!r}")
        elif command.text.endswith("\\") and not command.shown:
            command.text = command.text.removesuffix("\\") + line.strip()
        else:
            command.shown.append(line)
    if command is not None:
        yield command


def follow(block: str, sit_down: Callable[[], Desk], is_tried: Callable[[str], bool]) -> None:
    """Run the commands of a block, and compare what they say.

    Not those that ``is_tried``, elsewhere.
    """
    for command in commands(block):
        if is_tried(command.text):
            continue
        said = sit_down().run(command.text)
        if command.shown:
            assert fits("\n".join(command.shown), said), (
                f"{command.text!r} should say\n{chr(10).join(command.shown)}\nand says\n{said}"
            )


def fits(shown: str, said: str) -> bool:
    """Tell whether this is what the page shows; ``...`` in it stands for anything."""
    pattern = ".*".join(map(re.escape, _trimmed(shown).split("...")))
    return re.fullmatch(pattern, _trimmed(said), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
