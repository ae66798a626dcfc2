"""The real SDKs of language models, against a server that speaks as their providers do.

The module is long because each SDK, which takes seconds to import, is imported once.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from tachikoma_metrics import track_execution
from tachikoma_metrics.backends import instrument_client
from tachikoma_metrics.testing import sample_value, samples
from tests.origins import Answer, Origin
from tests.services.llm_answers import (
    CHAT,
    CHAT_USAGE,
    MESSAGES,
    MODEL,
    RESPONSES,
    SHAPES,
    chat,
    reply,
)

openai = pytest.importorskip("openai", reason="the sdks environments have it")
anthropic = pytest.importorskip("anthropic", reason="the sdks environments have it")
pydantic = pytest.importorskip("pydantic", reason="the SDKs need it")

# litellm leaves event loops behind, which are found whenever the collector comes by.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in.*(BaseEventLoop|family=1, type=1)"
    ":pytest.PytestUnraisableExceptionWarning"
)

KEY = {"api_key": "none", "max_retries": 1}


@pytest.fixture(autouse=True, scope="module")
def _no_event_loop() -> None:
    """Prevent litellm from making an event loop that it leaves open.

    The garbage collector finds such a loop at the end of the run, where the filter has ended.
    """
    asyncio.set_event_loop(None)


@pytest.fixture
def origin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Origin]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with Origin(reply).running() as origin:
        yield origin


Ask = Callable[[Any], Any]
MESSAGE = [{"role": "user", "content": "Hi"}]


def ask_chat(client: Any, **kwargs: Any) -> Any:
    return client.chat.completions.create(model=MODEL, messages=MESSAGE, **kwargs)


def ask_responses(client: Any, **kwargs: Any) -> Any:
    return client.responses.create(model=MODEL, input="Hi", **kwargs)


def ask_messages(client: Any, **kwargs: Any) -> Any:
    return client.messages.create(model=MODEL, max_tokens=9, messages=MESSAGE, **kwargs)


OPENAI = (lambda: openai.OpenAI, lambda: openai.AsyncOpenAI, "/v1")
ANTHROPIC = (lambda: anthropic.Anthropic, lambda: anthropic.AsyncAnthropic, "")
CASES = {
    CHAT: (OPENAI, ask_chat),
    RESPONSES: (OPENAI, ask_responses),
    MESSAGES: (ANTHROPIC, ask_messages),
}
each_api = pytest.mark.parametrize("path", list(CASES))


def sync_client(path: str, origin: Origin, **kwargs: Any) -> Any:
    (make, _, below), _ = CASES[path]
    return instrument_client(make()(base_url=origin.url + below, **{**KEY, **kwargs}), "llm")


def async_client(path: str, origin: Origin, **kwargs: Any) -> Any:
    (_, make, below), _ = CASES[path]
    return instrument_client(make()(base_url=origin.url + below, **{**KEY, **kwargs}), "llm")


def values(name: str, label: str) -> dict[str, float]:
    return {dict(labels)[label]: v for (n, labels), v in samples().items() if n == name and v}


def assert_the_page_says(path: str, origin: Origin, status: str = "success", **errors: int) -> None:
    """Compare the page with what the server saw."""
    seen = len(origin.seen)
    assert values("backend_requests_total", "endpoint") == {path: seen}
    assert sample_value("backend_request_duration_seconds_count", backend="llm") == seen
    assert values("backend_errors_total", "error_type") == errors
    assert values("executions_total", "status") == {status: 1}
    assert sample_value("executions_in_progress") == 0
    tokens = {"prompt": 100, "completion": 20} if status == "success" else {}
    assert values("execution_tokens_total", "type") == tokens
    assert "tachikoma_metrics_errors_total" not in {name for name, _ in samples()}


# --- answers in one piece, and streams --------------------------------------


@each_api
def test_an_answer(path: str, origin: Origin):
    with sync_client(path, origin) as client, track_execution("llm", MODEL) as execution:
        execution.usage(CASES[path][1](client))

    assert_the_page_says(path, origin)


@each_api
async def test_an_async_answer(path: str, origin: Origin):
    async with async_client(path, origin) as client, track_execution("llm", MODEL) as execution:
        execution.usage(await CASES[path][1](client))

    assert_the_page_says(path, origin)


@each_api
def test_a_stream(path: str, origin: Origin):
    with sync_client(path, origin) as client, track_execution("llm", MODEL) as execution:
        for event in CASES[path][1](client, stream=True):
            execution.first_chunk()
            execution.usage(event)

    assert_the_page_says(path, origin)


@each_api
async def test_an_async_stream(path: str, origin: Origin):
    async with async_client(path, origin) as client, track_execution("llm", MODEL) as execution:
        async for event in await CASES[path][1](client, stream=True):
            execution.first_chunk()
            execution.usage(event)

    assert_the_page_says(path, origin)


@each_api
def test_a_stream_that_is_left_half_way(path: str, origin: Origin):
    with sync_client(path, origin) as client:
        with track_execution("llm", MODEL), CASES[path][1](client, stream=True) as stream:
            next(iter(stream))
        assert values("backend_requests_total", "endpoint") == {path: 1}

    assert values("backend_errors_total", "error_type") == {}
    assert values("executions_total", "status") == {"success": 1}


HELPERS: dict[str, Any] = {
    CHAT: lambda client: client.chat.completions.stream(
        model=MODEL, messages=MESSAGE, stream_options={"include_usage": True}
    ),
    RESPONSES: lambda client: client.responses.stream(model=MODEL, input="Hi"),
    MESSAGES: lambda client: client.messages.stream(model=MODEL, max_tokens=9, messages=MESSAGE),
}
FINAL = {
    CHAT: "get_final_completion",
    RESPONSES: "get_final_response",
    MESSAGES: "get_final_message",
}


def test_the_text_of_a_helper_and_what_it_has_at_last(origin: Origin):
    with sync_client(MESSAGES, origin) as client, track_execution("llm", MODEL) as execution:
        with HELPERS[MESSAGES](client) as stream:
            assert "".join(stream.text_stream) == "Hello"
        execution.usage(stream.get_final_message())

    assert_the_page_says(MESSAGES, origin)


@each_api
def test_each_event_of_a_helper(path: str, origin: Origin):
    with (
        sync_client(path, origin) as client,
        track_execution("llm", MODEL) as execution,
        HELPERS[path](client) as stream,
    ):
        for event in stream:
            execution.usage(event)

    assert_the_page_says(path, origin)


@each_api
async def test_each_event_of_an_async_helper(path: str, origin: Origin):
    async with (
        async_client(path, origin) as client,
        track_execution("llm", MODEL) as execution,
        HELPERS[path](client) as stream,
    ):
        async for event in stream:
            execution.usage(event)

    assert_the_page_says(path, origin)


@each_api
def test_what_a_helper_has_at_last(path: str, origin: Origin):
    with (
        sync_client(path, origin) as client,
        track_execution("llm", MODEL) as execution,
        HELPERS[path](client) as stream,
    ):
        for event in stream:
            execution.usage(event)
        execution.usage(getattr(stream, FINAL[path])())

    assert_the_page_says(path, origin)


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_the_stream_of_a_helper_itself(path: str, origin: Origin):
    with (
        sync_client(path, origin) as client,
        track_execution("llm", MODEL) as execution,
        HELPERS[path](client) as stream,
    ):
        for _ in stream:
            pass
        execution.usage(stream)

    assert_the_page_says(path, origin)


RAW = {
    CHAT: lambda client: client.chat.completions,
    RESPONSES: lambda client: client.responses,
    MESSAGES: lambda client: client.messages,
}


def ask_raw(path: str, client: Any, way: str, **kwargs: Any) -> Any:
    ask: dict[str, Any] = {"input": "Hi"} if path == RESPONSES else {"messages": MESSAGE}
    ask |= {"max_tokens": 9} if path == MESSAGES else {}
    return getattr(RAW[path](client), way).create(model=MODEL, **ask, **kwargs)


@each_api
def test_a_raw_response(path: str, origin: Origin):
    with sync_client(path, origin) as client, track_execution("llm", MODEL) as execution:
        answer = ask_raw(path, client, "with_raw_response")
        execution.usage(answer)
        execution.usage(answer.parse())

    assert_the_page_says(path, origin)


@each_api
async def test_an_async_raw_response(path: str, origin: Origin):
    async with async_client(path, origin) as client, track_execution("llm", MODEL) as execution:
        execution.usage(await ask_raw(path, client, "with_raw_response"))

    assert_the_page_says(path, origin)


@each_api
def test_a_raw_response_that_was_not_read_stays_as_it_is(path: str, origin: Origin):
    with (
        sync_client(path, origin) as client,
        track_execution("llm", MODEL) as execution,
        ask_raw(path, client, "with_streaming_response") as answer,
    ):
        execution.usage(answer)
        assert sample_value("tachikoma_metrics_errors_total", source="execution") == 1
        assert b"usage" in b"".join(answer.iter_bytes())

    assert values("execution_tokens_total", "type") == {}


@each_api
def test_a_stream_that_is_taken_for_an_answer_is_a_fault(path: str, origin: Origin):
    with (
        sync_client(path, origin) as client,
        track_execution("llm", MODEL) as execution,
        CASES[path][1](client, stream=True) as stream,
    ):
        execution.usage(stream)
        assert len(list(stream)) > 2

    assert sample_value("tachikoma_metrics_errors_total", source="execution") == 1


# --- what projects derive from the SDKs' models -----------------------------


Model = pydantic.create_model("Model", id=(str, "1"), usage=(dict[str, Any], {}))
OpenModel = pydantic.create_model("OpenModel", id=(str, "1"), __config__={"extra": "allow"})
Derived = type("Derived", (pydantic.BaseModel,), {"usage": property(lambda self: CHAT_USAGE)})
MODELS = [Model(usage=CHAT_USAGE), OpenModel(usage=CHAT_USAGE), Derived()]


@pytest.mark.parametrize("answer", MODELS, ids=lambda answer: type(answer).__name__)
def test_a_model_of_pydantics_may_have_the_usage_in_any_way(answer: object):
    with track_execution("llm", MODEL) as execution:
        execution.usage(Model())
        execution.usage(answer)

    assert values("execution_tokens_total", "type") == {"prompt": 100, "completion": 20}
    assert "tachikoma_metrics_errors_total" not in {name for name, _ in samples()}


# --- failures ---------------------------------------------------------------

NOW = {"retry-after-ms": "1", "retry-after": "0"}


@each_api
def test_a_second_try_that_succeeds(path: str, origin: Origin):
    origin.answers.append(Answer(429, headers=NOW))
    with sync_client(path, origin) as client, track_execution("llm", MODEL) as execution:
        execution.usage(CASES[path][1](client))

    assert len(origin.seen) == 2
    assert_the_page_says(path, origin, rate_limit=1)


@each_api
async def test_tries_that_all_fail(path: str, origin: Origin):
    origin.answers += [Answer(529, headers=NOW), Answer(429, headers=NOW)]
    sdk = anthropic if path == MESSAGES else openai
    async with async_client(path, origin) as client:
        with pytest.raises(sdk.RateLimitError), track_execution("llm", MODEL):
            await CASES[path][1](client)

    assert len(origin.seen) == 2
    assert_the_page_says(path, origin, "error", rate_limit=1, overloaded=1)


@each_api
def test_an_answer_that_hangs(path: str, origin: Origin):
    origin.answers.append(Answer(chunks=[b"{"], hangs=True))
    sdk = anthropic if path == MESSAGES else openai
    # On a busy machine, connecting and sending may take longer than the wait for the answer.
    timeout = sdk.Timeout(30, read=0.2)
    client = sync_client(path, origin, timeout=timeout, max_retries=0)
    with client, pytest.raises(sdk.APITimeoutError), track_execution("llm", MODEL):
        CASES[path][1](client)
    assert origin.asked.wait(30)

    assert_the_page_says(path, origin, "timeout", timeout=1)


class SoftTimeLimitExceeded(Exception):
    """Celery's, which its worker raises wherever the task is."""


