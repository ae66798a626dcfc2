"""What another process finds in a file."""

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
_MOST_LOOKS = 5

ARCHIVE = -2
"""What stands for the number of a file in the reading of the archive."""

OnDamage = Callable[[Exception, str], None]
"""Told what is wrong with a file, and the path of the file."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What another process finds in a file; what ``is_private`` no other process finds.

    ``identity`` is another for each file, ``content`` are the bytes in use.
    """

    number: int
    identity: tuple[int, ...]
    header: Header
    content: bytes
    is_held: bool
    is_private: bool = False


def numbers(directory: int) -> list[int]:
    """Return the numbers of the files in a directory, the lowest first."""
    matches = map(_NAME.fullmatch, names_in(directory))
    return sorted(int(match[1]) for match in matches if match)


def name_of(number: int) -> str:
    """Return the name of a file's file."""
    return f"slot-{number}"


def header_of(descriptor: int) -> Header:
    """Return what a file says of itself; raise ``Damaged`` if it has no header."""
    return layout.unpack_header(os.pread(descriptor, HEADER_SIZE, 0))


def headers(directory: int) -> Iterator[tuple[int, Header]]:
    """Yield the number and the header of each file in a directory that has one.

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

    Looks again where the holder was about to rewrite records.
    """
    for _ in range(_MOST_LOOKS):
        size = os.fstat(descriptor).st_size
        before = header_of(descriptor)
        content = os.pread(descriptor, min(before.used, size), 0)
        after = header_of(descriptor)
        if before.generation == after.generation and before.generation % 2 == 0:
            break
        time.sleep(0.0002)
    return before, content
