from __future__ import annotations

from django.urls import include, path

from depot import views

urlpatterns = [
    path("", views.plain),
    path("wait/", views.wait),
    path("traced/", views.traced),
    path("ask/", views.ask),
    path("hold/", views.hold),
    path("block/", views.block),
    path("collect/", views.collect),
    path("imported/", views.imported),
    path("keep/<slug:key>/", views.keep),
    path("burn/", views.burn),
    path("sell/<slug:seller>/", views.sell),
    path("deliver/", views.deliver),
    path("execute/", views.execute),
    path("leave/<slug:task>/", views.leave),
    path("shelves/", views.store),
    path("shelves/<int:shelf>/", views.store),
    path("shelves/<int:shelf>/boxes/<slug:box>/", views.store),
    path("look-up/", views.look_up),
    path("errands/<slug:kind>/<int:count>/", views.send),
    path("metrics", include("tachikoma_metrics.urls")),
]
