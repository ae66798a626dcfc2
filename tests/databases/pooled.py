"""PostgreSQL on loopback, with psycopg's pool."""

from __future__ import annotations

from tests.databases.postgresql import *  # noqa: F403
from tests.databases.postgresql import OPTIONS

OPTIONS["pool"] = {"min_size": 2, "max_size": 8, "timeout": 20}
