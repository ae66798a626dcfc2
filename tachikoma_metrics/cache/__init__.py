"""Hits, misses and sizes of every cache that Django creates."""

from __future__ import annotations

from tachikoma_metrics.cache.backends import install

__all__ = ["install"]
