"""MariaDB on loopback."""

from __future__ import annotations

import os

import pymysql

from tests.settings import *  # noqa: F403

# Django requires mysqlclient, which has to be compiled, and checks its version.
pymysql.version_info = (2, 2, 7, "final", 0)
pymysql.install_as_MySQLdb()

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.mysql",
        "NAME": "test",
        "USER": "root",
        "HOST": "127.0.0.1",
        "TEST": {"NAME": f"tests_{os.getpid()}"},
    }
}
