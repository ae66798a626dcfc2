"""Facts about processes, from ``/proc``; on a system without it nothing is known.

https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
"""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.store.files import SPARE, with_spare

_SECONDS_OF_A_STEP = 1.0
"""If two clocks differ by more, the time of the machine was set."""


class Stat(NamedTuple):
    """Facts about one process; times are in clock ticks, the start since the machine's."""

    parent: int
    cpu_ticks: int
    started: int
    virtual_bytes: int
    resident_pages: int
    code_at: int
    stack_at: int


def stat_of(pid: int) -> Stat | None:
    """Return the facts about a process; None if it is over, or its facts cannot be read."""
    try:
        line = _read(f"/proc/{pid}/stat")
        # The name, in parentheses, may hold spaces and parentheses itself.
        fields = line[line.rindex(b")") + 2 :].split()
        if fields[0] in (b"Z", b"X"):
            return None
        parent, user, system, started, virtual, resident, code, stack = (
            int(fields[place]) for place in (1, 11, 12, 19, 20, 21, 23, 25)
        )
    except (OSError, ValueError, IndexError) as error:
        pass_on(error)
        return None
    return Stat(parent, user + system, started, virtual, resident, code, stack)


@dataclass(frozen=True)
class Usage:
    """What one process uses; ``started_at`` is in Unix time."""

    cpu_seconds: float
    virtual_bytes: float
    resident_bytes: float
    started_at: float
    open_fds: float | None
    max_fds: float | None


def usage_of(pid: int, started: int) -> Usage | None:
    """Return what the process uses that started at ``started``; None if it is over."""
    stat = stat_of(pid)
    if stat is None or stat.started != started:
        return None
    return Usage(
        cpu_seconds=stat.cpu_ticks / ticks_per_second(),
        virtual_bytes=float(stat.virtual_bytes),
        resident_bytes=float(stat.resident_pages * os.sysconf("SC_PAGE_SIZE")),
        started_at=_machine_started_at() + started / ticks_per_second(),
        open_fds=_open_fds(pid),
        max_fds=_max_fds(pid, started),
    )


def name_of(pid: int) -> str:
    """Return the name of the program that a process runs, such as ``gunicorn``; "" if unknown."""
    with suppress(OSError):
        return _read(f"/proc/{pid}/comm").decode("utf-8", "replace").strip()
    return ""


def clock_zero() -> float:
    """Return the Unix time at which ``time.monotonic()`` was zero.

    It changes when the machine's time is set; two processes may find it different by microseconds.
    """
    return time.time() - time.monotonic()


def lasting_clock_zero(known: float) -> float:
    """Return the ``known`` zero of the clock, or another one if the machine's time was set.

    So no start changes that is counted from it.
    """
    now = clock_zero()
    return known if is_same_clock(now - known) else now


def is_same_clock(difference: float) -> bool:
    """Return whether two zeros of the clock differ only by when they were found."""
    return abs(difference) < _SECONDS_OF_A_STEP


@lru_cache(1)
def ticks_per_second() -> float:
    """Return how many clock ticks make a second."""
    return float(os.sysconf("SC_CLK_TCK"))


@lru_cache(1)
def _machine_started_at() -> float:
    try:
        lines = with_spare(Path("/proc/stat").read_bytes).splitlines()
    finally:
        SPARE.restore()
    return next((float(line.split()[1]) for line in lines if line.startswith(b"btime ")), 0.0)


def _open_fds(pid: int) -> float | None:
    path = f"/proc/{pid}/fd"
    with suppress(OSError):
        # Linux 6.2 and later have the number as the size.
        return float(os.stat(path).st_size or len(os.listdir(path)))
    return None


@lru_cache(1024)
def _max_fds(pid: int, started: int) -> float | None:
    """Return the limit that the process had when it was first read: reading it is not cheap."""
    with suppress(OSError, ValueError):
        for line in _read(f"/proc/{pid}/limits").splitlines():
            if line.startswith(b"Max open files"):
                return float(line.split()[3])
    return None


