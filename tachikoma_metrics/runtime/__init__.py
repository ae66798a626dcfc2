"""The Python runtime: the lag of event loops and the pauses of the garbage collector."""

from __future__ import annotations

from tachikoma_metrics.runtime.garbage_collector import install

__all__ = ["install"]
