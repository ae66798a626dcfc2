"""A link to the live page in the admin's index, where a project includes both.

Django imports this module only if the admin is installed.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse

from tachikoma_metrics.models import LivePage

_URL_NAME = "tachikoma_metrics_live:page"


@admin.register(LivePage)
class LivePageAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's takes none.
    """Lead to the live page. There is nothing to add, change or delete."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether the page is in the URLconf, and the user may see it."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the page is in the URLconf, and the user may see it."""
        if not _url():
            return False
        # Only now: nothing imports it where its URLs are not included.
        from tachikoma_metrics.live.access import may_view

        return may_view(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False."""
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect to the live page, which decides itself who may see it."""
        return HttpResponseRedirect(_url() or reverse("admin:index"))


def _url() -> str:
    try:
        return reverse(_URL_NAME)
    except NoReverseMatch:
        return ""
