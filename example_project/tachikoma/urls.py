"""The routes of the example: an API, the admin, and the metrics endpoint."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/", include("missions.urls")),
    path("metrics", include("tachikoma_metrics.urls")),
]
