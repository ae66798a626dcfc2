"""Requests to upstream APIs, such as those of LLM providers."""

from __future__ import annotations

from tachikoma_metrics.backends.attempts import track_backend_request
from tachikoma_metrics.backends.clients import instrument_client

__all__ = ["instrument_client", "track_backend_request"]
