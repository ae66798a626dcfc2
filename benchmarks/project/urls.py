"""Routes of an API."""

from __future__ import annotations

from django.urls import path

from benchmarks.project import views

urlpatterns = [
    path("api/v1/missions/", views.mission, name="missions"),
    path("api/v1/missions/<int:number>/", views.mission, name="mission"),
    path("api/v1/missions/<int:number>/specs/", views.mission, name="specs"),
    path("async/v1/missions/<int:number>/", views.async_mission, name="async-mission"),
]
