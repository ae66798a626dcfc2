from __future__ import annotations

from kiosk.celery import app
from kiosk.metrics import sell


@app.task  # type: ignore[untyped-decorator]
def deliver() -> None:
    """Sell a paper in another process than that of the request."""
    sell("task")
