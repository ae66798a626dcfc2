"""What another process reads in a memory-mapped file."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.store import layout
from tachikoma_metrics.store.files import TemporaryFile, names_in
from tachikoma_metrics.store.incomplete import is_passing
from tachikoma_metrics.store.layout import HEADER_SIZE, Damaged, Header

_NAME = re.compile(r"slot-([0-9]{1,6})")
_MOST_TRIES = 5

ARCHIVE = -2
"""The number of the reading of the archive, which has no slot number."""

OnDamage = Callable[[Exception, str], None]
"""Called with what is wrong with a file, and with its path."""


@dataclass(frozen=True, eq=False)
class Reading:
    """The content of a file; one that ``is_private`` no other process can read.

    ``identity`` differs for each file, ``content`` are the bytes in use.
    """

    number: int
    identity: tuple[int, ...]
    header: Header
    content: bytes
    is_held: bool
    is_private: bool = False


def numbers(directory: int) -> list[int]:
    """Return the numbers of the slots in a directory, the lowest first."""
    matches = map(_NAME.fullmatch, names_in(directory))
    return sorted(int(match[1]) for match in matches if match)


def name_of(number: int) -> str:
    """Return the name of a slot's file."""
    return f"slot-{number}"


def header_of(descriptor: int) -> Header:
    """Return the header of a file; raise ``Damaged`` if it has none."""
    return layout.unpack_header(os.pread(descriptor, HEADER_SIZE, 0))


def headers(directory: int) -> Iterator[tuple[int, Header]]:
    """Yield the number and the header of each file in a directory that has a header.

    Raises ``OSError`` for a file that may be readable the next time.
    """
    for number in numbers(directory):
        try:
            with TemporaryFile(name_of(number), os.O_RDONLY, directory) as file:
                header = header_of(file.descriptor)
        except (OSError, Damaged) as error:
            pass_on(error)
            if is_passing(error):
                raise
            continue
        yield number, header


def content_of(descriptor: int) -> tuple[Header, bytes]:
    """Return the header and all bytes in use; raise ``Damaged`` if there is no header.

    Reads again if the holder was rewriting records.
    """
    for _ in range(_MOST_TRIES):
        size = os.fstat(descriptor).st_size
        before = header_of(descriptor)
        content = os.pread(descriptor, min(before.used, size), 0)
        after = header_of(descriptor)
        if before.generation == after.generation and before.generation % 2 == 0:
            break
        time.sleep(0.0002)
    return before, content
