"""The routes of the example: an API, the admin, the metrics endpoint and the live page."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/", include("missions.urls")),
    path("live/", include("tachikoma_metrics.live.urls")),
    # Only because no web server is in front of the example.
    path("static/<path:path>", serve, {"insecure": True}),
    path("metrics", include("tachikoma_metrics.urls")),
]
