"""Settings of a project with nothing but the peer in it."""

from __future__ import annotations

import os

from benchmarks import peers

SECRET_KEY = "it guards nothing"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "benchmarks.project.urls"
INSTALLED_APPS = list(peers.current().apps)
MIDDLEWARE = list(peers.current().middleware)
TACHIKOMA_METRICS: dict[str, object] = {"STORE_DIR": os.environ.get(peers.OURS.folder_variable)}
