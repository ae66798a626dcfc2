"""The commands of a measuring process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping

from benchmarks.rounds import Figures


def run_commands(commands: Mapping[str, Callable[..., Figures]]) -> None:
    """Run the command in each line of standard input, and print its result as JSON."""
    for line in sys.stdin:
        name, *numbers = line.split()
        print(json.dumps(commands[name](*map(int, numbers))), flush=True)
