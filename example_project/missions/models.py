"""Missions have specs; executing a spec changes files."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django_prometheus.models import ExportModelOperationsMixin


class Mission(ExportModelOperationsMixin("mission"), models.Model):  # type: ignore[misc]  # A function.
    """A goal."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("created_at", "id")

    def __str__(self) -> str:
        return self.name


class Spec(ExportModelOperationsMixin("spec"), models.Model):  # type: ignore[misc]  # A function.
    """One step of a mission."""

    class Status(models.TextChoices):
        """The progress of a spec."""

        PLANNED = "planned"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    mission = models.ForeignKey(Mission, models.CASCADE, related_name="specs")
    title = models.CharField(max_length=200)
    status = models.CharField(max_length=20, choices=Status, default=Status.PLANNED)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("created_at", "id")

    def __str__(self) -> str:
        return self.title


class FileChange(ExportModelOperationsMixin("file_change"), models.Model):  # type: ignore[misc]  # A function.
    """A change of a file by a spec."""

    class ChangeType(models.TextChoices):
        """The operation on the file."""

        CREATE = "create"
        MODIFY = "modify"
        DELETE = "delete"

    class Status(models.TextChoices):
        """The outcome of the change."""

        PENDING = "pending"
        APPLIED = "applied"
        REJECTED = "rejected"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    spec = models.ForeignKey(Spec, models.CASCADE, related_name="file_changes")
    path = models.CharField(max_length=500)
    change_type = models.CharField(max_length=20, choices=ChangeType)
    status = models.CharField(max_length=20, choices=Status, default=Status.PENDING)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("created_at", "id")

    def __str__(self) -> str:
        return f"{self.change_type} {self.path}"


def count_by_status() -> dict[str, Any]:
    """Return the number of missions, and the number of specs by status."""
    by_status = Spec.objects.order_by().values_list("status").annotate(models.Count("id"))
    return {"missions": Mission.objects.count(), "specs": dict(by_status)}
