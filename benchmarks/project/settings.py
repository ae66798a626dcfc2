"""Settings of a project that contains only the variant."""

from __future__ import annotations

import os

from benchmarks import variants

SECRET_KEY = "not-secret"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "benchmarks.project.urls"
INSTALLED_APPS = list(variants.current().apps)
MIDDLEWARE = list(variants.current().middleware)
TACHIKOMA_METRICS: dict[str, object] = {
    "EXEMPLARS": variants.current().exemplars,
    "STORE_DIR": os.environ.get(variants.TACHIKOMA.folder_variable),
    "VIEWS": list(variants.current().views),
    "NATIVE_HISTOGRAMS": ["native_waits"],
}
