"""The totals that a receiver of OTLP has, whatever happens to the processes that count."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.push.receiver import Key, Push, Receiver, receiving
from tests.services.processes import eventually
from tests.services.sites import Client, Site, children, falls, has_children, requests, total

INTERVAL = 1.0
TASKS = "task_runs_total"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def pushing_site(site: Site, receiver: Receiver) -> Site:
    site.environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_METRIC_EXPORT_INTERVAL": str(INTERVAL * 1000),
        "OTEL_EXPORTER_OTLP_TIMEOUT": "5",
    }
    return site


def sender_of(site: Site) -> int:
    """Return the id of the process that holds the lease; 0 if none does."""
    place = os.stat(site.store_dir() / "push-lock").st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5].endswith(f":{place}"):
            return int(fields[4])
    return 0


def ask(site: Site, count: int) -> None:
    """Send so many requests, of which each is answered."""
    clients = [Client(site.port, "/sell/site/", count / 4) for _ in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(120)
    assert sum(client.answered for client in clients) == count
    assert sum(client.sent for client in clients) == count


def kill_sender(site: Site, receiver: Receiver) -> None:
    """Kill the process that sends; return once another one has sent as well."""
    sender, before = sender_of(site), len(receiver.pushes)
    os.kill(sender, signal.SIGKILL)
    killed_at = time.time()
    eventually(lambda: sender_of(site) not in (0, sender))
    eventually(lambda: any(min(p.times) / 1e9 > killed_at for p in receiver.pushes[before:]))


def has_received(receiver: Receiver, count: int) -> bool:
    """Return whether the last push has so many requests."""
    return bool(receiver.pushes) and requests(receiver.pushes[-1].samples) == count


def require_one_sender(pushes: list[Push], receiver: Receiver) -> None:
    """Require one identity, one request at a time, and later times with each of them."""
    assert receiver.most_at_once == 1
    assert len({push.resource["service.instance.id"] for push in pushes}) == 1
    times = []
    for push in pushes:
        (at,) = push.times
        times.append(at)
    assert times == sorted(set(times))


def require_lasting_starts(pushes: list[Push]) -> None:
    """Require that a start that was known once never moves, nor is unknown again."""
    starts: dict[Key, int] = {}
    for push in pushes:
        for key, point in push.points.items():
            known = starts.get(key, 0)
            if known:
                assert point.start_time_unix_nano == known, key
            starts[key] = point.start_time_unix_nano
            assert point.start_time_unix_nano <= point.time_unix_nano, key
    assert any(starts.values())


@pytest.mark.usefixtures("broker")
@pytest.mark.parametrize("number", [600, pytest.param(1660, marks=pytest.mark.thorough)])
def test_no_total_is_lost_or_falls_while_senders_and_workers_die(
    pushing_site: Site, receiver: Receiver, number: int
):
    recycled = ("-w", "4", "--max-requests", "200")
    tasks = ("--concurrency", "2", "--max-tasks-per-child", "5")
    with contextlib.ExitStack() as stack:
        # A worker of Celery whose main process is killed would do no more of its tasks.
        stack.enter_context(pushing_site.celery(*tasks))
        pushing_site.environment |= {"OTLP": "1"}
        server = stack.enter_context(pushing_site.gunicorn(*recycled))
        eventually(lambda: bool(receiver.pushes) and sender_of(pushing_site) != 0)
        for _ in range(3):
            ask(pushing_site, number)
            for _ in range(10):
                pushing_site.get("/deliver/")
            kill_sender(pushing_site, receiver)
        os.kill(children(server)[0], signal.SIGKILL)
        eventually(lambda: has_children(server, 4))
        counted = 3 * number + 3 * 10
        eventually(lambda: requests(receiver.pushes[-1].samples) == counted)
        eventually(lambda: total(receiver.pushes[-1].samples, TASKS, outcome="success") == 30)
        page = pushing_site.page()

    pushes = list(receiver.pushes)
    samples = [push.samples for push in pushes]
    assert requests(page) == counted
    # A delivery is a sale as well.
    assert total(samples[-1], "depot_sales_total") == counted
    assert total(page, TASKS, outcome="success") == 30
    assert falls(samples) == []
    require_one_sender(pushes, receiver)
    require_lasting_starts(pushes)


def test_totals_and_their_starts_go_on_after_a_restart(pushing_site: Site, receiver: Receiver):
    pushing_site.environment |= {"OTLP": "1"}
    for counted in (40, 80):
        arrived = partial(has_received, receiver, counted)
        with pushing_site.gunicorn("-w", "2"):
            ask(pushing_site, 40)
            eventually(arrived)

    pushes = list(receiver.pushes)
    assert falls([push.samples for push in pushes]) == []
    require_one_sender(pushes, receiver)
    require_lasting_starts(pushes)


@pytest.mark.usefixtures("broker")
def test_a_worker_of_celery_sends_where_nothing_else_does(pushing_site: Site, receiver: Receiver):
    pushing_site.environment |= {"OTLP": "1"}
    code = "from depot.celery import app; [app.send_task('depot.tasks.deliver') for _ in range(5)]"
    with pushing_site.celery("--concurrency", "2", "--max-tasks-per-child", "1"):
        pushing_site.command("shell", "-c", code)
        eventually(
            lambda: (
                bool(receiver.pushes)
                and total(receiver.pushes[-1].samples, TASKS, outcome="success") == 5
            )
        )

    require_one_sender(list(receiver.pushes), receiver)


def test_a_command_sends_the_last_values_when_it_is_ended(pushing_site: Site, receiver: Receiver):
    with pushing_site.gunicorn("-w", "2"):
        command = ("django", "metrics_push", "otlp", "--interval", "60")
        with pushing_site.running("push", *command) as push:
            eventually(lambda: len(receiver.pushes) == 1)
            standby = subprocess.run(
                [sys.executable, "-m", *command[:3], "--once"],
                cwd=pushing_site.home,
                env=pushing_site.environment,
                capture_output=True,
                text=True,
                timeout=60,
            )
            for _ in range(25):
                pushing_site.get()
            push.terminate()
            assert push.wait(20) == 0
        log = pushing_site.log("push").read_text()

    assert [requests(push.samples) for push in receiver.pushes] == [0, 25]
    assert "Sending to" in log
    assert log.rstrip().endswith("Ended; the last push: success.")
    assert standby.returncode == 1
    assert "Another process of this host is the sender" in standby.stderr
    assert len(standby.stderr.strip().splitlines()) == 1
    require_one_sender(list(receiver.pushes), receiver)


def test_nothing_waits_for_a_receiver_that_hangs(pushing_site: Site, receiver: Receiver):
    receiver.is_hanging.set()
    pushing_site.environment |= {"OTLP": "1"}
    with pushing_site.gunicorn("-w", "1", "--threads", "4"):
        eventually(lambda: len(receiver.pushes) > 0)
        before = resident(pushing_site)
        ask(pushing_site, 400)
        assert receiver.now == 1
        page = pushing_site.page()
        after = resident(pushing_site)
        receiver.is_hanging.clear()
        eventually(lambda: requests(receiver.pushes[-1].samples) == 400)

    assert requests(page) == 400
    assert after - before < 20e6


def resident(site: Site) -> float:
    return total(site.page(), "process_resident_memory_bytes")


def test_preloaded_workers_take_turns_and_their_server_does_not(
    pushing_site: Site, receiver: Receiver
):
    pushing_site.environment |= {"OTLP": "1"}
    with pushing_site.gunicorn("-w", "2", "--preload") as server:
        eventually(lambda: bool(receiver.pushes) and sender_of(pushing_site) != 0)
        assert sender_of(pushing_site) in children(server)
        kill_sender(pushing_site, receiver)
        eventually(lambda: sender_of(pushing_site) in children(server))


def test_a_command_that_serves_nothing_does_not_send(pushing_site: Site, receiver: Receiver):
    pushing_site.environment |= {"OTLP": "1"}

    pushing_site.command(
        "shell", "-c", "import time; from depot import metrics; metrics.sell('a'); time.sleep(1)"
    )

    assert receiver.pushes == []
