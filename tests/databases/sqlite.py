"""SQLite, in a file: each thread has its own connection."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.settings import *  # noqa: F403

_FOLDER = Path(tempfile.gettempdir(), f"tachikoma-metrics-tests-{os.getpid()}")
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _FOLDER / "db.sqlite3",
        "TEST": {"NAME": f"{tempfile.mkdtemp()}/test.sqlite3"},
        "OPTIONS": {"timeout": 20},
    }
}
