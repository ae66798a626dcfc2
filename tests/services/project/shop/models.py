"""Models whose operations are counted under the names of django-prometheus."""

from __future__ import annotations

from django.db import models

from tachikoma_metrics.compat.django_prometheus import ExportModelOperationsMixin


class Order(ExportModelOperationsMixin("order"), models.Model):  # type: ignore[misc]
    """What a customer wants."""

    number = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"order {self.number}"


class Parcel(ExportModelOperationsMixin("parcel"), models.Model):  # type: ignore[misc]
    """What a customer gets."""

    weight = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.weight} g"
