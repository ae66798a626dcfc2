"""The request that the current context answers: for database queries, views and hooks."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tachikoma_metrics.http.measurement import Measurement

current: ContextVar[Measurement | None] = ContextVar("measurement", default=None)


def count_query(seconds: float) -> None:
    """Count a database query for the current request."""
    measurement = current.get()
    if measurement is not None:
        measurement.count_query(seconds)


def client_disconnected() -> None:
    """Count the current request as one whose client closed the connection."""
    measurement = current.get()
    if measurement is not None:
        measurement.client_disconnected()


def discard_current() -> None:
    """Do not record the current request."""
    measurement = current.get()
    if measurement is not None:
        measurement.discard()
