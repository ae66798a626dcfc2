from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from django.test import override_settings

from tachikoma_metrics import record_execution, track_execution
from tachikoma_metrics.testing import sample_value, samples

OPT_IN = {
    "EXTRA_METRICS": [
        "execution_time_to_first_chunk_seconds",
        "execution_token_details_total",
        "execution_cost_usd_total",
    ]
}
SERIES = {"backend": "openai", "model": "gpt-5"}


def tracked() -> track_execution:
    return track_execution("openai", "gpt-5")


def statuses() -> dict[str, float]:
    return {
        dict(labels)["status"]: value
        for (name, labels), value in samples().items()
        if name == "executions_total" and value
    }


def tokens() -> tuple[float | None, float | None]:
    prompt, completion = (
        sample_value("execution_tokens_total", type=kind, **SERIES)
        for kind in ("prompt", "completion")
    )
    return prompt, completion


def details() -> dict[str, float]:
    return {
        dict(labels)["type"]: value
        for (name, labels), value in samples().items()
        if name == "execution_token_details_total"
    }


def in_progress() -> float | None:
    return sample_value("executions_in_progress")


def faults() -> float:
    return sample_value("tachikoma_metrics_errors_total", source="execution") or 0


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> Iterator[None]:
    yield
    assert in_progress() in (0, None)


def as_object(value: Any) -> Any:
    """Return nested dictionaries as objects, as an SDK would have them."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(item) for name, item in value.items()})
    return value


# --- status -----------------------------------------------------------------


class SoftTimeLimitExceeded(Exception):
    """Celery's, which is told by its name."""


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
def test_what_a_block_raises_tells_its_status_and_passes_through(error, status):
    with pytest.raises(type(error)) as raised, tracked():
        raise error

    assert raised.value is error
    assert statuses() == {status: 1}


class APIConnectionError(Exception):
    """OpenAI's and Anthropic's, which they raise for whatever ends a request."""


class InternalServerError(Exception):
    """litellm's, which it raises in the handler of another exception."""

    __module__ = "litellm.exceptions"


class BaseExceptionGroup(BaseException):  # For Python 3.10, as a package has it.
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
def test_what_an_exception_was_raised_from_tells_the_status(error, status):
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
def test_a_group_of_exceptions_is_what_all_its_members_are(members, status):
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


async def test_an_async_block_is_an_execution():
    async with tracked() as execution:
        execution.usage({"prompt_tokens": 1})
    with pytest.raises(ValueError, match="broken"):
        async with tracked():
            raise ValueError("broken")

    assert statuses() == {"success": 1, "error": 1}
    assert tokens() == (1, None)


async def test_a_cancelled_execution_is_no_longer_in_progress():
    async def work() -> None:
        async with tracked():
            await asyncio.sleep(30)

    tasks = [asyncio.create_task(work()) for _ in range(3)]
    await asyncio.sleep(0)
    assert in_progress() == 3
    for task in tasks[:2]:
        task.cancel()
    await asyncio.gather(*tasks[:2], return_exceptions=True)
    assert in_progress() == 1
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert in_progress() == 0
    assert statuses() == {"cancelled": 3}


def test_an_execution_ends_once():
    with tracked() as execution:
        execution.end("error")

    assert statuses() == {"error": 1}


