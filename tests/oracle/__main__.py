"""Play all scenarios, print what became of them, and fail if a verdict is wrong.

python -m tests.oracle [--short] [--list] [NAME ...]
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
import traceback
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.oracle.playing import AT_A_TIME, playing
from tests.oracle.scenario import Outcome, Scenario
from tests.oracle.scenarios import SCENARIOS
from tests.oracle.verdicts import Row, table


def main() -> int:
    """Return the exit status."""
    # Servers are ended by the way out of this program, which by itself it would not take.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    wishes = _wishes()
    chosen = [one for one in SCENARIOS.values() if one.is_short or not wishes.short]
    chosen = [SCENARIOS[name] for name in wishes.names] or chosen
    if wishes.list:
        print("\n".join(one.name for one in chosen))
        return 0
    return _play(chosen, wishes.at_a_time)


def _wishes() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *SCENARIOS], metavar="NAME")
    parser.add_argument("--short", action="store_true", help="Play those that are tests, alone.")
    parser.add_argument("--list", action="store_true", help="Print the names, and play nothing.")
    help_text = "How many are played side by side."
    parser.add_argument("--at-a-time", type=int, default=AT_A_TIME, help=help_text)
    return parser.parse_args()


def _play(scenarios: list[Scenario], at_a_time: int) -> int:
    rows: list[Row] = []
    complaints: list[str] = []
    started_at = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="oracle-") as folder,
        playing(scenarios, Path(folder).resolve(), at_a_time) as played,
    ):
        for name, future in played.items():
            outcome, said = _outcome(name, future)
            print(f"{time.monotonic() - started_at:5.0f} s  {name}: {said}", flush=True)
            if outcome is None:
                complaints += [f"{name}: {said}"] * said.startswith("failed")
            else:
                rows += outcome.rows
                complaints += [f"{name}: {complaint}" for complaint in outcome.complaints]
    print(f"\n{table(rows)}\n")
    print("\n".join(complaints))
    return int(bool(complaints) or not all(row.is_right for row in rows))


def _outcome(name: str, future: Future[Outcome]) -> tuple[Outcome | None, str]:
    try:
        outcome = future.result()
    except pytest.skip.Exception as reason:
        return None, f"skipped: {reason}"
    except (Exception, pytest.fail.Exception) as error:
        traceback.print_exc()
        return None, f"failed: {error}"
    return outcome, "right" if outcome.is_right else "WRONG"


if __name__ == "__main__":
    sys.exit(main())
