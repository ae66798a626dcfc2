"""The routes of the API."""

from __future__ import annotations

from django.urls import path

from missions import views

app_name = "missions"
urlpatterns = [
    path("missions/", views.missions, name="missions"),
    path("missions/<uuid:mission_id>/", views.mission, name="mission"),
    path("missions/<uuid:mission_id>/specs/", views.specs, name="specs"),
    path("missions/<uuid:mission_id>/export/", views.export, name="export"),
    path("missions/<uuid:mission_id>/report/", views.report, name="report"),
    path("specs/<uuid:spec_id>/", views.spec, name="spec"),
    path("specs/<uuid:spec_id>/file-changes/", views.file_changes, name="file-changes"),
    path("specs/<uuid:spec_id>/execute/", views.execution, name="execution"),
    path("summary/", views.summary, name="summary"),
    path("board/", views.board, name="board"),
    path("search/", views.search, name="search"),
    path("broken/", views.broken, name="broken"),
]