def _read(path: str) -> bytes:
    descriptor = with_spare(lambda: os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    try:
        return os.read(descriptor, 65536)
    finally:
        os.close(descriptor)
        SPARE.restore()


@lru_cache(1)
def namespace() -> int:
    """Return the number of the PID namespace of this process; 0 if unknown."""
    with suppress(OSError):
        return os.stat("/proc/self/ns/pid").st_ino
    return 0


if hasattr(os, "register_at_fork"):
    # A process never changes its namespace; a child may start in another.
    os.register_at_fork(after_in_child=namespace.cache_clear)


@lru_cache(1)
def boot() -> int:
    """Return a number that differs after each start of the machine; 0 if unknown."""
    with suppress(OSError, ValueError):
        text = _read("/proc/sys/kernel/random/boot_id").decode()
        return int(text.replace("-", "")[:15], 16)
    return 0


def exists(pid: int) -> bool:
    """Return whether there is a process of this pid, of whatever user."""
    try:
        # Sends nothing: https://man7.org/linux/man-pages/man2/kill.2.html
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError) as error:
        pass_on(error)
        return False
    return True


def is_live(pid: int, started: int) -> bool:
    """Return whether the process that started at ``started`` still runs.

    If the start is unknown, because the process is hidden from this process or was hidden from
    the process that recorded its start, any process with its pid counts.
    """
    if not pid:
        return False
    stat = stat_of(pid)
    if stat is None:
        return _is_hidden(pid)
    return started in (0, stat.started)


def _is_hidden(pid: int) -> bool:
    """Return whether there is a process that ``/proc`` hides from this process.

    https://www.kernel.org/doc/html/latest/filesystems/proc.html#mount-options
    """
    # That of a zombie is there.
    return pid > 0 and not os.path.exists(f"/proc/{pid}/stat") and exists(pid)


def server() -> tuple[int, int]:
    """Return the pid and start of the server that started this process, or (0, 0).

    A server outlives its workers and starts new ones: gunicorn's arbiter, Celery's main
    process. The shell and the machine's init are none. The start is 0 if it is hidden.
    """
    pid = os.getppid()
    mine, parents = stat_of(os.getpid()), stat_of(pid)
    if mine is None or (parents is None and not _is_hidden(pid)):
        return 0, 0
    if _was_spawned_by(pid) or _has_same_command(pid) or _may_be_fork_of(pid, mine, parents):
        return pid, 0 if parents is None else parents.started
    return 0, 0


def _may_be_fork_of(pid: int, mine: Stat, parents: Stat | None) -> bool:
    if parents is not None and mine.code_at > 1 and parents.code_at > 1:
        return _is_fork_of(mine, parents)
    # The server is root's, and its workers are another user's. A process that a shell or the
    # machine's init starts has, unlike a fork, a process group for itself as a rule.
    with suppress(OSError):
        return (os.getpgid(pid), os.getsid(pid)) == (os.getpgrp(), os.getsid(0))
    return False


def has_siblings() -> bool:
    """Return whether the server that started this process has other live processes like it.

    False if there is no server, or no ``/proc``.
    """
    server_pid, _ = server()
    if not server_pid:
        return False
    mine = stat_of(os.getpid())
    try:
        pids = [int(name) for name in with_spare(lambda: os.listdir("/proc")) if name.isdecimal()]
    except OSError as error:
        pass_on(error)
        return True
    finally:
        SPARE.restore()
    others = {pid: stat_of(pid) for pid in pids if pid != os.getpid()}
    return any(
        stat is not None and stat.parent == server_pid and _is_alike(pid, stat, mine)
        for pid, stat in others.items()
    )


def _is_alike(pid: int, stat: Stat, mine: Stat | None) -> bool:
    if mine is not None and _is_fork_of(mine, stat):
        return True
    # Processes that are spawned, not forked, are given numbers: those of pipes.
    own, others = _arguments(os.getpid()), _arguments(pid)
    return bool(own) and _without_digits(own) == _without_digits(others)


def _without_digits(arguments: list[bytes]) -> bytes:
    return b" ".join(arguments).translate(None, b"0123456789")


def _is_fork_of(mine: Stat, parents: Stat) -> bool:
    # A fork copies the addresses of code and stack, and exec chooses new ones; a process
    # without permission reads 1 and 0.
    return (mine.code_at, mine.stack_at) == (parents.code_at, parents.stack_at)


def _was_spawned_by(pid: int) -> bool:
    parent = multiprocessing.parent_process()
    return parent is not None and parent.pid == pid


def _has_same_command(pid: int) -> bool:
    # Django's autoreloader runs itself again, by the interpreter's full path.
    mine, parents = _arguments(os.getpid()), _arguments(pid)
    return len(mine) > 1 and mine[1:] == parents[1:]


def _arguments(pid: int) -> list[bytes]:
    with suppress(OSError):
        return _read(f"/proc/{pid}/cmdline").rstrip(b"\0").split(b"\0")
    return []
