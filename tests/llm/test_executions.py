from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from django.test import override_settings

from tachikoma_metrics import record_execution, track_execution
from tachikoma_metrics.testing import sample_value, samples
from tests.llm.recorded import (
    CHAT,
    OPT_IN,
    SERIES,
    in_progress,
    instrumentation_errors,
    statuses,
    tokens,
    tracked,
)


async def test_an_async_block_is_an_llm_call():
    async with tracked() as execution:
        execution.usage({"prompt_tokens": 1})
    with pytest.raises(ValueError, match="broken"):
        async with tracked():
            raise ValueError("broken")

    assert statuses() == {"success": 1, "error": 1}
    assert tokens() == (1, None)


async def test_a_cancelled_llm_call_is_no_longer_in_progress():
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


def test_an_llm_call_is_recorded_once():
    with tracked() as execution:
        execution.end("error")

    assert statuses() == {"error": 1}


def test_concurrent_threads_that_end_an_llm_call_record_it_once():
    with tracked() as execution:
        threads = [threading.Thread(target=execution.end, args=("error",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert statuses() == {"error": 1}


def test_nested_blocks_are_separate_llm_calls():
    tracker = tracked()
    with tracker as outer, tracker as inner:
        inner.usage({"prompt_tokens": 1})
        outer.usage({"prompt_tokens": 10})

    assert statuses() == {"success": 2}
    assert tokens() == (11, None)


def test_each_call_of_a_decorated_function_is_an_llm_call():
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


def test_a_generator_is_one_llm_call_until_it_ends():
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


async def test_an_async_generator_is_one_llm_call_until_it_ends():
    received: list[object] = []

    @tracked()
    async def chunks() -> AsyncIterator[Any]:
        try:
            received.append((yield 1))
        except KeyError as error:
            received.append(error)
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

    assert received == [None, "sent", error]
    assert statuses() == {"success": 2, "cancelled": 1}


def test_the_opt_in_metrics_are_off_by_default():
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
def test_an_invalid_cost_is_an_instrumentation_error(cost):
    with tracked() as execution:
        execution.cost(cost)

    assert instrumentation_errors() == 1
    assert statuses() == {"success": 1}


def models() -> set[str]:
    return {dict(labels)["model"] for (name, labels) in samples() if name == "executions_total"}


def test_the_first_50_models_have_separate_series():
    for number in range(60):
        with track_execution("openai", f"model-{number}"):
            pass

    assert models() == {f"model-{number}" for number in range(50)} | {"other"}
    assert sample_value("executions_total", backend="openai", model="other", status="success") == 10


@override_settings(TACHIKOMA_METRICS={"LLM_MODELS": ["gpt-5"]})
def test_the_models_of_the_setting_have_separate_series():
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
    assert instrumentation_errors() == 2


@override_settings(TACHIKOMA_METRICS={"ENABLED": False})
async def test_nothing_is_measured_where_metrics_are_disabled():
    with tracked() as execution:
        execution.usage(CHAT)

    with override_settings(TACHIKOMA_METRICS={}):
        assert statuses() == {}
