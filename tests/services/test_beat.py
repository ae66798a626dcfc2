"""Celery beat: real processes, a Redis that goes away, and schedules in a file and a database."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.services.processes import eventually, free_port, is_listening, missing, program, running
from tests.services.proxies import Proxy
from tests.services.sites import Site, total

NewSite = Callable[..., Site]

OFTEN = {"task": "depot.tasks.deliver", "schedule": 1}
RARE = {"task": "depot.tasks.deliver", "schedule": 3600}
REFRESH = "tachikoma_metrics: refresh business metrics"

FILE = "celery.beat:PersistentScheduler"
DATABASE = "django_celery_beat.schedulers:DatabaseScheduler"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Proxy]:
    """Run a Redis server, and return the proxy before it."""
    port = free_port()
    alone = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    with running([program("redis-server"), *alone], tmp_path / "redis.log"):
        eventually(lambda: is_listening(port))
        with Proxy(port) as proxy:
            yield proxy


@pytest.fixture(
    params=[pytest.param(FILE, marks=pytest.mark.thorough), DATABASE], ids=["file", "database"]
)
def scheduler(request: pytest.FixtureRequest) -> str:
    if request.param == DATABASE and find_spec("django_celery_beat") is None:
        missing("django-celery-beat is not installed")
    return str(request.param)


@pytest.fixture
def site(new_site: NewSite, redis: Proxy, scheduler: str, tmp_path: Path) -> Site:
    """Return a site with a schedule of two entries, beside the one for business metrics."""
    site = new_site(
        BROKER=f"redis://127.0.0.1:{redis.port}/0",
        STORE_DIR=str(tmp_path / "store"),
        SQLITE=str(tmp_path / "db.sqlite3"),
        BEAT_SCHEDULE=json.dumps({"often": OFTEN, "rare": RARE}),
        **({"APP": "django_celery_beat"} if scheduler == DATABASE else {}),
    )
    if scheduler == DATABASE:
        site.command("migrate", "--verbosity", "0")
    return site


def overdue(site: Site) -> dict[str, float]:
    """Return the seconds for which each entry of the project has been due."""
    return {
        dict(labels)["entry"]: value
        for (name, labels), value in site.page().items()
        if name == "beat_entry_overdue_seconds"
        and dict(labels)["entry"] not in (REFRESH, "celery.backend_cleanup")
    }


def last_tick(site: Site) -> float:
    return total(site.page(), "beat_last_tick_timestamp_seconds")


def options(scheduler: str) -> list[str]:
    return ["--scheduler", scheduler, "--max-interval", "1"]


def test_a_beat_that_works_ticks_and_has_nothing_overdue(site: Site, scheduler: str):
    with site.gunicorn("-w", "1"):
        with site.beat("beat", *options(scheduler)):
            eventually(lambda: overdue(site) == {"often": 0, "rare": 0})
            first = last_tick(site)
            eventually(lambda: last_tick(site) > first + 1)
            # A send may be under way while one page is read.
            seen = [overdue(site) for _ in range(10)]
            assert sum(one == {"often": 0, "rare": 0} for one in seen) >= 8
            sent = {"name": "task_sends_total", "task": "depot.tasks.deliver"}
            eventually(lambda: total(site.page(), **sent) >= 2)
        stopped = last_tick(site)
        time.sleep(1.5)

        assert last_tick(site) == stopped
        assert time.time() - stopped < 60
        assert total(site.page(), "tachikoma_metrics_errors_total") == 0


def test_an_entry_that_cannot_be_sent_is_overdue_until_the_broker_is_back(
    site: Site, scheduler: str, redis: Proxy
):
    with site.gunicorn("-w", "1"), site.beat("beat", *options(scheduler)):
        # Before its first connection, beat waits for its broker and looks at nothing else.
        eventually(lambda: total(site.page(), "task_sends_total") >= 1)
        redis.refuse()
        eventually(lambda: overdue(site)["often"] > 1.5, 20)
        assert overdue(site)["rare"] == 0
        redis.pass_on()
        eventually(lambda: overdue(site) == {"often": 0, "rare": 0})


def test_an_entry_that_is_removed_disappears(site: Site, scheduler: str):
    with site.gunicorn("-w", "1"):
        with site.beat("beat", *options(scheduler)):
            eventually(lambda: overdue(site) == {"often": 0, "rare": 0})
            if scheduler == DATABASE:
                remove = "PeriodicTask.objects.get(name='rare').delete()"
                imports = "from django_celery_beat.models import PeriodicTask"
                site.command("shell", "-c", f"{imports}; {remove}")
                eventually(lambda: overdue(site) == {"often": 0}, 20)
        if scheduler == FILE:
            # Which reads its entries when it starts.
            site.environment["BEAT_SCHEDULE"] = json.dumps({"often": OFTEN})
            with site.beat("beat", *options(scheduler)):
                eventually(lambda: overdue(site) == {"often": 0})
