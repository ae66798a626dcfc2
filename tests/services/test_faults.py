"""The files that processes share fail; the site does not, and neither does its page."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import resource
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tachikoma_metrics.exposition.parse import parse_text
from tests.services.pages import Page
from tests.services.processes import answers, eventually, free_port, get
from tests.services.sites import Load, Site, falls, has_children, requests, total


def faults(page: Page) -> float:
    return total(page, "tachikoma_metrics_errors_total", source="store")


def test_a_removed_directory_comes_back_with_all_that_living_processes_counted(site: Site):
    with site.gunicorn("-w", "2"):
        for _ in range(50):
            site.get("/sell/site/")
        shutil.rmtree(site.store_dir())
        numbers = itertools.count(51)

        def all_is_on_every_page() -> bool:
            site.get("/sell/site/")
            sent = next(numbers)
            got = [get(f"{site.url}/metrics") for _ in range(10)]
            if {status for status, _ in got} != {200}:
                # Whose file is gone, and not yet made anew, has no page.
                assert {status for status, _ in got} <= {200, 503}
                return False
            pages = [parse_text(body.decode()) for _, body in got]
            return all(requests(page) == total(page, "depot_sales_total") == sent for page in pages)

        eventually(all_is_on_every_page)


def test_without_a_usable_directory_a_process_counts_alone(
    new_site: Callable[..., Site], tmp_path: Path
):
    (tmp_path / "file").touch()
    site = new_site(STORE_DIR=str(tmp_path / "file" / "store"))
    with site.gunicorn("-w", "1"):
        for _ in range(10):
            site.get("/sell/site/")
        page = site.page()

        assert requests(page) == 10
        assert total(page, "depot_sales_total") == 10
        assert faults(page) >= 1
        assert site.log("gunicorn").read_text().count("Instrumentation error in store") == 1


SEVERAL = {
    "forked": ("gunicorn", "depot.wsgi", "-w", "2", "--bind", "127.0.0.1:{port}"),
    "spawned": ("uvicorn", "depot.asgi:application", "--workers", "2", "--port", "{port}"),
}
ALONE = {
    "reloaded": ("django", "runserver", "{port}"),
    "not reloaded": ("django", "runserver", "--noreload", "{port}"),
}


@pytest.mark.parametrize("command", SEVERAL.values(), ids=SEVERAL)
def test_without_a_usable_directory_several_workers_serve_no_totals(
    new_site: Callable[..., Site], tmp_path: Path, command: tuple[str, ...]
):
    with served_without_a_directory(new_site, tmp_path, command) as site:
        seen: set[str] = set()

        def have_all_answered() -> bool:
            seen.add(site.get())
            return len(seen) == 2

        eventually(have_all_answered)
        got = [get(f"{site.url}/metrics") for _ in range(10)]

        assert {status for status, _ in got} == {503}
        assert b"What the other processes have counted cannot be read: " in got[0][1]


@pytest.mark.parametrize("command", ALONE.values(), ids=ALONE)
def test_without_a_usable_directory_a_development_server_serves_what_it_has(
    new_site: Callable[..., Site], tmp_path: Path, command: tuple[str, ...]
):
    with served_without_a_directory(new_site, tmp_path, command) as site:
        for _ in range(4):
            site.get()

        assert requests(site.page(), path="/") >= 4


@contextlib.contextmanager
def served_without_a_directory(
    new_site: Callable[..., Site], tmp_path: Path, command: tuple[str, ...]
) -> Iterator[Site]:
    (tmp_path / "file").touch()
    site = new_site(STORE_DIR=str(tmp_path / "file" / "store"))
    site.port = free_port()
    with site.running("server", *(part.format(port=site.port) for part in command)):
        eventually(lambda: answers(f"{site.url}/"))
        yield site


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    try:
        subprocess.run(["mount", *options], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.CalledProcessError) as trouble:
        pytest.skip(f"a file system cannot be mounted here: {trouble}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True, timeout=20)


def test_a_full_disk_loses_no_answer_and_no_older_series(
    new_site: Callable[..., Site], small_disk: Path
):
    site = new_site(STORE_DIR=str(small_disk / "store"))
    old = frozenset({("seller", "old")})
    with site.gunicorn("-w", "2"):
        site.get("/sell/old/")
        numbers = itertools.count()

        def is_full() -> bool:
            for _ in range(100):
                site.get(f"/sell/{next(numbers)}{'x' * 150}/")
            return faults(site.page()) > 0

        eventually(is_full)
        pages = []
        for _ in range(100):
            site.get(f"/sell/{next(numbers)}{'x' * 150}/")
            site.get("/sell/old/")
            pages.append(site.page())

        assert requests(pages[-1]) == 101 + next(numbers)
        # What has no room is on no page, whichever of the two makes it.
        assert falls(pages) == []
        assert 1 < total(pages[-1], "depot_sales_total") < 101 + next(numbers) - 1

        # With room, all of it is there.
        options = ["-o", "remount,size=8m", str(small_disk)]
        subprocess.run(["mount", *options], check=True, timeout=20)
        sent = next(numbers) - 2

        def all_is_there() -> bool:
            site.get()
            return total(site.page(), "depot_sales_total") == 101 + sent

        eventually(all_is_there)
        assert site.page()["depot_sales_total", old] == 101


def test_clients_that_use_up_the_descriptors_make_no_total_fall(site: Site):
    # asyncio logs an error for each connection that the backlog may hold, and does nothing else.
    options = ["--workers", "2", "--timeout-keep-alive", "60", "--backlog", "16"]
    with site.uvicorn(*options) as process, contextlib.ExitStack() as stack:
        for _ in range(40):
            site.get()
        kept = connections_to_all(site, 2, stack)
        for pid in kept:
            used = max(map(int, os.listdir(f"/proc/{pid}/fd")))
            _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 8, hard))
        sent = requests(scraped(kept[min(kept)]), path="/")

        def are_used_up() -> bool:
            address = ("127.0.0.1", site.port)
            stack.enter_context(socket.create_connection(address, timeout=20))
            return all(free_descriptors(pid) == 0 for pid in kept)

        eventually(are_used_up)
        during = [requests(scraped(one), path="/") for one in kept.values() for _ in range(3)]

        assert process.poll() is None
        assert sent >= 40
        assert during == [sent] * 6


def connections_to_all(
    site: Site, count: int, stack: contextlib.ExitStack
) -> dict[int, http.client.HTTPConnection]:
    """Return a connection to each worker that is kept open, by its pid."""
    found: dict[int, http.client.HTTPConnection] = {}

    def are_all_found() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
        stack.callback(connection.close)
        pid = int(ask(connection, "/"))
        found.setdefault(pid, connection)
        return len(found) == count

    eventually(are_all_found)
    return found


def ask(connection: http.client.HTTPConnection, path: str) -> str:
    connection.request("GET", path)
    with connection.getresponse() as answer:
        body = answer.read().decode()
    assert answer.status == 200, body
    return body


def scraped(connection: http.client.HTTPConnection) -> Page:
    return parse_text(ask(connection, "/metrics"))


def free_descriptors(pid: int) -> int:
    limit, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    return limit - sum(int(number) < limit for number in os.listdir(f"/proc/{pid}/fd"))


def test_damaged_files_hide_nothing_else(new_site: Callable[..., Site]):
    other = new_site("other")
    with other.gunicorn("-w", "1"):
        other.get("/sell/other/")
        other.page()
        sound = (other.store_dir() / "slot-0").read_bytes()
    damaged = {
        "empty": b"",
        "short": b"abc",
        "truncated": sound[: len(sound) // 2],
        "cut in a record": sound[:1001],
        "garbage": bytes(range(256)) * 256,
        "other version": b"\xff" * 8 + sound[8:],
        "broken header": sound[:8] + b"\xff" * 120 + sound[128:],
        "broken records": sound[:128] + b"\xff" * 2000 + sound[2128:],
    }
    site = new_site("site")
    with site.gunicorn("-w", "2", "--preload") as server:
        for _ in range(20):
            site.get()
            site.get("/sell/site/")
        for number, content in enumerate(damaged.values(), len(site.slots())):
            (site.store_dir() / f"slot-{number}").write_bytes(content)
        beside = [site.page() for _ in range(10)]

        # More workers, so that each of these files is somebody's to take.
        for count in range(3, 3 + len(damaged)):
            server.send_signal(signal.SIGTTIN)
            eventually(partial(has_children, server, count))
        with Load(site, "/sell/site/") as load:
            eventually(lambda: total(site.page(), "tachikoma_metrics_processes") == count)
        taken = [site.page() for _ in range(10)]

        for page in beside:
            assert requests(page, path="/") == 20
            assert total(page, "depot_sales_total", seller="site") == 20
            assert faults(page) >= 1
        for page in taken:
            assert requests(page, path="/") == 20
            assert total(page, "depot_sales_total", seller="site") == 20 + load.answered
        assert falls(load.pages) == []


def test_a_damaged_file_is_logged_once(site: Site):
    with site.gunicorn("-w", "1"):
        site.get()
        (site.store_dir() / "slot-7").write_bytes(b"no slot" * 1000)
        pages = [site.page() for _ in range(10)]

        assert faults(pages[-1]) >= 1
        assert site.log("gunicorn").read_text().count("Instrumentation error in store") == 1
