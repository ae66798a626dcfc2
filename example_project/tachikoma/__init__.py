"""The example project: a small Tachikoma server."""

from __future__ import annotations

from tachikoma.celery import app as celery_app

__all__ = ["celery_app"]
