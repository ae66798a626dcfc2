"""PostgreSQL on loopback, with psycopg 3."""

from __future__ import annotations

import os
from typing import Any

from tests.settings import *  # noqa: F403

OPTIONS: dict[str, Any] = {"application_name": f"tests of {os.getpid()}"}
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "postgres",
        "HOST": "127.0.0.1",
        "TEST": {"NAME": f"tests_{os.getpid()}"},
        "OPTIONS": OPTIONS,
    }
}
