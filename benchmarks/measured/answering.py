"""Answer the questions of the process that compares."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping

from benchmarks.rounds import Figures


def answer(questions: Mapping[str, Callable[..., Figures]]) -> None:
    """Answer each line of standard input, a question's name and numbers, until its end."""
    for line in sys.stdin:
        name, *numbers = line.split()
        print(json.dumps(questions[name](*map(int, numbers))), flush=True)
