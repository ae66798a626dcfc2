"""Which directory processes share that derive different names for their service."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tachikoma_metrics.store import aliases
from tachikoma_metrics.store.names import name_of

LINK, REAL, OTHER_LINK, NEXT = map(name_of, ("link", "real", "another link", "next release"))

Hold = Callable[[str], None]


@pytest.fixture
def base(tmp_path: Path) -> str:
    return str(tmp_path)


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    """Return a function that makes a directory if there is none, and holds a file in it."""
    with ExitStack() as stack:

        def hold_file(name: str) -> None:
            (tmp_path / name).mkdir(exist_ok=True, mode=0o700)
            file = stack.enter_context((tmp_path / name / "slot-0").open("w"))
            fcntl.flock(file, fcntl.LOCK_EX)

        yield hold_file


def prepare(base: str, *known: str) -> str:
    return aliases.prepare(base, known)[0]


def test_the_directory_is_named_for_the_link_and_the_alias_for_the_real_path(
    base: str, tmp_path: Path
):
    assert prepare(base, LINK, REAL) == LINK
    assert (tmp_path / LINK).stat().st_mode & 0o777 == 0o700
    assert os.readlink(tmp_path / REAL) == LINK


def test_find_makes_nothing(base: str, tmp_path: Path):
    assert aliases.find(base, (LINK, REAL)) == LINK
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("first", [(LINK, REAL), (REAL,)])
def test_processes_that_know_different_names_share_a_directory(base: str, first: tuple[str, ...]):
    found = prepare(base, *first)

    assert prepare(base, LINK, REAL) == found
    assert prepare(base, REAL) == found
    assert aliases.find(base, (REAL,)) == aliases.find(base, (LINK, REAL)) == found


def test_the_next_release_joins_the_directory_that_the_last_one_joined(base: str, hold: Hold):
    hold(prepare(base, REAL))
    prepare(base, LINK, REAL)

    assert prepare(base, LINK, NEXT) == REAL
    assert prepare(base, NEXT) == REAL


def test_an_unused_directory_of_a_command_in_the_next_release_is_replaced(
    base: str, hold: Hold, tmp_path: Path
):
    hold(prepare(base, LINK, REAL))
    # Migrations are run before the link leads to the release.
    (tmp_path / prepare(base, NEXT) / "slot-0").touch()

    assert prepare(base, LINK, NEXT) == LINK
    assert prepare(base, NEXT) == LINK


def test_a_directory_in_use_stays_in_use(base: str, hold: Hold, tmp_path: Path):
    prepare(base, LINK, REAL)
    hold(NEXT)

    assert prepare(base, LINK, NEXT) == NEXT
    assert not (tmp_path / NEXT).is_symlink()


def test_of_two_directories_in_use_that_of_the_link_is_used(base: str, hold: Hold, tmp_path: Path):
    hold(LINK)
    hold(REAL)

    assert prepare(base, LINK, REAL) == LINK
    assert (tmp_path / REAL / "slot-0").exists()


def test_two_links_to_one_release_share_no_directory(base: str, hold: Hold):
    hold(prepare(base, LINK, REAL))

    assert prepare(base, OTHER_LINK, REAL) == OTHER_LINK
    assert prepare(base, LINK, REAL) == LINK


def test_two_checkouts_share_no_directory(base: str, hold: Hold):
    hold(prepare(base, LINK, REAL))

    assert prepare(base, NEXT) == NEXT


def test_aliases_outlive_the_directory(base: str, tmp_path: Path):
    prepare(base, LINK, REAL)
    (tmp_path / LINK).rmdir()

    assert prepare(base, REAL) == LINK
    assert (tmp_path / LINK).is_dir()


def test_a_process_makes_the_directory_again_that_it_used_before(base: str, tmp_path: Path):
    (tmp_path / prepare(base, LINK, REAL)).rmdir()
    (tmp_path / REAL).unlink()

    assert aliases.prepare(base, (REAL,), LINK) == (LINK, True)
    assert prepare(base, REAL) == LINK


def test_an_alias_of_an_alias_is_replaced(base: str, tmp_path: Path):
    (tmp_path / LINK).symlink_to(REAL)
    (tmp_path / REAL).symlink_to(OTHER_LINK)

    assert prepare(base, LINK, NEXT) == LINK
    assert (tmp_path / LINK).is_dir()
    assert not (tmp_path / LINK).is_symlink()


@pytest.mark.parametrize("target", ["/etc", "../elsewhere", "slot-0", "tachikoma_metrics-1-ab"])
def test_a_link_to_anything_else_is_not_followed(base: str, tmp_path: Path, target: str):
    (tmp_path / REAL).symlink_to(target)

    assert aliases.find(base, (REAL,)) == REAL


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link away")
def test_an_alias_of_another_user_is_not_followed(base: str, tmp_path: Path):
    (tmp_path / OTHER_LINK).mkdir()
    (tmp_path / REAL).symlink_to(OTHER_LINK)
    os.chown(tmp_path / REAL, 12345, 12345, follow_symlinks=False)

    assert aliases.prepare(base, (REAL,)) == (REAL, False)
    assert aliases.prepare(base, (LINK, REAL)) == (LINK, True)
    assert os.readlink(tmp_path / REAL) == OTHER_LINK


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_neither_used_nor_removed(base: str, tmp_path: Path):
    (tmp_path / REAL).mkdir()
    os.chown(tmp_path / REAL, 12345, 12345)

    assert prepare(base, LINK, REAL) == LINK
    assert (tmp_path / REAL).is_dir()


def test_a_directory_that_another_process_makes_meanwhile_is_used(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make = os.mkdir

    def late(path: str, mode: int) -> None:
        # Another process, which knows the link, is faster.
        monkeypatch.setattr(os, "mkdir", make)
        prepare(base, LINK, REAL)
        make(path, mode)

    monkeypatch.setattr(os, "mkdir", late)

    assert prepare(base, REAL) == LINK
    assert (tmp_path / REAL).is_symlink()


def test_a_place_that_cannot_be_used_raises(tmp_path: Path):
    (tmp_path / "file").touch()

    with pytest.raises(NotADirectoryError):
        prepare(str(tmp_path / "file"), LINK, REAL)
