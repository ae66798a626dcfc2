from __future__ import annotations

from django.urls import include, path

from shop import views

urlpatterns = [
    path("", views.home, name="home"),
    path("orders/", views.orders, name="orders"),
    path("archive/", views.archive, name="archive"),
    path("mistakes/", views.mistakes, name="mistakes"),
    path("cached/", views.cached, name="cached"),
    path("upload/", views.upload, name="upload"),
    path("stream/", views.stream, name="stream"),
    path("desk/<int:status>/", views.desk, name="desk"),
    path("admin/", include(([path("<int:status>/", views.desk, name="index")], "admin"))),
]
