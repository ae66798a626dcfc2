"""LLM calls, named "executions" in metrics and in the API: each is recorded once when it ends.

OpenTelemetry calls them operations of a client, with a duration, tokens and the time to the first
chunk:
https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-metrics.md
"""

from __future__ import annotations

from time import perf_counter

from tachikoma_metrics import catalogue
from tachikoma_metrics.llm.tokens import Tokens
from tachikoma_metrics.recording.error_types import (
    CANCELLED,
    TIMEOUT,
    causes_of,
    is_cancellation,
    is_timeout,
    members_of,
    shared,
)
from tachikoma_metrics.recording.events import EXECUTION
from tachikoma_metrics.recording.model_names import model_name
from tachikoma_metrics.recording.recorders import record_execution_extras, record_tokens
from tachikoma_metrics.recording.tracked_block import TrackedBlock
from tachikoma_metrics.registry import METRICS, Progress

SUCCESS, ERROR = "success", "error"


def status_of(error: BaseException | None) -> str:
    """Return ``success``, ``error``, ``timeout`` or ``cancelled`` for what the LLM call raised.

    The first timeout or cancellation in the chain of causes decides, starting with ``error``
    itself. An exception group has the status that all its members share, else ``error``.
    """
    if error is None:
        return SUCCESS
    for cause in causes_of(error):
        if members := members_of(cause):
            return shared({status_of(member) for member in members}) or ERROR
        if is_cancellation(cause):
            return CANCELLED
        if is_timeout(cause):
            return TIMEOUT
    return ERROR


class Execution:
    """An LLM call in progress; none of its methods raises."""

    def __init__(self, backend: str, model: str) -> None:
        self.backend = backend
        self.model = model
        self._tokens = Tokens()
        self._cost: float | None = None
        self._first_chunk_at: float | None = None
        self._pending = [True]
        self._progress = Progress()
        self._started_at = perf_counter()

    def start(self) -> None:
        """Count the LLM call as in progress."""
        EXECUTION.begin(self._progress, self._started_at)
        try:
            if isinstance(self.model, str):
                EXECUTION.initialize((self.backend, model_name(self.model)))
        except Exception as error:
            METRICS.count_error("execution", error)

    def discard(self) -> None:
        """Drop the LLM call without a record, unless it has ended."""
        EXECUTION.abandon(self._progress)

    def drop(self) -> None:
        """Schedule the discard of an LLM call whose block ended without ``__exit__``."""
        self._progress.abandon_later()

    def usage(self, response: object) -> None:
        """Take the tokens from a response, or from a chunk or event of a streamed response.

        Accepts OpenAI's and Anthropic's objects, and dictionaries with the same keys.
        """
        try:
            self._tokens.take(response)
        except Exception as error:
            METRICS.count_error("execution", error)

    def first_chunk(self) -> None:
        """Note the arrival of the first chunk of the response; later calls change nothing."""
        if self._first_chunk_at is None:
            self._first_chunk_at = perf_counter()

    def cost(self, usd: float) -> None:
        """Note the price of the LLM call, in US dollars."""
        self._cost = usd

    def end(self, status: str) -> None:
        """Record the LLM call, once."""
        try:
            # pop() is atomic: of two threads that end the LLM call, one records it.
            self._pending.pop()
        except IndexError:
            return
        if self._progress.is_inherited:
            return
        now = perf_counter()
        model = model_name(self.model)
        facts = (self.backend, model, status)
        EXECUTION.record_valid(facts, (1.0, now - self._started_at), self._progress, now)
        record_tokens(self.backend, model, self._tokens.prompt, self._tokens.completion)
        first = self._first_chunk_at
        record_execution_extras(
            self.backend,
            model,
            seconds_to_first_chunk=None if first is None else first - self._started_at,
            details=dict(self._tokens.details()),
            cost_usd=self._cost,
        )


class track_execution(TrackedBlock[Execution]):  # Lower case: it is used as a context manager.
    """Measure an LLM call: a ``with`` or ``async with`` block, or a function.

    ``backend`` is the provider, such as ``openai``; ``model`` is one of ``LLM_MODELS``, otherwise
    ``other``. ``status`` is ``success`` unless the block raises: then it is ``timeout``,
    ``cancelled`` or ``error``, and the exception passes through::

        with track_execution("openai", "gpt-5") as execution:
            execution.usage(client.chat.completions.create(...))
    """

    source = "execution"
    families = catalogue.RECORDED_BY_EXECUTIONS

    def __init__(self, backend: str, model: str) -> None:
        super().__init__()
        self._backend = backend
        self._model = model

    def begin(self) -> Execution:
        """Return a new LLM call."""
        return Execution(self._backend, self._model)

    def end(self, begun: Execution, error: BaseException | None) -> None:
        """Record the LLM call."""
        begun.end(status_of(error))
