"""Clients of upstream APIs, whose every request is measured."""

from __future__ import annotations

from tachikoma_metrics.backends.attempts import track_backend_request
from tachikoma_metrics.backends.clients import instrument_client

__all__ = ["instrument_client", "track_backend_request"]
