"""Processes are killed; what they counted is not."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import threading
import time

import pytest

from tests.services.processes import eventually
from tests.services.sites import Load, Site, children, falls, has_children, requests, total


def test_a_killed_worker_loses_no_finished_request_and_nothing_in_flight(site: Site):
    with site.gunicorn("-w", "2"):
        for _ in range(20):
            site.get()
        waiting = site.home / "waiting"

        client = threading.Thread(target=ask_and_get_nothing, args=[site])
        client.start()
        eventually(lambda: waiting.exists() and waiting.read_text() != "")
        before = site.page()
        os.kill(int(waiting.read_text()), signal.SIGKILL)
        client.join(60)
        after = [site.page() for _ in range(5)]

        assert total(before, "http_requests_in_flight") == 1
        assert {total(page, "http_requests_in_flight") for page in after} == {0}
        assert {requests(page) for page in [before, *after]} == {20}


def test_requests_that_died_with_their_workers_are_counted_once(site: Site):
    with site.gunicorn("-w", "2") as server:
        waiting = site.home / "waiting"
        clients = [threading.Thread(target=ask_and_get_nothing, args=[site]) for _ in range(2)]
        counts = [total(site.page(), "http_requests_lost_total")]
        for client in clients:
            waiting.unlink(missing_ok=True)
            client.start()
            eventually(lambda: waiting.exists() and waiting.read_text() != "")
            os.kill(int(waiting.read_text()), signal.SIGKILL)
            client.join(60)
            # Some of these pages are of a time before, others of after the next worker
            # took the slot over.
            counts += [total(site.page(), "http_requests_lost_total") for _ in range(3)]
            eventually(lambda: has_children(server, 2))
            counts += [total(site.page(), "http_requests_lost_total") for _ in range(3)]

    assert counts == [0, *[1] * 6, *[2] * 6]


def ask_and_get_nothing(site: Site) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        site.get("/wait/")


def test_no_total_falls_when_all_workers_die_at_once(site: Site):
    with site.gunicorn("-w", "2", "--preload") as server:
        for count in (20, 40, 60):
            for _ in range(20):
                site.get("/sell/site/")
            for worker in children(server):
                os.kill(worker, signal.SIGKILL)
            page = site.page()

            assert requests(page) == count
            assert total(page, "depot_sales_total") == count


def test_the_processor_time_of_a_killed_worker_is_not_forgotten(site: Site):
    with site.gunicorn("-w", "2", "--preload"):
        pages = [site.page()]
        for _ in range(2):
            worker = int(site.get("/burn/"))
            pages.append(site.page())
            os.kill(worker, signal.SIGKILL)
            pages += [site.page() for _ in range(3)]

        times = [total(page, "process_cpu_seconds_total") for page in pages]
        assert times == sorted(times)
        assert times[-1] - times[0] >= 1.0


@pytest.mark.parametrize("kills", [12, pytest.param(40, marks=pytest.mark.thorough)])
def test_no_total_falls_in_a_storm_of_kills(site: Site, kills: int):
    with site.gunicorn("-w", "4", "--preload") as server:
        with Load(site, "/sell/site/") as load:
            for _ in range(kills):
                time.sleep(0.15)
                if workers := children(server):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(random.choice(workers), signal.SIGKILL)  # noqa: S311
        eventually(lambda: has_children(server, 4))
        pages = [site.page() for _ in range(10)]

        assert load.answered > 100
        assert falls([*load.pages, *pages]) == []
        # One whose answer was lost may have been counted: it had been answered.
        for page in pages:
            assert load.answered <= requests(page) <= load.sent
            assert load.answered <= total(page, "depot_sales_total") <= load.sent
        assert {total(page, "http_requests_in_flight") for page in pages} == {0}
        assert len(site.slots()) <= 4 + 1
