"""Management commands that cron would run, on a host where the site is served."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.services.pages import Page
from tests.services.processes import eventually
from tests.services.sites import Site, total

NewSite = Callable[..., Site]


def runs(page: Page, command: str) -> dict[str, float]:
    """Return the runs of a command by their outcome; those that have not happened are at 0."""
    return {
        dict(labels)["outcome"]: value
        for (name, labels), value in page.items()
        if name == "command_runs_total" and dict(labels)["command"] == command and value
    }


def test_the_runs_of_commands_are_exported_by_the_server_of_their_host(new_site: NewSite):
    site = new_site(COMMANDS="* !check")
    with site.gunicorn("-w", "2"):
        began_at = time.time()
        for _ in range(3):
            site.command("sell")
        site.command("check")
        with pytest.raises(subprocess.CalledProcessError):
            site.command("loaddata", "nothing")
        page = site.page()

        assert runs(page, "sell") == {"success": 3}
        assert runs(page, "check") == {}
        assert runs(page, "loaddata") == {"failure": 1}
        assert total(page, "command_run_duration_seconds_count", command="sell") == 3
        last = total(page, "command_last_success_timestamp_seconds", command="sell")
        assert began_at < last < time.time()
        assert total(page, "tachikoma_metrics_errors_total") == 0
    assert site.store_dirs()


def test_a_run_that_is_killed_is_not_counted(new_site: NewSite, tmp_path: Path):
    database = str(tmp_path / "without tables")
    site = new_site(COMMANDS="refresh_business_metrics", BUSINESS_INTERVAL="1", SQLITE=database)
    every = ["django", "refresh_business_metrics", "--every", "1"]
    with site.gunicorn("-w", "1"):
        for number in (signal.SIGKILL, signal.SIGTERM):
            with site.running("refresh", *every) as process:
                # It handles the signal once it runs.
                eventually(lambda: "could not be" in site.log("refresh").read_text())
                process.send_signal(number)
                process.wait(20)

        eventually(lambda: runs(site.page(), "refresh_business_metrics") == {"success": 1})
