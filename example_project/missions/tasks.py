"""The Celery task of the API."""

from __future__ import annotations

from celery import shared_task

from missions.execution import execute
from missions.models import Spec


@shared_task  # type: ignore[untyped-decorator]  # Celery has no types.
def execute_spec(spec_id: str) -> None:
    """Execute the spec with this id."""
    execute(Spec.objects.get(id=spec_id))
