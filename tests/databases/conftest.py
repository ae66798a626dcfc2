from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection, models

from tachikoma_metrics.testing import samples
from tests.services.processes import is_listening, missing

Queries = Counter[tuple[str, str]]
"""The number of queries, by operation and table."""

Recorded = Callable[[], AbstractContextManager[Queries]]

Define = Callable[..., type[models.Model]]


def queries() -> Queries:
    """Return the values on the metrics endpoint."""
    found: Queries = Counter()
    for (name, labels), value in samples().items():
        if name == "db_queries_total":
            values = dict(labels)
            found[values["operation"], values["table"]] += int(value)
    return found


_PORTS = {"django.db.backends.postgresql": 5432, "django.db.backends.mysql": 3306}


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Skip without a server, before Django creates the test database."""
    port = _PORTS.get(str(settings.DATABASES["default"]["ENGINE"]))
    if port is not None and not is_listening(port):
        missing(f"nothing listens on port {port}")


@pytest.fixture(scope="session", autouse=True)
def _only_session(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """End the sessions of pools' threads before Django drops the test database.

    Such a thread may be replacing a connection that a test has ended.
    """
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture
def recorded() -> Recorded:
    """Count the queries in a block; the counts are complete when it ends."""

    @contextmanager
    def recording() -> Iterator[Queries]:
        found: Queries = Counter()
        before = queries()
        yield found
        found.update(queries() - before)

    return recording


@pytest.fixture
def define() -> Iterator[Define]:
    """Define models for one test, by their names, tables and fields."""
    before = set(apps.all_models["missions"])

    def define_(name: str, db_table: str, **fields: Any) -> type[models.Model]:
        meta = type("Meta", (), {"app_label": "missions", "db_table": db_table})
        return type(name, (models.Model,), {"__module__": __name__, "Meta": meta, **fields})

    yield define_
    for name in set(apps.all_models["missions"]) - before:
        del apps.all_models["missions"][name]
    apps.clear_cache()
