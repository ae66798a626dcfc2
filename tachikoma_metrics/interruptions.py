"""Exceptions from outside: signal handlers raise them in this thread, or other threads do.

They are raised wherever the interpreter happens to be, also within code of this package, and are
meant for the application: Celery's ``SoftTimeLimitExceeded``, the ``TimeoutError`` of a
``SIGALRM`` handler, the argument of ``PyThreadState_SetAsyncExc``, gevent's timeouts. Every
``except`` clause of this package that would take them for an instrumentation error checks first.

Three signs identify them: the frame of a signal handler, which has the interrupted frame as an
argument; an instruction that cannot raise by itself; and, where a call may raise, an exception
that was made from its class alone.

https://docs.python.org/3/library/signal.html#handlers-and-exceptions
https://docs.python.org/3/c-api/threads.html#c.PyThreadState_SetAsyncExc
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from types import CodeType, FrameType, FunctionType, TracebackType
from typing import Any

_PACKAGE = __name__.partition(".")[0]
_KNOWN_TO_RAISE_IN_PYTHON = frozenset(
    {_PACKAGE, "asgiref", "django", "prometheus_client", *sys.stdlib_module_names}
)
"""Packages whose calls to C functions raise exceptions with arguments."""
_SWITCHES = frozenset({"eventlet", "gevent", "greenlet"})
_WITHOUT_ARGUMENTS = (MemoryError, StopAsyncIteration, StopIteration)
"""Exceptions that C functions raise without arguments."""
_RAISE = dis.opmap["RAISE_VARARGS"]
_CANNOT_RAISE = frozenset(
    dis.opmap[name] for name in ("RESUME", "JUMP_BACKWARD", "JUMP_ABSOLUTE") if name in dis.opmap
)
_BEGINS_BEFORE_ITS_CODE = "RESUME" not in dis.opmap
"""Whether the interpreter checks for exceptions before a function's first instruction, as 3.10."""
_COLLECTS_ARGUMENTS = 0x04
"""https://docs.python.org/3/library/inspect.html#inspect.CO_VARARGS"""
_IS_THROWN_INTO = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR
"""Code whose ``throw()`` raises before its first instruction, by a call of the application."""


def is_interruption(error: BaseException) -> bool:
    """Return whether ``error``, just caught, came from outside and has to be passed on.

    Everything that is no ``Exception`` has. Raises only what comes from outside meanwhile.
    """
    try:
        return _is_from_outside(error)
    except Exception as another:
        if _is_surely_from_outside(another):
            raise
        return False


def _is_surely_from_outside(error: Exception) -> bool:
    try:
        return _is_from_outside(error)
    except Exception:
        return False


def _is_from_outside(error: BaseException) -> bool:
    if not isinstance(error, Exception):
        return True
    steps = list(_steps(error.__traceback__))
    if any(_is_of_handler(step.tb_frame) for step in steps):
        return True
    return bool(steps) and (_is_thrown(error, steps[-1]) or _is_switched_to(steps))


def pass_on(error: BaseException) -> None:
    """Raise ``error`` again if it came from outside."""
    if is_interruption(error):
        try:
            raise error
        finally:
            # A frame in its traceback that refers to it would keep all of their objects alive.
            del error


class suppress:  # Named as contextlib's.
    """Suppress exceptions of some kinds in a ``with`` block, unless they come from outside."""

    def __init__(self, *kinds: type[Exception]) -> None:
        self._kinds = kinds

    def __enter__(self) -> None:
        """Suppress nothing yet."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        return isinstance(error, self._kinds) and not is_interruption(error)


def _steps(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _is_of_handler(frame: FrameType) -> bool:
    """Return whether a frame is a signal handler's: no other function gets its caller's frame."""
    around = frame.f_back
    # Reading the variables of a frame that handles the exception would make a reference cycle.
    if around is None or _package(frame) == _PACKAGE:
        return False
    return any(argument is around for argument in _arguments(frame))


def _arguments(frame: FrameType) -> Iterator[object]:
    """Yield the arguments of a function, unless it has deleted them."""
    code, values = frame.f_code, frame.f_locals
    number = code.co_argcount + code.co_kwonlyargcount
    for name in code.co_varnames[:number]:
        yield values.get(name)
    if code.co_flags & _COLLECTS_ARGUMENTS:
        yield from values.get(code.co_varnames[number], ())


def _is_thrown(error: Exception, innermost: TracebackType) -> bool:
    """Return whether no instruction of the innermost frame can have raised the exception."""
    code, place = innermost.tb_frame.f_code, innermost.tb_lasti
    operation = _operation(code, place)
    if _has_not_begun(code, place) or operation in _CANNOT_RAISE:
        return True
    is_known = _package(innermost.tb_frame) in _KNOWN_TO_RAISE_IN_PYTHON
    return is_known and operation != _RAISE and _is_class_alone(error)


def _has_not_begun(code: CodeType, place: int) -> bool:
    """Return whether the exception came before the first instruction of a function."""
    is_before_it = _BEGINS_BEFORE_ITS_CODE and place < 0 and bool(code.co_code)
    return is_before_it and not code.co_flags & _IS_THROWN_INTO


def _operation(code: CodeType, place: int) -> int | None:
    # The frames that other compilers, such as Cython, imitate have no code.
    return code.co_code[place] if 0 <= place < len(code.co_code) else None


def _is_class_alone(error: Exception) -> bool:
    """Return whether an exception can have been made from its class without an argument."""
    if isinstance(error, _WITHOUT_ARGUMENTS):
        return False
    make: Any = type(error).__init__
    if not isinstance(make, FunctionType):
        return not error.args
    return make.__code__.co_argcount - len(make.__defaults__ or ()) <= 1


def _is_switched_to(steps: list[TracebackType]) -> bool:
    """Return whether the exception was thrown into a greenlet that only this package waited in."""
    packages = [_package(step.tb_frame) for step in steps]
    waiting = [package for package in packages if package not in _SWITCHES]
    return packages[-1] in _SWITCHES and set(waiting) <= {_PACKAGE, "threading"}


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
