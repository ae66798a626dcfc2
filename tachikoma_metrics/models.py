"""The business metrics of a service, where all its processes on all its hosts read them.

And the permission to view the live page, which belongs to a model, as all permissions do.
"""

from __future__ import annotations

from django.db import models


class BusinessSnapshot(models.Model):
    """The business metrics of one refresh, as one row, which the next refresh replaces.

    Times are in Unix seconds. A refresh that starts sets ``begun_at``, so that of several that
    start together one does the work; ``taken_at`` is the start time of the refresh that produced
    ``content``.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    begun_at = models.FloatField(default=0)
    taken_at = models.FloatField(default=0)
    # JSON, but no JSONField: for that, Django's checks would query an SQLite database.
    content = models.TextField(default="{}")

    class Meta:
        """How Django names it."""

        verbose_name = "business snapshot"
        # Users do not edit it, so no permissions for it have to be listed.
        default_permissions = ()

    def __str__(self) -> str:
        return f"Counts of {self.taken_at:.0f}"


class LivePage(BusinessSnapshot):
    """Stands for the live page: it has no table, but the permission, and a place in the admin."""

    class Meta:
        """How Django names it."""

        proxy = True
        verbose_name = "live page"
        verbose_name_plural = "live page"
        default_permissions = ()
        permissions = [("view_live", "Can view the live page")]