class Interrupted:
    """A transport in which the task's time is up."""

    def handle_request(self, request: Any) -> Any:
        raise SoftTimeLimitExceeded

    def close(self) -> None:
        pass


@each_api
def test_a_soft_time_limit_while_the_sdk_waits(path: str, origin: Origin):
    sdk = anthropic if path == MESSAGES else openai
    http = sdk.DefaultHttpxClient(transport=Interrupted())
    client = sync_client(path, origin, http_client=http, max_retries=0)
    raised = (SoftTimeLimitExceeded, sdk.APIConnectionError)  # Some wrap it, some do not.
    with client, pytest.raises(raised), track_execution("llm", MODEL):
        CASES[path][1](client)

    assert values("executions_total", "status") == {"timeout": 1}
    assert values("backend_errors_total", "error_type") == {"timeout": 1}


@each_api
async def test_a_cancelled_stream(path: str, origin: Origin):
    origin.answers.append(Answer(chunks=[], content_type="text/event-stream", hangs=True))

    async def work(client: Any) -> None:
        with track_execution("llm", MODEL):
            async for _ in await CASES[path][1](client, stream=True):
                pass

    async with async_client(path, origin) as client:
        task = asyncio.create_task(work(client))
        assert await asyncio.to_thread(origin.asked.wait, 30)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert_the_page_says(path, origin, "cancelled", cancelled=1)


