"""Business counts: a real beat, real workers, real brokers, and PostgreSQL behind a proxy."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.databases import POSTGRESQL, connected, made_database
from tests.services.pages import Page, read
from tests.services.processes import eventually, free_port, get, is_listening, missing
from tests.services.proxies import Proxy
from tests.services.sites import Site, total

RABBITMQ = 5672
INTERVAL = 0.5

NewSite = Callable[..., Site]


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Stand between the sites and PostgreSQL."""
    if not is_listening(POSTGRESQL):
        missing(f"nothing listens on port {POSTGRESQL}")
    with Proxy(POSTGRESQL) as proxy:
        yield proxy


@pytest.fixture
def unmigrated() -> Iterator[str]:
    """Make a database without a table."""
    with made_database() as name:
        yield name


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Make a database with all tables that any of the sites needs, once."""
    home = tmp_path_factory.mktemp("migrated")
    with made_database() as name:
        site = Site(
            home / "site",
            APP="django_celery_beat",
            POSTGRESQL_PORT=str(POSTGRESQL),
            POSTGRESQL_NAME=name,
            BUSINESS_INTERVAL=str(INTERVAL),
            STORE_DIR=str(home / "store"),
        )
        site.command("migrate", "--verbosity", "0")
        yield name


@pytest.fixture
def database(migrated: str) -> Iterator[str]:
    """Copy the migrated database, and remove the copy."""
    with made_database(migrated) as name:
        yield name


@pytest.fixture
def counting(new_site: NewSite, database: str, proxy: Proxy, tmp_path: Path) -> NewSite:
    """Return a maker of sites that count their users."""

    def new(name: str = "site", **environment: str) -> Site:
        return new_site(
            name,
            POSTGRESQL_PORT=str(proxy.port),
            POSTGRESQL_NAME=database,
            BUSINESS_INTERVAL=str(INTERVAL),
            STORE_DIR=str(tmp_path / f"store of {name}"),
            **environment,
        )

    return new


@pytest.fixture(params=["rabbitmq", pytest.param("redis", marks=pytest.mark.thorough)])
def any_broker(request: pytest.FixtureRequest) -> str:
    """Return the address of a broker."""
    if request.param == "redis":
        if not is_listening(6379):
            missing("nothing listens on port 6379")
        return "redis://127.0.0.1:6379/9"
    if not is_listening(RABBITMQ):
        missing(f"nothing listens on port {RABBITMQ}")
    return f"amqp://guest:guest@127.0.0.1:{RABBITMQ}//"


@pytest.fixture
def redis() -> dict[str, str]:
    """Return an environment with a queue of its own in Redis."""
    if not is_listening(6379):
        missing("nothing listens on port 6379")
    return {"BROKER": "redis://127.0.0.1:6379/9", "QUEUE": f"depot {os.getpid()} {time.time()}"}


def add_users(database: str, count: int, active: bool = True) -> None:
    with connected(database) as connection:
        connection.execute(
            "INSERT INTO auth_user (password, is_superuser, username, first_name, last_name,"
            " email, is_staff, is_active, date_joined)"
            " SELECT '', false, md5(random()::text), '', '', '', false, %s, now()"
            " FROM generate_series(1, %s)",
            [active, count],
        )


def users(page: Page) -> dict[str, float]:
    return {
        dict(labels)["active"]: value for (name, labels), value in page.items() if name == "users"
    }


def taken_at(page: Page) -> float:
    return total(page, "tachikoma_metrics_business_timestamp_seconds")


def all_show(site: Site, expected: dict[str, float]) -> bool:
    return all(users(site.page()) == expected for _ in range(6))


def test_every_web_worker_shows_what_a_celery_worker_counted(
    counting: NewSite, database: str, any_broker: str
):
    site = counting(BROKER=any_broker, QUEUE=f"depot-{os.getpid()}-{time.time()}")
    add_users(database, 3)
    with site.gunicorn("-w", "2"), site.celery("-c", "2"), site.beat():
        eventually(lambda: all_show(site, {"true": 3}))
        add_users(database, 4, active=False)
        eventually(lambda: all_show(site, {"true": 3, "false": 4}), 3 * INTERVAL + 2)
        with connected(database) as connection:
            connection.execute("DELETE FROM auth_user WHERE is_active")
        eventually(lambda: all_show(site, {"false": 4}), 3 * INTERVAL + 2)

        assert total(site.page(), "groups") == 0
        assert total(site.page(), "tachikoma_metrics_business_up") == 1
        assert total(site.page(), "tachikoma_metrics_errors_total") == 0


def test_two_hosts_show_the_same_and_a_worker_serves_its_own(
    counting: NewSite, database: str, redis: dict[str, str]
):
    port = free_port()
    web = counting(**redis)
    worker = counting("worker", WORKER_PORT=str(port), **redis)
    add_users(database, 5)

    def worker_page() -> Page:
        status, body = get(f"http://127.0.0.1:{port}/metrics")
        assert status == 200
        return read(body.decode())

    with web.gunicorn("-w", "2"), worker.celery("-c", "2"):
        for _ in range(10):
            web.get("/deliver/")
        eventually(lambda: total(worker_page(), "depot_deliveries_total") == 10)
        eventually(lambda: users(web.page()) == {"true": 5})

        assert users(worker_page()) == {"true": 5}
        assert taken_at(worker_page()) == taken_at(web.page()) > 0
        assert total(web.page(), "depot_deliveries_total") == 0
        assert get(f"http://127.0.0.1:{port}/nothing")[0] == 404


def test_a_port_in_use_is_a_line_in_the_log_of_the_worker(
    counting: NewSite, database: str, redis: dict[str, str]
):
    with Proxy(POSTGRESQL) as other:
        site = counting(WORKER_PORT=str(other.port), **redis)
        with site.celery("-c", "1"):
            eventually(lambda: "(WORKER_PORT) is in use" in site.log("celery").read_text())


def test_without_a_beat_the_counts_age_and_vanish(
    counting: NewSite, database: str, redis: dict[str, str]
):
    site = counting(BUSINESS_MAX_AGE="3", **redis)
    add_users(database, 1)
    with site.gunicorn("-w", "2"):
        with site.celery("-c", "1"):
            eventually(lambda: users(site.page()) == {"true": 1})
        before = taken_at(site.page())
        eventually(lambda: users(site.page()) == {}, 10)

        assert taken_at(site.page()) == before


def test_two_beats_make_one_refresh_each_interval(
    counting: NewSite, database: str, redis: dict[str, str]
):
    site = counting(**redis)
    with site.gunicorn("-w", "1"), site.celery("-c", "2"), site.beat("first"), site.beat("second"):
        eventually(lambda: taken_at(site.page()) > 0)
        began_at = time.monotonic()
        seen = set()
        while time.monotonic() - began_at < 10 * INTERVAL:
            seen.add(taken_at(site.page()))
            time.sleep(INTERVAL / 5)

        # Those that began in these ten intervals, and the one before.
        assert 4 <= len(seen) <= 12


@pytest.mark.parametrize(
    "scheduler",
    [
        "celery.beat:PersistentScheduler",
        pytest.param("django_celery_beat.schedulers:DatabaseScheduler", marks=pytest.mark.thorough),
    ],
)
def test_a_worker_that_was_away_makes_up_for_one_refresh(
    counting: NewSite, database: str, redis: dict[str, str], scheduler: str
):
    app = scheduler.partition(".")[0]
    site = counting(**redis, **({} if app == "celery" else {"APP": app}))
    with site.gunicorn("-w", "1"):
        with site.beat("beat", "--scheduler", scheduler, "--max-interval", "1"):
            eventually(lambda: site.log("beat").read_text().count("Sending due task") >= 6)
        time.sleep(INTERVAL)
        with site.celery("-c", "1"):
            eventually(lambda: taken_at(site.page()) > 0)
            time.sleep(2 * INTERVAL)
            log = site.log("celery").read_text()

        assert log.count("succeeded") == 1
        assert log.count("Discarding revoked task") >= 5


def test_the_command_does_without_celery(counting: NewSite, database: str):
    site = counting()
    add_users(database, 2)
    every = ["django", "refresh_business_metrics", "--every", "0.5"]
    with site.gunicorn("-w", "2"), site.running("refresh", *every) as process:
        eventually(lambda: users(site.page()) == {"true": 2})
        add_users(database, 1)
        eventually(lambda: users(site.page()) == {"true": 3}, 5)
        process.send_signal(signal.SIGTERM)

        assert process.wait(10) == 0
        assert 'users{active="true"} 3' in site.log("refresh").read_text()


@pytest.mark.parametrize("trouble", ["refuse", "hang"])
def test_a_database_that_is_away_costs_a_second_once(
    counting: NewSite, database: str, proxy: Proxy, trouble: str
):
    site = counting()
    add_users(database, 2)
    every = ["django", "refresh_business_metrics", "--every", "0.5"]
    with site.gunicorn("-w", "1"), site.running("refresh", *every):
        eventually(lambda: users(site.page()) == {"true": 2})
        time.sleep(1.1)
        getattr(proxy, trouble)()
        took = []
        for _ in range(3):
            before = time.monotonic()
            page = site.page()
            took.append(time.monotonic() - before)
            assert users(page) == {"true": 2}
            assert total(page, "tachikoma_metrics_business_up") == 0
            time.sleep(1.1)

        assert took[0] < 2
        assert max(took[1:]) < 0.5
        proxy.pass_on()
        add_users(database, 1)
        eventually(lambda: users(site.page()) == {"true": 3})
        assert total(site.page(), "tachikoma_metrics_business_up") == 1


def test_an_unmigrated_database_is_a_fault_and_nothing_else(
    new_site: NewSite, unmigrated: str, proxy: Proxy, tmp_path: Path
):
    site = new_site(
        POSTGRESQL_PORT=str(proxy.port),
        POSTGRESQL_NAME=unmigrated,
        BUSINESS_INTERVAL="1",
        STORE_DIR=str(tmp_path / "store"),
    )
    with site.gunicorn("-w", "2"):
        site.get("/")
        page = site.page()

        assert total(page, "http_requests_total") == 1
        assert total(page, "tachikoma_metrics_business_up") == 0
        # One for each page that could not read it, those at the start included.
        assert total(page, "tachikoma_metrics_errors_total", source="business") >= 1
