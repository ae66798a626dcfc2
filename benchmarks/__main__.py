"""Run the benchmarks and print the report."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import (
    caches,
    counts,
    gunicorn,
    increments,
    middleware,
    queries,
    scrape,
    tasks,
    websockets,
)
from benchmarks.plan import LONG, SHORT, Plan
from benchmarks.report import page

PARTS: dict[str, Callable[[Plan], str]] = {
    "middleware": middleware.run,
    "scrape": scrape.run,
    "gunicorn": gunicorn.run,
    "increments": increments.run,
    "queries": queries.run,
    "caches": caches.run,
    "counts": counts.run,
    "websockets": websockets.run,
    "tasks": tasks.run,
}


def main(arguments: Sequence[str]) -> int:
    """Run the selected parts; return the exit code."""
    options = _parser().parse_args(arguments)
    plan = SHORT if options.short else LONG
    text = page(plan, _sections(plan, options.parts or list(PARTS)))
    if options.write is None:
        print(text)
    else:
        options.write.write_text(text, encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="parts; all by default")
    parser.add_argument(
        "--short", action="store_true", help="take ten to thirty minutes, not hours"
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="write to a file, do not print",
    )
    return parser


def _sections(plan: Plan, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        started_at = time.monotonic()
        yield PARTS[name](plan)
        print(f"{name}: {time.monotonic() - started_at:.0f} seconds", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