# --- what shares a client ---------------------------------------------------


def test_a_client_with_other_options_is_measured(origin: Origin):
    with sync_client(CHAT, origin) as client, track_execution("llm", MODEL) as execution:
        execution.usage(ask_chat(client.with_options(max_retries=0)))

    assert_the_page_says(CHAT, origin)


def gateway(origin: Origin, **kwargs: Any) -> Any:
    return openai.OpenAI(base_url=origin.url + "/gateway/one/v1", **KEY, **kwargs)


def with_other_options(origin: Origin) -> Any:
    client = instrument_client(openai.OpenAI(base_url=origin.url + "/v1", **KEY), "llm")
    return client.with_options(base_url=origin.url + "/gateway/one/v1")


def with_an_instrumented_http_client(origin: Origin) -> Any:
    return gateway(origin, http_client=instrument_client(openai.DefaultHttpxClient(), "llm"))


def with_a_base_url_that_is_set_later(origin: Origin) -> Any:
    client = instrument_client(openai.OpenAI(base_url=origin.url + "/v1", **KEY), "llm")
    client.base_url = origin.url + "/gateway/one/v1"
    return client


def with_a_shared_http_client(origin: Origin) -> Any:
    http = openai.DefaultHttpxClient()
    instrument_client(openai.OpenAI(base_url=origin.url, http_client=http, **KEY), "llm")
    return instrument_client(gateway(origin, http_client=http), "llm")


