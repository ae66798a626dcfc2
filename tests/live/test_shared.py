"""However many viewers and processes there are, an answer is made once for all of them."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

from tests.processes import scripts

PRELUDE = """
from tachikoma_metrics.live.shared import Shared

made = os.path.join(os.environ["STORE"], os.pardir, "made")

def make():
    with open(made, "a") as file:
        file.write("x")
    return f"made by {os.getpid()}"

def count():
    with open(made) as file:
        return len(file.read())

METRICS.cache_hits_total.inc()
"""


@pytest.fixture(autouse=True)
def _forks() -> None:
    if not hasattr(os, "fork"):
        pytest.skip("needs fork()")


def run(text: str, folder: Path, **settings: object) -> str:
    script = PRELUDE + textwrap.dedent(text)
    return scripts.run(script, folder / "store", **settings).strip()  # type: ignore[arg-type]


def test_ten_viewers_of_several_processes_cost_one_answer(tmp_path: Path):
    found = run(
        """
        shared = Shared("view", 60.0, make)

        def ask():
            assert [shared.text() for _ in range(5)] == [first] * 5

        first = shared.text()
        for _ in range(2):
            in_child(ask)
        print(count(), first == f"made by {os.getpid()}")
        """,
        tmp_path,
    )

    assert found == "1 True"


def test_an_answer_that_is_too_old_is_made_anew(tmp_path: Path):
    found = run(
        """
        shared = Shared("view", 0.0, make)
        for _ in range(3):
            shared.text()
        print(count())
        """,
        tmp_path,
    )

    assert found == "3"


def test_while_one_process_makes_an_answer_others_have_the_last_one(tmp_path: Path):
    found = run(
        """
        Shared("view", 0.0, make).text()

        def slow():
            in_child(lambda: print(Shared("view", 0.0, make).text() != "slow", flush=True))
            return "slow"

        print(Shared("view", 0.0, slow).text(), count())
        """,
        tmp_path,
    )

    assert found.split() == ["True", "slow", "1"]


def test_without_a_shared_directory_each_process_makes_its_own(tmp_path: Path):
    found = run(
        """
        os.mkdir(os.environ["STORE"])
        shared = Shared("view", 60.0, make)
        for _ in range(3):
            shared.text()
        print(count())
        """,
        tmp_path,
        STORE_DIR=None,
    )

    assert found == "1"


def test_what_cannot_be_shared_is_answered_and_counted(tmp_path: Path):
    found = run(
        """
        import logging
        logging.getLogger("tachikoma_metrics").setLevel("CRITICAL")
        os.mkdir(os.path.join(os.environ["STORE"], "attached-view.unfinished"))
        print(Shared("view", 60.0, make).text() == f"made by {os.getpid()}",
              sample_value("tachikoma_metrics_errors_total", source="live"))
        """,
        tmp_path,
    )

    assert found == "True 1.0"
