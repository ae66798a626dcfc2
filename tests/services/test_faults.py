"""The files that processes share fail; the site does not, and neither does its page."""

from __future__ import annotations

import itertools
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.services.pages import Page
from tests.services.processes import eventually
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
            pages = [site.page() for _ in range(10)]
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
    with site.gunicorn("-w", "1"):
        site.get("/sell/old/")
        numbers = itertools.count()

        def is_full() -> bool:
            for _ in range(100):
                site.get(f"/sell/{next(numbers)}{'x' * 150}/")
            return faults(site.page()) > 0

        eventually(is_full)
        for _ in range(100):
            site.get(f"/sell/{next(numbers)}{'x' * 150}/")
            site.get("/sell/old/")
        page = site.page()

        assert page["depot_sales_total", old] == 101
        assert requests(page) == 101 + next(numbers)
        assert total(page, "depot_price_count") == 101 + next(numbers) - 1


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
