"""Calls and entries of every cache that Django makes."""

from __future__ import annotations

from tachikoma_metrics.cache.backends import install

__all__ = ["install"]
