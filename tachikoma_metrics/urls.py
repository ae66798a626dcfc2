"""The route of the metrics endpoint: ``path("metrics", include("tachikoma_metrics.urls"))``."""

from __future__ import annotations

from django.urls import path

from tachikoma_metrics import views

app_name = "tachikoma_metrics"
urlpatterns = [path("", views.metrics, name="metrics")]
