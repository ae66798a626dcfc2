"""A table for the queries."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Mission(models.Model):
    """A row with a few columns."""

    objects: ClassVar[models.Manager[Mission]] = models.Manager()

    title = models.CharField(max_length=200)
    is_secret = models.BooleanField(default=False)
    begun_at = models.DateTimeField(null=True)
