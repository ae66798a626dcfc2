"""The routes of the live page: ``path("live/", include("tachikoma_metrics.live.urls"))``.

Where they are included, a thread of one of the processes notes the history of the service.
"""

from __future__ import annotations

from django.urls import path

from tachikoma_metrics.live import sampler, views

app_name = "tachikoma_metrics_live"
urlpatterns = [
    path("", views.page, name="page"),
    path("data.json", views.data, name="data"),
    path("findings.json", views.doctor, name="findings"),
    path("metrics.json", views.metric_list, name="metrics"),
    path("metric.json", views.metric, name="metric"),
    path("assets/<str:name>", views.asset, name="asset"),
]

sampler.install()
