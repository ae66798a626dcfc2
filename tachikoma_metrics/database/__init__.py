"""Queries and connections of every database that Django connects to."""

from __future__ import annotations

from tachikoma_metrics.database.connections import install

__all__ = ["install"]
