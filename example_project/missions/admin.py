"""The models in Django's admin."""

from __future__ import annotations

from django.contrib import admin

from missions.models import FileChange, Mission, Spec


@admin.register(Mission)
class MissionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Not generic at run time.
    """Missions by name."""

    list_display = ("name", "created_at")
    search_fields = ("name",)


@admin.register(Spec)
class SpecAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Not generic at run time.
    """Specs by status."""

    list_display = ("title", "mission", "status")
    list_filter = ("status",)


@admin.register(FileChange)
class FileChangeAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Not generic at run time.
    """File changes by kind and outcome."""

    list_display = ("path", "change_type", "status")
    list_filter = ("change_type", "status")
