from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from tests.urls import urlpatterns as others

urlpatterns = [
    path("admin/", admin.site.urls),
    path("live/", include("tachikoma_metrics.live.urls")),
    *[one for one in others if str(getattr(one, "pattern", "")) != "admin/"],
]
