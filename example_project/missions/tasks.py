"""The Celery task of the API."""

from __future__ import annotations

import logging

from celery import shared_task
from django.core.management import call_command

from missions.execution import ExecutionFailed, execute
from missions.models import Mission, Spec

logger = logging.getLogger(__name__)


# Celery has no types.
@shared_task(  # type: ignore[untyped-decorator]
    autoretry_for=(ExecutionFailed,),
    max_retries=1,
    default_retry_delay=1,
    throws=(ExecutionFailed,),
)
def execute_spec(spec_id: str) -> None:
    """Execute the spec with this id, and try again once if the language model gives no answer."""
    execute(Spec.objects.get(id=spec_id))


# Logged without a traceback: a client may name a mission that does not exist.
@shared_task(throws=(Mission.DoesNotExist,))  # type: ignore[untyped-decorator]
def write_report(mission_id: str) -> None:
    """Write how far a mission is to the log; fail if there is no such mission."""
    mission = Mission.objects.get(id=mission_id)
    done = mission.specs.filter(status=Spec.Status.DONE).count()
    logger.info("%s: %d of %d specs are done.", mission, done, mission.specs.count())


@shared_task  # type: ignore[untyped-decorator]
def prune_file_changes() -> None:
    """Run the management command of this name; beat has it run regularly."""
    call_command("prune_file_changes", verbosity=0)
