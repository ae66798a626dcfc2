"""Queries, connections and pools of every database that Django connects to."""

from __future__ import annotations

from tachikoma_metrics.database import connections, pools

__all__ = ["install"]


def install() -> None:
    """Instrument every connection and every pool that is opened from now on; opens none."""
    connections.install()
    pools.install()
