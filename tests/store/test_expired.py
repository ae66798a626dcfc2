"""Directories of services and releases that are gone are removed, and nothing else."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from tachikoma_metrics.store import expired
from tachikoma_metrics.store.names import name_of

DAY = 24 * 3600
GONE, ANOTHER, KEPT = map(name_of, ("gone", "another", "kept"))


def age(path: Path, seconds: float = 1.5 * DAY) -> None:
    then = time.time() - seconds
    if path.is_dir() and not path.is_symlink():
        for inner in path.iterdir():
            os.utime(inner, (then, then), follow_symlinks=False)
    os.utime(path, (then, then), follow_symlinks=False)


def left_behind(base: Path, name: str, *slots: str) -> Path:
    directory = base / name
    directory.mkdir(mode=0o700)
    for slot in slots or ("slot-0", "slot-1"):
        (directory / slot).write_bytes(b"values")
    age(directory)
    return directory


def sweep(base: Path, *kept: str) -> set[str]:
    expired.sweep([str(base)], kept)
    return {path.name for path in base.iterdir()}


def test_a_directory_that_was_not_used_for_a_day_is_removed(tmp_path: Path):
    left_behind(tmp_path, GONE, "slot-0", "unfinished")
    left_behind(tmp_path, ANOTHER)

    assert sweep(tmp_path) == set()


def test_a_directory_that_was_used_today_stays(tmp_path: Path):
    age(left_behind(tmp_path, GONE), DAY / 2)
    os.utime(left_behind(tmp_path, ANOTHER) / "slot-1")

    assert sweep(tmp_path) == {GONE, ANOTHER}


def test_a_directory_in_which_a_process_holds_a_file_stays(tmp_path: Path):
    directory = left_behind(tmp_path, GONE)
    with (directory / "slot-1").open() as slot:
        fcntl.flock(slot, fcntl.LOCK_EX)
        assert sweep(tmp_path) == {GONE}
    assert sorted(path.name for path in directory.iterdir()) == ["slot-0", "slot-1"]

    assert sweep(tmp_path) == set()


def test_a_directory_that_a_process_is_about_to_use_stays(tmp_path: Path):
    left_behind(tmp_path, GONE)
    descriptor = os.open(tmp_path / GONE, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        assert sweep(tmp_path) == {GONE}
    finally:
        os.close(descriptor)


def test_the_directory_of_this_service_stays(tmp_path: Path):
    left_behind(tmp_path, KEPT)

    assert sweep(tmp_path, KEPT) == {KEPT}


@pytest.mark.parametrize(
    "name",
    [
        "shop",
        "tachikoma_metrics",
        f"{GONE}-more",
        f"x{GONE}",
        GONE[:-1],
        GONE.replace(f"-{os.geteuid()}-", f"-{os.geteuid() + 1}-"),
        "tachikoma_metrics-٣-0123456789abcdef",
    ],
)
def test_other_names_stay(tmp_path: Path, name: str):
    left_behind(tmp_path, name)

    assert sweep(tmp_path) == {name}


def test_a_file_of_that_name_stays(tmp_path: Path):
    (tmp_path / GONE).touch()
    age(tmp_path / GONE)

    assert sweep(tmp_path) == {GONE}


@pytest.mark.parametrize("kind", ["directory", "link"])
def test_a_directory_with_anything_but_files_stays_whole(tmp_path: Path, kind: str):
    directory = left_behind(tmp_path, GONE)
    if kind == "directory":
        (directory / "inner").mkdir()
    else:
        (directory / "inner").symlink_to("slot-0")
    age(directory)

    assert sweep(tmp_path) == {GONE}
    assert sorted(path.name for path in directory.iterdir()) == ["inner", "slot-0", "slot-1"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_directories_and_aliases_of_other_users_stay(tmp_path: Path):
    os.chown(left_behind(tmp_path, GONE), 12345, 12345)
    alias = tmp_path / ANOTHER
    alias.symlink_to(KEPT)
    os.chown(alias, 12345, 12345, follow_symlinks=False)
    age(alias)

    assert sweep(tmp_path) == {GONE, ANOTHER}


def test_an_alias_without_a_target_is_removed_after_a_day(tmp_path: Path):
    (tmp_path / GONE).symlink_to(KEPT)
    (tmp_path / ANOTHER).symlink_to(KEPT)
    age(tmp_path / GONE)

    assert sweep(tmp_path) == {ANOTHER}


def test_an_alias_with_a_target_is_removed_after_a_month(tmp_path: Path):
    (tmp_path / KEPT).mkdir(mode=0o700)
    (tmp_path / GONE).symlink_to(KEPT)
    (tmp_path / ANOTHER).symlink_to(KEPT)
    age(tmp_path / GONE, 31 * DAY)
    age(tmp_path / ANOTHER, 29 * DAY)

    assert sweep(tmp_path) == {KEPT, ANOTHER}


def test_the_target_of_a_link_stays(tmp_path: Path):
    elsewhere = left_behind(tmp_path, "elsewhere")
    (tmp_path / GONE).symlink_to(elsewhere)
    age(tmp_path / GONE)

    assert sweep(tmp_path) == {"elsewhere"}
    assert len(list(elsewhere.iterdir())) == 2


def test_an_unfinished_alias_is_removed(tmp_path: Path):
    (tmp_path / f"{GONE}.123").symlink_to(KEPT)
    age(tmp_path / f"{GONE}.123")

    assert sweep(tmp_path) == set()


def test_places_that_cannot_be_read_are_skipped(tmp_path: Path):
    (tmp_path / "file").touch()

    expired.sweep([str(tmp_path / "file"), str(tmp_path / "gone"), "\0"], ())


def test_a_sweep_removes_a_bounded_number_of_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(expired, "_MOST_NAMES", 3)
    for number in range(5):
        left_behind(tmp_path, name_of(str(number)))

    assert len(sweep(tmp_path)) == 2