def test_threads_that_end_an_execution_record_it_once():
    with tracked() as execution:
        threads = [threading.Thread(target=execution.end, args=("error",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert statuses() == {"error": 1}


def test_blocks_within_each_other_are_executions_of_their_own():
    tracker = tracked()
    with tracker as outer, tracker as inner:
        inner.usage({"prompt_tokens": 1})
        outer.usage({"prompt_tokens": 10})

    assert statuses() == {"success": 2}
    assert tokens() == (11, None)


# --- functions --------------------------------------------------------------


def test_each_call_of_a_function_is_an_execution():
    @tracked()
    def add(one: int, two: int) -> int:
        """Add."""
        assert in_progress() == 1
        return one + two

    assert (add(1, two=2), add(3, 4)) == (3, 7)
    assert add.__doc__ == "Add."
    assert statuses() == {"success": 2}


async def test_calls_of_a_coroutine_function_may_overlap():
    @tracked()
    async def answer(seconds: float) -> None:
        await asyncio.sleep(seconds)
        if seconds:
            raise TimeoutError

    assert inspect.iscoroutinefunction(answer)
    await asyncio.gather(answer(0), answer(0.01), answer(0), return_exceptions=True)

    assert statuses() == {"success": 2, "timeout": 1}


def test_a_generator_is_an_execution_to_its_end():
    @tracked()
    def chunks() -> Iterator[Any]:
        sent = yield 1
        yield sent

    generator: Any = chunks()
    assert in_progress() in (0, None)
    assert (next(generator), generator.send("sent")) == (1, "sent")
    assert (in_progress(), statuses()) == (1, {})
    assert list(generator) == []
    assert statuses() == {"success": 1}

    next(abandoned := chunks())
    abandoned.close()  # type: ignore[attr-defined]  # A generator.
    assert statuses() == {"success": 1, "cancelled": 1}


async def test_an_async_generator_is_an_execution_to_its_end():
    heard: list[object] = []

    @tracked()
    async def chunks() -> AsyncIterator[Any]:
        try:
            heard.append((yield 1))
        except KeyError as error:
            heard.append(error)
        yield 2

    assert [chunk async for chunk in chunks()] == [1, 2]
    generator: Any = chunks()
    assert await generator.asend(None) == 1
    assert await generator.asend("sent") == 2
    await generator.aclose()
    generator = chunks()
    assert await anext(generator) == 1
    assert await generator.athrow(error := KeyError()) == 2
    assert [chunk async for chunk in generator] == []

    assert heard == [None, "sent", error]
    assert statuses() == {"success": 2, "cancelled": 1}


# --- tokens -----------------------------------------------------------------

CHAT = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "prompt_tokens_details": {"cached_tokens": 80, "audio_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 12, "audio_tokens": 3},
}
RESPONSES = {
    "input_tokens": 100,
    "output_tokens": 20,
    "input_tokens_details": {"cached_tokens": 80},
    "output_tokens_details": {"reasoning_tokens": 12},
}
MESSAGES = {
    "input_tokens": 10,
    "output_tokens": 20,
    "cache_read_input_tokens": 80,
    "cache_creation_input_tokens": 10,
}
LITELLM = {**CHAT, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 10}


@pytest.mark.parametrize("shape", [dict, as_object])
@pytest.mark.parametrize(
    ("usage", "kinds"),
    [
        (
            CHAT,
            {"cache_read": 80, "reasoning": 12, "audio_prompt": 5, "audio_completion": 3},
        ),
        (RESPONSES, {"cache_read": 80, "reasoning": 12}),
        (MESSAGES, {"cache_read": 80, "cache_write": 10}),
        (
            LITELLM,
            {
                "cache_read": 80,
                "cache_write": 10,
                "reasoning": 12,
                "audio_prompt": 5,
                "audio_completion": 3,
            },
        ),
    ],
    ids=["chat", "responses", "messages", "litellm"],
)
@override_settings(TACHIKOMA_METRICS=OPT_IN)
def test_the_tokens_of_an_answer_are_added(shape, usage, kinds):
    with tracked() as execution:
        execution.usage(shape({"id": "1", "usage": usage}))
    with tracked() as execution:
        execution.usage(shape(usage))

    assert tokens() == (200, 40)
    assert details() == {kind: 2 * number for kind, number in kinds.items()}


@pytest.mark.parametrize("shape", [dict, as_object])
def test_the_tokens_of_a_streamed_chat_come_with_its_last_chunk(shape):
    with tracked() as execution:
        for usage in (None, None, CHAT):
            execution.usage(shape({"choices": [], "usage": usage}))

    assert tokens() == (100, 20)


@pytest.mark.parametrize("shape", [dict, as_object])
def test_the_tokens_of_a_streamed_response_come_with_its_last_event(shape):
    with tracked() as execution:
        execution.usage(shape({"type": "response.created", "response": {"usage": None}}))
        execution.usage(shape({"type": "response.completed", "response": {"usage": RESPONSES}}))

    assert tokens() == (100, 20)


@pytest.mark.parametrize("shape", [dict, as_object])
def test_the_tokens_of_a_streamed_message_come_with_several_events(shape):
    begun = {**MESSAGES, "output_tokens": 1}
    with tracked() as execution:
        execution.usage(shape({"type": "message_start", "message": {"usage": begun}}))
        execution.usage(shape({"type": "content_block_delta", "delta": {"text": "Hi"}}))
        delta = {"output_tokens": 20, "input_tokens": None}
        execution.usage(shape({"type": "message_delta", "usage": delta}))

    assert tokens() == (100, 20)


@pytest.mark.parametrize("shape", [dict, as_object])
@pytest.mark.parametrize(
    "event",
    [
        {"type": "chunk", "chunk": {"id": "c", "usage": CHAT}, "snapshot": {"usage": None}},
        {"type": "response.done", "response": {"id": "r", "usage": RESPONSES}},
        {"type": "message_stop", "message": {"id": "m", "usage": MESSAGES}},
        {"event": "thread.run.completed", "data": {"id": "run", "usage": CHAT}},
        {"custom_id": "1", "result": {"type": "succeeded", "message": {"usage": MESSAGES}}},
        {"type": "ai", "usage_metadata": {"input_tokens": 100, "output_tokens": 20}},
        {"type": "span.model_request_end", "model_usage": MESSAGES},
    ],
    ids=lambda event: next(iter(event.values())),
)
def test_the_tokens_are_found_in_what_a_helper_hands_out(shape, event):
    with tracked() as execution:
        execution.usage(shape(event))
        execution.usage(shape(event))

    assert tokens() == (100, 20)


@override_settings(TACHIKOMA_METRICS=OPT_IN)
@pytest.mark.parametrize(
    ("usage", "kinds"),
    [
        (
            {
                "input_tokens": 100,
                "output_tokens": 20,
                "input_token_details": {"cached_tokens": 40, "text_tokens": 20, "audio_tokens": 40},
                "output_token_details": {"text_tokens": 5, "audio_tokens": 15},
            },
            {"cache_read": 40, "audio_prompt": 40, "audio_completion": 15},
        ),
        (
            {
                "input_tokens": 100,
                "output_tokens": 20,
                "input_token_details": {"audio": 1, "cache_creation": 2, "cache_read": 3},
                "output_token_details": {"audio": 4, "reasoning": 5},
            },
            {
                "cache_read": 3,
                "cache_write": 2,
                "reasoning": 5,
                "audio_prompt": 1,
                "audio_completion": 4,
            },
        ),
        (
            {"prompt_tokens": 100, "prompt_tokens_details": {"cache_write_tokens": 7}},
            {"cache_write": 7},
        ),
    ],
    ids=["realtime", "LangChain", "cache writes"],
)
def test_the_details_of_tokens_have_several_names(usage, kinds):
    with tracked() as execution:
        execution.usage({"usage": usage})

    assert details() == kinds
    assert tokens()[0] == 100


@pytest.mark.parametrize("shape", [dict, as_object])
def test_a_last_event_that_says_zero_takes_no_prompt_away(shape):
    with tracked() as execution:
        begun = {"id": "1", "usage": {**MESSAGES, "output_tokens": 0}}
        execution.usage(shape({"type": "message_start", "message": begun}))
        delta = {**dict.fromkeys(MESSAGES, 0), "output_tokens": 20}
        execution.usage(shape({"type": "message_delta", "usage": delta}))

    assert tokens() == (100, 20)


def test_a_zero_that_is_all_that_was_told_counts():
    with tracked() as execution:
        execution.usage({"prompt_tokens": 100, "completion_tokens": 0})

    assert tokens()[0] == 100
    assert faults() == 0


@override_settings(TACHIKOMA_METRICS=OPT_IN)
def test_of_several_answers_the_last_one_counts_alone():
    with tracked() as execution:
        execution.usage({"id": "1", "usage": MESSAGES})
        execution.usage({"id": "2", "usage": {"input_tokens": 7, "output_tokens": 5}})

    assert tokens() == (7, 5)
    assert details() == {}


def raw(**kwargs: Any) -> Any:
    return SimpleNamespace(http_response=httpx.Response(200, **kwargs), parse=None)


@pytest.mark.parametrize("wrap", [raw, lambda **kwargs: httpx.Response(200, **kwargs)])
def test_a_raw_response_has_the_tokens_in_its_body(wrap):
    with tracked() as execution:
        execution.usage(wrap(json={"id": "1", "usage": CHAT}))
        execution.usage(wrap(content=b"RIFF", headers={"Content-Type": "audio/wav"}))

    assert tokens() == (100, 20)
    assert faults() == 0


@pytest.mark.parametrize(
    "pending",
    [
        iter([CHAT]),
        (chunk for chunk in [CHAT]),
        contextlib.nullcontext(CHAT),
        raw(content=b"data: {}", headers={"Content-Type": "text/event-stream"}),
        raw(stream=httpx.ByteStream(b"{}"), headers={"Content-Type": "application/json"}),
    ],
    ids=["iterator", "generator", "context manager", "raw stream", "raw and not read"],
)
def test_what_has_the_answer_later_is_a_fault(pending: object):
    with tracked() as execution:
        execution.usage(pending)

    assert faults() == 1
    assert tokens() == (None, None)


@pytest.mark.parametrize("name", ["current_message_snapshot", "current_completion_snapshot"])
def test_the_stream_of_a_helper_has_the_tokens_so_far(name: str):
    class Helper:
        def __iter__(self) -> Any:
            return self

        def __next__(self) -> Any:
            raise AssertionError("Nobody may read it but the application.")

    stream = Helper()
    setattr(stream, name, {"id": "1", "usage": CHAT})
    with tracked() as execution:
        execution.usage(stream)

    assert tokens() == (100, 20)


class Raising:
    @property
    def usage(self) -> Any:
        raise RuntimeError("no usage")


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        7,
        "usage",
        b"",
        [],
        {},
        {"usage": 7},
        {"usage": {"prompt_tokens": "7", "completion_tokens": -1}},
        {"usage": {"prompt_tokens": True, "completion_tokens": 1.5}},
        {"usage": {"prompt_tokens_details": 7}},
        Exception,
        object(),
    ],
)
def test_nonsense_is_no_usage(nonsense: object):
    with tracked() as execution:
        execution.usage(nonsense)

    assert tokens() == (None, None)
    assert faults() == 0
    assert statuses() == {"success": 1}


def test_an_answer_that_raises_is_a_fault_and_the_rest_is_recorded():
    with tracked() as execution:
        execution.usage(Raising())

    assert faults() == 1
    assert statuses() == {"success": 1}


# --- opt-in -----------------------------------------------------------------


def test_the_opt_in_families_are_off():
    with tracked() as execution:
        execution.first_chunk()
        execution.cost(0.5)
        execution.usage(CHAT)

    names = {name for name, _ in samples()}
    assert not [name for name in names if name.startswith(tuple(OPT_IN["EXTRA_METRICS"]))]


@override_settings(TACHIKOMA_METRICS=OPT_IN)
def test_the_first_chunk_and_the_cost_are_recorded():
    with tracked() as execution:
        execution.first_chunk()
        execution.first_chunk()
        execution.cost(0.25)
    with tracked():
        pass

    assert sample_value("execution_time_to_first_chunk_seconds_count", **SERIES) == 1
    assert sample_value("execution_cost_usd_total") == 0.25


@override_settings(TACHIKOMA_METRICS=OPT_IN)
@pytest.mark.parametrize("cost", [float("nan"), -1, "much", object()])
def test_a_cost_that_is_no_amount_is_a_fault(cost):
    with tracked() as execution:
        execution.cost(cost)

    assert faults() == 1
    assert statuses() == {"success": 1}


# --- models -----------------------------------------------------------------


def models() -> set[str]:
    return {dict(labels)["model"] for (name, labels) in samples() if name == "executions_total"}


def test_the_first_50_models_are_told_apart():
    for number in range(60):
        with track_execution("openai", f"model-{number}"):
            pass

    assert models() == {f"model-{number}" for number in range(50)} | {"other"}
    assert sample_value("executions_total", backend="openai", model="other", status="success") == 10


@override_settings(TACHIKOMA_METRICS={"LLM_MODELS": ["gpt-5"]})
def test_the_models_of_the_setting_are_told_apart():
    for model in ("gpt-5", "gpt-4"):
        with track_execution("openai", model):
            pass

    assert models() == {"gpt-5", "other"}


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_a_model_that_is_no_text_does_not_raise():
    with track_execution("openai", Unprintable()):  # type: ignore[arg-type]
        pass
    record_execution("openai", Unprintable(), "success", 1, (1, 2))  # type: ignore[arg-type]

    assert models() == {"other"}
    assert faults() == 2


@override_settings(TACHIKOMA_METRICS={"ENABLED": False})
async def test_nothing_is_measured_where_metrics_are_disabled():
    with tracked() as execution:
        execution.usage(CHAT)

    with override_settings(TACHIKOMA_METRICS={}):
        assert statuses() == {}
