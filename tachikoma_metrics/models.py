"""The counts of a service, where all its processes on all its hosts read them."""

from __future__ import annotations

from django.db import models


class BusinessSnapshot(models.Model):
    """The counts of one refresh, as one row that is replaced by the next one's.

    Times are in Unix time. A refresh that begins says so in ``begun_at``, so that of
    several that begin together one does the work; ``taken_at`` is when the refresh began
    whose counts these are.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    begun_at = models.FloatField(default=0)
    taken_at = models.FloatField(default=0)
    # JSON, but no JSONField: whether SQLite has those, Django's checks ask the database.
    content = models.TextField(default="{}")

    class Meta:
        """How Django speaks of it."""

        verbose_name = "business snapshot"
        # Nobody edits it: administrators need no permissions for it in their lists.
        default_permissions = ()

    def __str__(self) -> str:
        return f"Counts of {self.taken_at:.0f}"
