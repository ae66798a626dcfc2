from __future__ import annotations

from django.conf.urls.i18n import i18n_patterns
from django.urls import include, path, re_path

from tests import views

articles = (
    [
        path("<int:pk>/", views.hello, name="article"),
        re_path(r"^(?P<year>[0-9]{4})-(\d+)/$", views.hello),
    ],
    "articles",
)

urlpatterns = [
    path("", include("tachikoma.urls")),
    path("", views.hello),
    path("hello/", views.hello, name="hello"),
    path("async-hello/", views.async_hello),
    path("things/<uuid:thing>/parts/<slug:part>/", views.hello),
    re_path(r"^archive/(?P<year>[0-9]{4})/feed\.xml$", views.hello),
    re_path(r"^groups/(\d+)/(?:page-(?P<page>\d+)/)?$", views.hello),
    path("articles/", include(articles, namespace="news")),
    path("mirror/", include(articles, namespace="mirror")),
    path("fail/", views.fail),
    path("async-fail/", views.async_fail),
    path("missing/", views.missing),
    path("leave/", views.leave),
    path("upload/", views.upload),
    path("stream/", views.stream),
    path("async-stream/", views.async_stream),
    path("broken-stream/", views.broken_stream),
    path("broken-async-stream/", views.broken_async_stream),
    path("file/", views.file),
    path("piped-file/", views.piped_file),
    path("not-modified/", views.not_modified),
    path("teapot/", views.teapot),
    path("en/plain/", views.hello),
    path("no-content/", views.no_content),
    path("login-free/", views.hello),
    *i18n_patterns(path("about/", views.hello, name="about")),
]
