"""Functions that record one event each, in every metric that it changes.

None of them raises: an invalid argument is counted in ``tachikoma_metrics_errors_total``, and the
valid parts of the call are recorded.
"""

from __future__ import annotations

from collections.abc import Mapping

from tachikoma_metrics.recording.events import (
    BACKEND_ERROR,
    BACKEND_REQUEST,
    CACHE_HIT,
    CACHE_MISS,
    DB_QUERY,
    EXECUTION,
    EXECUTION_COST,
    EXECUTION_TOKENS,
    FILE_CHANGE,
    FIRST_CHUNK,
    TOKEN_DETAILS,
)
from tachikoma_metrics.recording.model_names import model_name
from tachikoma_metrics.registry import METRICS


def record_execution(
    backend: str,
    model: str,
    status: str,
    duration_secs: float,
    tokens: tuple[int, int],
) -> None:
    """Record one LLM call that ended.

    ``model`` is one of ``LLM_MODELS``, else ``other``; ``status`` is ``success``, ``error``,
    ``timeout`` or ``cancelled``, ``duration_secs`` in seconds, and ``tokens`` the pair
    (prompt, completion).
    """
    model = model_name(model)
    EXECUTION.record((backend, model, status), (1, duration_secs))
    try:
        prompt, completion = tokens
    except Exception as error:
        METRICS.count_error("execution", error)
        return
    EXECUTION_TOKENS.record((backend, model, "prompt"), (prompt,))
    EXECUTION_TOKENS.record((backend, model, "completion"), (completion,))


def record_tokens(backend: str, model: str, prompt: int | None, completion: int | None) -> None:
    """Record the tokens of an LLM call; None stands for a number that is not known."""
    if prompt is not None:
        EXECUTION_TOKENS.record((backend, model, "prompt"), (prompt,))
    if completion is not None:
        EXECUTION_TOKENS.record((backend, model, "completion"), (completion,))


def record_execution_extras(
    backend: str,
    model: str,
    *,
    seconds_to_first_chunk: float | None = None,
    details: Mapping[str, int] | None = None,
    cost_usd: float | None = None,
) -> None:
    """Record the opt-in metrics of an LLM call; None stands for what is not known.

    ``details`` are numbers of tokens by the provider's detailed types.
    """
    if seconds_to_first_chunk is not None:
        FIRST_CHUNK.record((backend, model), (seconds_to_first_chunk,))
    for kind, number in (details or {}).items():
        TOKEN_DETAILS.record((kind, backend, model), (number,))
    if cost_usd is not None:
        EXECUTION_COST.record((backend, model), (cost_usd,))


def record_db_query(operation: str, table: str, duration_secs: float, *, alias: str = "") -> None:
    """Record one database query that took ``duration_secs`` seconds.

    ``operation`` is ``select``, ``insert``, ``update``, ``delete``,
    ``transaction``, ``ddl`` or ``other``; ``alias`` is the value of that label if
    ``LABELS`` adds it.
    """
    DB_QUERY.record((operation, table, alias), (1, duration_secs))


def record_cache_hit(*, cache: str = "") -> None:
    """Record that a key was found, with the label ``cache`` if ``LABELS`` adds it."""
    CACHE_HIT.record((cache,), (1,))


def record_cache_miss(*, cache: str = "") -> None:
    """Record that a key was not found, with the label ``cache`` if ``LABELS`` adds it."""
    CACHE_MISS.record((cache,), (1,))


def record_backend_request(backend: str, endpoint: str, duration_secs: float) -> None:
    """Record one request to an upstream API that took ``duration_secs`` seconds.

    ``endpoint`` is the API operation, such as ``/v1/chat/completions``; keep it to a
    few values (``normalize_path`` helps).
    """
    BACKEND_ERROR.initialize((backend,))
    BACKEND_REQUEST.record((backend, endpoint), (1, duration_secs))


def record_backend_error(backend: str, error_type: str) -> None:
    """Record that a request to an upstream API failed, and how.

    ``error_type`` is a word such as ``rate_limit`` or ``timeout``; keep it to a few.
    """
    BACKEND_ERROR.record((backend, error_type), (1,))


def record_file_change(change_type: str, status: str) -> None:
    """Record one change of a file, such as ``("modify", "applied")``."""
    FILE_CHANGE.record((change_type, status), (1,))
