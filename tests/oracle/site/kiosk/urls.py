from __future__ import annotations

import os

from django.urls import path

from kiosk import views

urlpatterns = [
    path("", views.front),
    path("broken/", views.broken),
    path("slow/", views.slow),
    path("paper/<slug:title>/", views.paper),
    path("pool/", views.pool),
    path("deliver/", views.deliver),
    # A route that only one release has.
    path(f"issue-{os.environ.get('RELEASE', '0')}/", views.front),
]
