from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachikoma_metrics import (
    METRICS,
    Timer,
    record_backend_error,
    record_backend_request,
    record_cache_hit,
    record_cache_miss,
    record_db_query,
    record_execution,
    record_file_change,
    testing,
)
from tachikoma_metrics.testing import sample_value


def errors(source: str) -> float | None:
    return sample_value("tachikoma_metrics_errors_total", source=source)


def test_an_llm_call_is_counted_timed_and_its_tokens_added():
    record_execution("openai", "gpt-5", "success", 1.5, (10, 20))
    record_execution("openai", "gpt-5", "error", 0.5, (1, 0))

    series = {"backend": "openai", "model": "gpt-5"}
    assert sample_value("executions_total", status="success", **series) == 1
    assert sample_value("executions_total", status="error", **series) == 1
    assert sample_value("execution_duration_seconds_sum", **series) == 2.0
    assert sample_value("execution_tokens_total", type="prompt", **series) == 11
    assert sample_value("execution_tokens_total", type="completion", **series) == 20


def test_a_query_is_counted_and_timed():
    record_db_query("select", "missions", 0.02)

    assert sample_value("db_queries_total", operation="select", table="missions") == 1
    assert sample_value("db_query_duration_seconds_sum", operation="select") == 0.02


def test_cache_hits_and_misses_are_counted():
    record_cache_hit()
    record_cache_hit()
    record_cache_miss()

    assert sample_value("cache_hits_total") == 2
    assert sample_value("cache_misses_total") == 1


def test_a_backend_request_and_its_error_are_counted():
    record_backend_request("openai", "/v1/chat/completions", 0.7)
    record_backend_error("openai", "rate_limit")

    endpoint = {"backend": "openai", "endpoint": "/v1/chat/completions"}
    assert sample_value("backend_requests_total", **endpoint) == 1
    assert sample_value("backend_request_duration_seconds_sum", backend="openai") == 0.7
    assert sample_value("backend_errors_total", backend="openai", error_type="rate_limit") == 1


def test_a_file_change_is_counted():
    record_file_change("modify", "applied")

    assert sample_value("file_changes_total", change_type="modify", status="applied") == 1


@pytest.mark.parametrize("duration", [float("nan"), float("inf"), -1, "fast", None, object()])
def test_an_invalid_duration_is_counted_as_an_error_and_the_rest_recorded(duration: object):
    record_execution("openai", "gpt-5", "success", duration, (10, 20))  # type: ignore[arg-type]

    series = {"backend": "openai", "model": "gpt-5"}
    assert sample_value("executions_total", status="success", **series) == 1
    assert sample_value("execution_duration_seconds_count", **series) in (None, 0)
    assert sample_value("execution_tokens_total", type="prompt", **series) == 10
    assert errors("execution") == 1


@pytest.mark.parametrize(
    ("tokens", "counted"),
    [(None, 1), ((), 1), ((1,), 1), ((1, 2, 3), 1), (7, 1), (("a", 2), 1), ((None, -1), 2)],
)
def test_invalid_tokens_are_counted_as_an_error_and_the_rest_recorded(tokens: object, counted: int):
    record_execution("openai", "gpt-5", "success", 1.5, tokens)  # type: ignore[arg-type]

    series = {"backend": "openai", "model": "gpt-5"}
    assert sample_value("executions_total", status="success", **series) == 1
    assert errors("execution") == counted


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("label", [Unprintable(), ["unhashable"]])
def test_a_label_that_is_no_text_does_not_raise(label: object):
    record_file_change(label, "applied")  # type: ignore[arg-type]

    assert errors("file_change") == 1


class Outcome(str, Enum):
    APPLIED = "applied"


@pytest.mark.parametrize("outcomes", [(Outcome.APPLIED, "applied"), ("applied", Outcome.APPLIED)])
def test_a_member_of_a_str_enumeration_is_its_value(outcomes: tuple[str, str]):
    for outcome in outcomes:
        record_file_change("modify", outcome)

    assert sample_value("file_changes_total", change_type="modify", status="applied") == 2


def test_a_lone_surrogate_in_a_label_does_not_break_the_exposition():
    record_execution("openai", "gpt\ud800", "success", 1, (0, 0))

    METRICS.encode().encode()
    labels = {"backend": "openai", "model": "gpt\ufffd", "status": "success"}
    assert sample_value("executions_total", **labels) == 1


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(codec=None)),
    st.binary(),
    st.lists(st.integers(), max_size=3),
    st.tuples(st.integers(), st.floats()),
)
RECORDERS: list[Callable[..., None]] = [
    record_execution,
    record_db_query,
    record_cache_hit,
    record_cache_miss,
    record_backend_request,
    record_backend_error,
    record_file_change,
]


@given(st.data())
def test_no_argument_makes_a_recorder_raise_or_breaks_the_exposition(data: st.DataObject):
    testing.reset()
    recorder = data.draw(st.sampled_from(RECORDERS))
    parameters = inspect.signature(recorder).parameters.values()
    arguments = {parameter.name: data.draw(anything, parameter.name) for parameter in parameters}

    recorder(**arguments)

    assert testing.samples()


# --- Timer ------------------------------------------------------------------


def test_a_timer_calls_back_with_seconds_when_stopped():
    measured: list[float] = []

    timer = Timer(measured.append)
    time.sleep(0.01)
    seconds = timer.stop()

    assert measured == [seconds]
    assert 0.01 <= seconds < 5


def test_a_timer_calls_back_once_however_often_it_is_stopped():
    measured: list[float] = []

    with Timer(measured.append) as timer:
        first = timer.stop()
        assert timer.stop() == first

    assert measured == [first]


def test_a_timer_stops_at_the_end_of_its_block():
    measured: list[float] = []

    with Timer(measured.append):
        assert measured == []

    assert len(measured) == 1


def test_a_timer_calls_back_when_its_block_raises():
    measured: list[float] = []

    with pytest.raises(KeyError), Timer(measured.append):
        raise KeyError

    assert len(measured) == 1


def test_two_threads_that_stop_a_timer_call_back_once():
    measured: list[float] = []
    timer = Timer(measured.append)
    threads = [threading.Thread(target=timer.stop) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(measured) == 1


def test_a_timer_decorates_a_function():
    measured: list[float] = []

    @Timer(measured.append)
    def add(one: int, two: int) -> int:
        """Add."""
        return one + two

    assert (add(1, two=2), add(3, 4)) == (3, 7)
    assert len(measured) == 2
    assert add.__doc__ == "Add."


async def test_a_timer_decorates_a_coroutine_function():
    measured: list[float] = []

    @Timer(measured.append)
    async def answer() -> int:
        assert measured == []
        return 42

    assert inspect.iscoroutinefunction(answer)
    assert await answer() == 42
    assert len(measured) == 1


def test_a_callback_that_raises_is_counted_and_the_block_goes_on():
    def fail(seconds: float) -> None:
        raise RuntimeError

    with Timer(fail):
        value = 1

    assert value == 1
    assert errors("timer") == 1
