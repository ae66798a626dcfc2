"""The header of a memory-mapped file."""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

from tachikoma_metrics.store.layout.format import (
    DOUBLE,
    LARGEST_SIZE,
    MAGIC,
    Damaged,
    OtherLayout,
)


class Header(NamedTuple):
    """Facts about a file and the process that holds it.

    ``started`` and ``parent_started`` are in clock ticks since the machine started
    (field 22 of https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html); the
    parent is 0 unless it is a server that outlives its workers. ``cpu_left`` are the CPU seconds
    of the former holders, ``cpu_seen`` those of the holder as last read. ``serial`` differs for
    each file that is made, ``run`` is the same for all processes of a run (see ``runs``).
    ``moved_from`` is the serial number of the holder's former file, if that was removed with its
    directory, and ``moved_at`` the time of that, by ``time.monotonic()``, if other processes had
    to move as well; ``state`` is a ``State``. ``clock_zero`` is the Unix time at which the clock of
    the records was zero, as the holder knows it; 0 in a file of a release that did not know it.
    """

    magic: bytes = MAGIC
    used: int = 160  # Its own size.
    generation: int = 0
    claimed_at: float = 0.0
    pid: int = 0
    started: int = 0
    parent: int = 0
    parent_started: int = 0
    namespace: int = 0
    boot: int = 0
    cpu_left: float = 0.0
    cpu_seen: float = 0.0
    always_zero: float = 0.0
    serial: int = 0
    run: int = 0
    moved_from: int = 0
    moved_at: float = 0.0
    state: int = 0
    clock_zero: float = 0.0


class State:
    """Whether a file is the one its holder writes to.

    A ``COPY`` stands for a removed file that its holder still writes to. A file is ``MOVED`` once
    its holder has another.
    """

    OWN = 0
    COPY = 1
    MOVED = 2


_HEADER = struct.Struct("=8sQQdQQQQQQdddQQQdQd8x")
HEADER_SIZE = _HEADER.size
_OFFSETS = {name: DOUBLE * place for place, name in enumerate(Header._fields)}
ZERO_AT = _OFFSETS["always_zero"] // DOUBLE
"""Where every file has a double that is zero, for label sets without a record in it."""


def pack_header(header: Header) -> bytes:
    """Return the bytes of a header."""
    return _HEADER.pack(*header)


def unpack_header(buffer: bytes | memoryview) -> Header:
    """Return the header of a file; raise ``Damaged`` if it has none."""
    if len(buffer) < HEADER_SIZE:
        raise Damaged(f"A slot must have a header of {HEADER_SIZE} bytes; got {len(buffer)}.")
    header = Header(*_HEADER.unpack_from(buffer))
    if header.magic != MAGIC and header.magic[:-1] == MAGIC[:-1]:
        raise OtherLayout(f"A slot must have version {MAGIC[-1]}; got {header.magic[-1]}.")
    if header.magic != MAGIC:
        raise Damaged(f"A slot must begin with {MAGIC!r}; got {header.magic!r}.")
    if not _is_sound(header):
        raise Damaged(f"A slot must have a valid header; got {header}.")
    return header


def _is_sound(header: Header) -> bool:
    times = (header.claimed_at, header.cpu_left, header.cpu_seen)
    return (
        header.always_zero == 0
        and HEADER_SIZE <= header.used <= LARGEST_SIZE
        and header.used % DOUBLE == 0
        and all(0 <= seconds < math.inf for seconds in times)
    )


def offset_of(field: str) -> int:
    """Return where a field of the header is, in bytes."""
    return _OFFSETS[field]
