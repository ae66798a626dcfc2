"""Executions in workers of a site and of its queue: all of them are on one page."""

from __future__ import annotations

import os
import signal

import pytest

from tests.services.processes import eventually
from tests.services.sites import Site, total

pytestmark = pytest.mark.usefixtures("broker")


@pytest.mark.parametrize(
    "pool", ["prefork", "threads", pytest.param("solo", marks=pytest.mark.thorough)]
)
def test_executions_of_the_site_and_of_any_pool_are_on_one_page(site: Site, pool: str):
    with site.gunicorn("-w", "2"), site.celery("--pool", pool, "--concurrency", "2"):
        for _ in range(20):
            site.get("/execute/")
            site.get("/leave/execute/")
        eventually(lambda: total(site.page(), "executions_total") >= 40)
        pages = [site.page() for _ in range(10)]

        ended = {"backend": "openai", "model": "gpt-5"}
        for page in pages:
            assert total(page, "executions_total", **ended, status="success") == 40
            assert total(page, "executions_total") == 40
            assert total(page, "execution_duration_seconds_count", **ended) == 40
            assert total(page, "execution_tokens_total", **ended, type="prompt") == 40 * 7
            assert total(page, "execution_tokens_total", **ended, type="completion") == 40 * 5
            assert page["executions_in_progress", frozenset()] == 0


def test_a_killed_child_leaves_no_execution_in_progress(site: Site):
    with site.gunicorn("-w", "1"), site.celery("--pool", "prefork", "--concurrency", "1"):
        waiting = site.home / "waiting"
        site.get("/leave/execute_slowly/")
        eventually(lambda: waiting.exists() and waiting.read_text() != "")
        before = site.page()
        os.kill(int(waiting.read_text()), signal.SIGKILL)
        eventually(lambda: site.page()["executions_in_progress", frozenset()] == 0)
        site.get("/leave/execute/")
        eventually(lambda: total(site.page(), "executions_total") > 0)
        after = site.page()

        assert before["executions_in_progress", frozenset()] == 1
        assert total(before, "executions_total") == 0
        assert after["executions_in_progress", frozenset()] == 0
        assert total(after, "executions_total") == 1