@pytest.mark.parametrize(
    "make",
    [
        with_other_options,
        with_an_instrumented_http_client,
        with_a_base_url_that_is_set_later,
        with_a_shared_http_client,
    ],
    ids=lambda make: make.__name__,
)
def test_the_endpoint_is_known_under_whatever_base_url(make: Any, origin: Origin):
    origin.answers.append(Answer(chunks=[json.dumps(chat()).encode()]))
    with make(origin) as client, track_execution("llm", MODEL) as execution:
        execution.usage(ask_chat(client))

    assert origin.seen[0][0] == "/gateway/one/v1/chat/completions"
    assert_the_page_says(CHAT, origin)


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
async def test_an_async_client_with_another_base_url(path: str, origin: Origin):
    origin.answers.append(Answer(chunks=[json.dumps(SHAPES[path][0]()).encode()]))
    base_url = f"{origin.url}/v1/threads/1{'/v1' if path == CHAT else ''}"
    async with async_client(path, origin) as client, track_execution("llm", MODEL) as execution:
        execution.usage(await CASES[path][1](client.with_options(base_url=base_url)))

    assert_the_page_says(path, origin)


def test_azure_has_the_same_endpoints(origin: Origin):
    azure = openai.AzureOpenAI(azure_endpoint=origin.url, api_version="1", **KEY)
    origin.answers.append(Answer(chunks=[json.dumps(chat()).encode()]))
    with instrument_client(azure, "llm") as client, track_execution("llm", MODEL) as execution:
        execution.usage(ask_chat(client))

    assert origin.seen[0][0].startswith(f"/openai/deployments/{MODEL}/chat/completions")
    assert_the_page_says(CHAT, origin)


# --- litellm ----------------------------------------------------------------


# litellm's warnings are about its own types.
of_its_own = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    # It asks the network for prices otherwise.
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    yield pytest.importorskip("litellm", reason="it needs an older OpenAI SDK")
    # Whatever it has not closed or awaited is no fault of the next test.
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)
    gc.collect()


@of_its_own
def test_litellm_through_openais_sdk(litellm: Any, origin: Origin):
    with sync_client(CHAT, origin) as client, track_execution("llm", MODEL) as execution:
        answer = litellm.completion(model=f"openai/{MODEL}", messages=MESSAGE, client=client)
        execution.usage(answer)

    assert_the_page_says(CHAT, origin)


@of_its_own
def test_litellm_wraps_a_soft_time_limit(litellm: Any, origin: Origin):
    http = openai.DefaultHttpxClient(transport=Interrupted())
    client = openai.OpenAI(base_url=origin.url, http_client=http, api_key="none", max_retries=0)
    with client, pytest.raises(openai.APIError), track_execution("llm", MODEL):
        litellm.completion(model=f"openai/{MODEL}", messages=MESSAGE, client=client)

    assert values("executions_total", "status") == {"timeout": 1}


@of_its_own
async def test_async_litellm_streams(litellm: Any, origin: Origin):
    ask = {"stream": True, "stream_options": {"include_usage": True}}
    async with async_client(CHAT, origin) as client, track_execution("llm", MODEL) as execution:
        chunks: AsyncIterator[Any] = await litellm.acompletion(
            model=f"openai/{MODEL}", messages=MESSAGE, client=client, **ask
        )
        async for chunk in chunks:
            execution.usage(chunk)

    assert_the_page_says(CHAT, origin)


@of_its_own
def test_litellm_with_anthropic_counts_cached_tokens_once(litellm: Any, origin: Origin):
    client = instrument_client(litellm.llms.custom_httpx.http_handler.HTTPHandler(), "llm")
    with track_execution("llm", MODEL) as execution:
        answer = litellm.completion(
            model="anthropic/claude-sonnet-4-5",
            messages=MESSAGE,
            api_base=origin.url,
            api_key="none",
            client=client,
        )
        execution.usage(answer)
    client.close()

    assert_the_page_says(MESSAGES, origin)
