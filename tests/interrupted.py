"""Interrupt a piece of work within the package's code, at an instruction of choice.

The interpreter raises the exception itself, as it does for a signal that arrives, or for an
exception that another thread sends, during that instruction: when the next call returns, the
next loop goes on or the next function begins. No Python code runs between the two that could
be interrupted in the place of the package's, for what traces is a function of the interpreter.
"""

from __future__ import annotations

import contextlib
import ctypes
import dis
import functools
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import tachikoma_metrics

NEVER = -1

_PACKAGE = str(Path(tachikoma_metrics.__file__).parent)
_MAY_BE_FOLLOWED = ("CALL", "FOR_ITER", "JUMP", "POP_JUMP", "RESUME", "RETURN", "SEND", "YIELD")
"""Beginnings of the names of instructions after which, or in which, a place may come where the
interpreter looks for exceptions from outside."""


class _Nothing:
    """What is of no use to the function that is called."""

    @staticmethod
    def from_param(argument: object) -> ctypes.c_int:
        return ctypes.c_int(0)


@functools.cache
def _places(code: CodeType) -> frozenset[int]:
    """Return where in a function the instructions are that count."""
    instructions = dis.get_instructions(code)
    return frozenset(one.offset for one in instructions if one.opname.startswith(_MAY_BE_FOLLOWED))


class Countdown:
    """Count the package's instructions; the one at ``place`` is when to interrupt."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.seen = 0

    def is_due(self, frame: FrameType) -> bool:
        if frame.f_lasti not in _places(frame.f_code):
            return False
        is_due = self.seen == self.place
        self.seen += 1
        if is_due:
            sys.settrace(None)
        return is_due


Sender = Callable[[Countdown, type[Exception]], Any]


def by_signal(countdown: Countdown, kind: type[Exception]) -> Any:
    """Return what has a signal arrive, whose handler raises."""

    class Number:
        @staticmethod
        def from_param(frame: FrameType) -> ctypes.c_int:
            return ctypes.c_int(signal.SIGUSR1 if countdown.is_due(frame) else 0)

    arrive = ctypes.pythonapi["PyErr_SetInterruptEx"]
    arrive.argtypes, arrive.restype = [Number, _Nothing, _Nothing], None  # type: ignore[list-item]
    return arrive


def by_thread(countdown: Countdown, kind: type[Exception]) -> Any:
    """Return what raises an exception in this thread as another thread does."""

    class Thread:
        @staticmethod
        def from_param(frame: FrameType) -> ctypes.c_ulong:
            return ctypes.c_ulong(threading.get_ident() if countdown.is_due(frame) else 0)

    class Kind:
        @staticmethod
        def from_param(event: object) -> Any:
            return ctypes.py_object(kind)

    send = ctypes.pythonapi["PyThreadState_SetAsyncExc"]
    send.argtypes, send.restype = [Thread, Kind, _Nothing], None  # type: ignore[list-item]
    return send


def interrupt(
    work: Callable[[], object], place: int, sender: Sender, kind: type[Exception]
) -> tuple[BaseException | None, bool]:
    """Return what reached the caller of ``work``, and whether there is such a ``place``."""
    countdown = Countdown(place)
    trace_instruction = sender(countdown, kind)

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return trace_instruction

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
        sys.settrace(before)
        _come_late()
    except BaseException as error:
        return error, countdown.seen > place
    finally:
        sys.settrace(before)
    return None, countdown.seen > place


def _come_late() -> None:
    """Give what was sent with the last instructions the time to arrive."""
    for _ in range(3):
        threading.get_ident()


@contextlib.contextmanager
def raising_handler(kind: type[Exception]) -> Iterator[list[Exception]]:
    """Have a signal's handler raise; lend the list of what it raised."""
    raised: list[Exception] = []

    def handler(number: int, frame: FrameType | None) -> None:
        raised.append(kind("from a signal"))
        raise raised[-1]

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        yield raised
    finally:
        signal.signal(signal.SIGUSR1, before)
