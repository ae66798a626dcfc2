from __future__ import annotations

import asyncio
import concurrent.futures
import sys

import pytest

from tachikoma_metrics.testing import sample_value
from tests.llm.recorded import (
    SERIES,
    in_progress,
    statuses,
    tracked,
)


class SoftTimeLimitExceeded(Exception):
    """Celery's exception, which is recognised by its name."""


class APITimeoutError(Exception):
    pass


class TimeoutException(Exception):
    pass


class ReadTimeout(TimeoutException):
    pass


def test_a_block_that_ends_is_a_success():
    with tracked():
        assert in_progress() == 1

    assert statuses() == {"success": 1}
    assert sample_value("execution_duration_seconds_count", **SERIES) == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError(), "error"),
        (TimeoutError(), "timeout"),
        (asyncio.TimeoutError(), "timeout"),
        (concurrent.futures.TimeoutError(), "timeout"),
        (SoftTimeLimitExceeded(), "timeout"),
        (APITimeoutError(), "timeout"),
        (ReadTimeout(), "timeout"),
        (asyncio.CancelledError(), "cancelled"),
        (concurrent.futures.CancelledError(), "cancelled"),
        (GeneratorExit(), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
        (SystemExit(), "cancelled"),
    ],
)
def test_an_exception_sets_the_status_and_passes_through(error, status):
    with pytest.raises(type(error)) as raised, tracked():
        raise error

    assert raised.value is error
    assert statuses() == {status: 1}


class APIConnectionError(Exception):
    """The SDKs of OpenAI and Anthropic raise it for any failed request."""


class InternalServerError(Exception):
    """litellm raises it in the handler of another exception."""

    __module__ = "litellm.exceptions"


class BaseExceptionGroup(BaseException):  # As in the package exceptiongroup.
    def __init__(self, *exceptions: BaseException) -> None:
        self.exceptions = exceptions


def wrapped(error: BaseException, *wrappers: BaseException) -> BaseException:
    for wrapper in wrappers:
        wrapper.__cause__ = error
        error = wrapper
    return error


def handled(error: BaseException, raised: BaseException) -> BaseException:
    raised.__context__ = error
    return raised


def circular() -> BaseException:
    error = APIConnectionError()
    return wrapped(error, ValueError(), error)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (wrapped(SoftTimeLimitExceeded(), APIConnectionError()), "timeout"),
        (wrapped(TimeoutError(), APIConnectionError(), RuntimeError()), "timeout"),
        (wrapped(concurrent.futures.CancelledError(), APIConnectionError()), "cancelled"),
        (wrapped(asyncio.CancelledError(), TimeoutError()), "timeout"),
        (wrapped(ConnectionResetError(), APIConnectionError()), "error"),
        (handled(SoftTimeLimitExceeded(), InternalServerError()), "timeout"),
        (handled(TimeoutError(), ValueError("The answer instead was wrong.")), "error"),
        (circular(), "error"),
    ],
    ids=[
        "a soft time limit",
        "a timeout, twice wrapped",
        "a cancellation",
        "what was cancelled by a timeout",
        "no timeout",
        "while an SDK handled a timeout",
        "while the application handled a timeout",
        "a circle",
    ],
)
def test_the_cause_of_an_exception_sets_the_status(error, status):
    with pytest.raises(type(error)), tracked():
        raise error

    assert statuses() == {status: 1}


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ([TimeoutError(), APITimeoutError()], "timeout"),
        ([BaseExceptionGroup(TimeoutError()), SoftTimeLimitExceeded()], "timeout"),
        ([wrapped(TimeoutError(), APIConnectionError())], "timeout"),
        ([asyncio.CancelledError(), asyncio.CancelledError()], "cancelled"),
        ([TimeoutError(), asyncio.CancelledError()], "timeout"),
        ([TimeoutError(), ValueError()], "error"),
        ([ValueError()], "error"),
        ([], "error"),
    ],
    ids=repr,
)
def test_an_exception_group_has_the_status_that_its_members_share(members, status):
    for error in (BaseExceptionGroup(*members), wrapped(BaseExceptionGroup(*members), KeyError())):
        with pytest.raises(type(error)), tracked():
            raise error

    assert statuses() == {status: 2}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="it has no task groups")
async def test_a_timeout_in_a_task_group_is_a_timeout():
    async def fail() -> None:
        raise TimeoutError

    async def work() -> None:
        async with tracked(), asyncio.TaskGroup() as group:  # type: ignore[attr-defined,unused-ignore]
            group.create_task(fail())
            group.create_task(asyncio.sleep(30))

    with pytest.raises(BaseException, match="unhandled errors"):
        await work()

    assert statuses() == {"timeout": 1}
