"""Tables for the queries."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Mission(models.Model):
    """A row with a few columns."""

    objects: ClassVar[models.Manager[Mission]] = models.Manager()

    title = models.CharField(max_length=200)
    is_secret = models.BooleanField(default=False)
    begun_at = models.DateTimeField(null=True)


class Site(models.Model):
    """A row with as many columns as those of a large application."""

    objects: ClassVar[models.Manager[Site]] = models.Manager()

    name = models.CharField(max_length=100)


class Device(models.Model):
    """A row with more columns than any other, which refers to two others."""

    objects: ClassVar[models.Manager[Device]] = models.Manager()

    name = models.CharField(max_length=100)
    position = models.IntegerField(default=0)
    site = models.ForeignKey(Site, models.CASCADE)
    mission = models.ForeignKey(Mission, models.CASCADE, null=True)


class Port(models.Model):
    """A row of which a page shows many."""

    objects: ClassVar[models.Manager[Port]] = models.Manager()

    name = models.CharField(max_length=100)
    is_enabled = models.BooleanField(default=True)
    device = models.ForeignKey(Device, models.CASCADE)


def _add_columns(model: type[models.Model], number: int) -> None:
    for place in range(number):
        model.add_to_class(f"attribute_{place:02}", models.CharField(max_length=50, default=""))


_add_columns(Site, 20)
_add_columns(Device, 60)
