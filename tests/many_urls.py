"""As many routes as a large project has."""

from __future__ import annotations

from django.conf.urls.i18n import i18n_patterns
from django.urls import include, path, re_path

from tests import views

below = [
    path(f"things-{number}/<int:pk>/", views.hello, name=f"thing-{number}") for number in range(500)
]

urlpatterns = [
    *(path(f"area-{area}/", include(below)) for area in range(4)),
    # Two of these are one to the label.
    re_path(r"^old/(?P<pk>\d+)/$", views.hello),
    path("old/<int:pk>/", views.hello),
    *i18n_patterns(path("about/", views.hello)),
]
