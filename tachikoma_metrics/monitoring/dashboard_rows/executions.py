"""The row of LLM calls, and their tokens."""

from __future__ import annotations

from tachikoma_metrics.monitoring.panels import (
    OUTCOME_COLORS,
    THIRD,
    Panel,
    Query,
    Row,
    by_instance,
    quantile,
    quantiles,
    rate,
)

EXECUTIONS = Row(
    "LLM calls and tokens",
    (
        Panel(
            "LLM calls by status",
            "LLM calls that ended.",
            rate("executions_total", "status", "{{status}}"),
            "ops",
            is_stacked=True,
            colors=OUTCOME_COLORS,
        ),
        Panel(
            "LLM error ratio by model",
            "Ratio of a model's LLM calls that ended in an error or a timeout.",
            (
                Query(
                    "sum by (backend, model) (rate("
                    'executions_total{status=~"error|timeout"}[$__rate_interval])) '
                    "/ sum by (backend, model) (rate(executions_total[$__rate_interval]))",
                    "{{backend}} {{model}}",
                ),
            ),
            "percentunit",
            max=1,
        ),
        Panel(
            "p95 duration by model",
            "Seconds that an LLM call took, including retries of the SDK.",
            (
                quantile(
                    0.95, "execution_duration_seconds", "backend, model", "{{backend}} {{model}}"
                ),
            ),
            "s",
        ),
        Panel(
            "LLM calls in progress",
            "Logical requests to a model, retries included, that have not ended.",
            by_instance("executions_in_progress"),
            is_stacked=True,
        ),
        Panel(
            "Tokens by type",
            "Tokens per second; prompt includes cached tokens.",
            rate("execution_tokens_total", "type", "{{type}}"),
            "count:tokens/s",
            is_stacked=True,
        ),
        Panel(
            "Tokens by model",
            "Token usage by model (cost driver).",
            rate("execution_tokens_total", "backend, model", "{{backend}} {{model}}"),
            "count:tokens/s",
            is_stacked=True,
        ),
        Panel(
            "Time to first chunk",
            "Delay until the first chunk of a streamed response.",
            quantiles("execution_time_to_first_chunk_seconds"),
            "s",
            width=THIRD,
        ),
        Panel(
            "Token details",
            "Cached, reasoning and audio tokens per second.",
            rate("execution_token_details_total", "type", "{{type}}"),
            "count:tokens/s",
            width=THIRD,
        ),
        Panel(
            "Cost per hour",
            "US dollars per hour, at the current rate.",
            (Query("3600 * sum(rate(execution_cost_usd_total[$__rate_interval]))", "per hour"),),
            "currencyUSD",
            width=THIRD,
        ),
        Panel(
            "Lost LLM calls",
            "LLM calls that were in progress when their process died.",
            (
                Query(
                    "sum by (instance) (increase(executions_lost_total[$__rate_interval]))",
                    "{{instance}}",
                ),
            ),
            width=THIRD,
        ),
    ),
)
