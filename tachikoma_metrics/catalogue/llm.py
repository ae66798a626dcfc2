"""Metrics of LLM calls, which the specification names executions."""

from __future__ import annotations

from tachikoma_metrics.catalogue.backends import BACKEND
from tachikoma_metrics.catalogue.definitions import Buckets, Counter, Gauge, Histogram, Label

EXECUTION_BUCKETS: Buckets = (0.5, 1, 2.5, 5, 10, 30, 60, 120)

MODEL = Label("model", "A model of `LLM_MODELS`, or one of the first 50; else `other`.")
OUTCOMES = ("success", "error", "timeout", "cancelled")
"""How an LLM call may end."""
OUTCOME = Label("status", "`success`, `error`, `timeout` or `cancelled`.", is_closed=True)
TOKEN_TYPE = Label("type", "`prompt` or `completion`.", is_closed=True)
TOKEN_DETAIL = Label(
    "type",
    "`cache_read`, `cache_write`, `reasoning`, `audio_prompt` or `audio_completion`.",
    is_closed=True,
)

TRACKER = "`track_execution`"
"""Records all of these metrics."""

_RECORDERS = f"{TRACKER}, `record_execution`"

EXECUTIONS = Counter(
    "executions_total",
    "LLM calls that ended.",
    (BACKEND, MODEL, OUTCOME),
    recorded_by=_RECORDERS,
)
EXECUTION_DURATION = Histogram(
    "execution_duration_seconds",
    "Seconds an LLM call took.",
    (BACKEND, MODEL),
    buckets=EXECUTION_BUCKETS,
    recorded_by=_RECORDERS,
    has_exemplars=True,
)
EXECUTION_TOKENS = Counter(
    "execution_tokens_total",
    "Tokens used by LLM calls.",
    (BACKEND, MODEL, TOKEN_TYPE),
    recorded_by=_RECORDERS,
)
EXECUTIONS_LOST = Counter(
    "executions_lost_total",
    "LLM calls in progress when their process died.",
    recorded_by=TRACKER,
)
EXECUTIONS_IN_PROGRESS = Gauge(
    "executions_in_progress",
    "LLM calls currently in progress.",
    lost=EXECUTIONS_LOST,
    recorded_by=TRACKER,
)
EXECUTION_TIME_TO_FIRST_CHUNK = Histogram(
    "execution_time_to_first_chunk_seconds",
    "Seconds from the start of an LLM call to the first chunk of its response.",
    (BACKEND, MODEL),
    buckets=EXECUTION_BUCKETS,
    opt_in=True,
    recorded_by=TRACKER,
)
EXECUTION_TOKEN_DETAILS = Counter(
    "execution_token_details_total",
    "Tokens used by LLM calls, as the provider breaks them down.",
    (TOKEN_DETAIL,),
    (BACKEND, MODEL),
    opt_in=True,
    recorded_by=TRACKER,
)
EXECUTION_COST_USD = Counter(
    "execution_cost_usd_total",
    "US dollars spent on LLM calls.",
    optional=(BACKEND, MODEL),
    opt_in=True,
    recorded_by=TRACKER,
)
