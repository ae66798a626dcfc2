"""The files of a directory that is removed while processes use it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tachikoma_metrics.store.layout import Header, State, pack_header
from tachikoma_metrics.store.recovery import OpenSlots, remove_copy

SERIAL = 7


@pytest.fixture
def kept() -> Iterator[OpenSlots]:
    """What a process keeps open."""
    kept = OpenSlots()
    yield kept
    kept.close()


def opened(directory: Path) -> int:
    directory.mkdir()
    return os.open(directory, os.O_RDONLY)


def write_copy(directory: Path) -> None:
    (directory / "slot-0").write_bytes(pack_header(Header(serial=SERIAL, state=State.COPY)))


def test_a_copy_is_written_back_while_it_stands_for_its_process(tmp_path: Path, kept: OpenSlots):
    first, second = opened(tmp_path / "first"), opened(tmp_path / "second")
    write_copy(tmp_path / "first")
    kept.renew(first)

    kept.write_back(second)

    assert os.listdir(second) == ["slot-0"]
    os.close(first)
    os.close(second)


def test_a_copy_that_was_replaced_is_not_written_back(tmp_path: Path, kept: OpenSlots):
    first, second = opened(tmp_path / "first"), opened(tmp_path / "second")
    write_copy(tmp_path / "first")
    kept.renew(first)
    remove_copy(first, SERIAL)

    kept.write_back(second)

    assert os.listdir(first) == []
    assert os.listdir(second) == []
    os.close(first)
    os.close(second)
