from __future__ import annotations

from django.db import models


class Team(models.Model):
    slug = models.SlugField()

    class Meta:
        app_label = "desk"


class Ticket(models.Model):
    team = models.ForeignKey(Team, on_delete=models.CASCADE)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "desk"
