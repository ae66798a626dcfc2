"""The samples that LLM calls leave."""

from __future__ import annotations

from tachikoma_metrics import track_execution
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


def instrumentation_errors() -> float:
    return sample_value("tachikoma_metrics_errors_total", source="execution") or 0


CHAT = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "prompt_tokens_details": {"cached_tokens": 80, "audio_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 12, "audio_tokens": 3},
}
