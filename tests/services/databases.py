"""Databases of the PostgreSQL that runs here."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

import psycopg

from tests.services.processes import is_listening, missing

POSTGRESQL = 5432


@contextlib.contextmanager
def made_database(template: str = "template1") -> Iterator[str]:
    """Make a database for the time of the block."""
    if not is_listening(POSTGRESQL):
        missing(f"nothing listens on port {POSTGRESQL}")
    name = f"depot_{uuid.uuid4().hex}"
    with connected("postgres") as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield name
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def connected(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(
        f"host=127.0.0.1 user=postgres dbname={database}", autocommit=True
    ) as connection:
        yield connection
