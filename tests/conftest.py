from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from django.contrib.contenttypes.management import create_contenttypes
from django.core import checks, signals
from django.db import close_old_connections
from django.db.models.signals import post_migrate
from hypothesis import HealthCheck, given, settings, strategies
from prometheus_client import REGISTRY, CollectorRegistry

from tachikoma_metrics import testing
from tachikoma_metrics.cache import local_sizes
from tachikoma_metrics.http import dropped_bodies
from tachikoma_metrics.registry.guarded_metrics import GuardedMetric
from tachikoma_metrics.store import STORE
from tests import few_cases

# How long an example takes is no property of the code.
settings.register_profile("many", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# For all but one of the environments that run the same tests.
settings.register_profile("few", settings.get_profile("many"), max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "many"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the first and the last case of each test where ``CASES=few`` says that is enough."""
    if os.environ.get("CASES") == "few":
        left_out = few_cases.left_out(items)
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """Spare the tests that flush the database the permissions that Django makes again each time."""
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    post_migrate.disconnect(create_contenttypes)


@pytest.fixture(scope="session")
def _generator_of_hypothesis() -> None:
    """Have Hypothesis make what it draws from: what refers to it is not found once frozen."""

    @given(strategies.none())
    def draw(nothing: None) -> None:
        pass

    draw()


@pytest.fixture(autouse=True, scope="module")
def _garbage_is_of_this_module(_generator_of_hypothesis: None) -> None:
    """Spare the collections that tests ask for what lives longer than they do."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _connections_stay_open() -> Iterator[None]:
    """Let handlers be called directly, as Django's test client does."""
    for signal in (signals.request_started, signals.request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (signals.request_started, signals.request_finished):
        signal.connect(close_old_connections)


@pytest.fixture(autouse=True)
def _new_families() -> None:
    """Start each test without a series, so that it can name absolute numbers."""
    # A test before may have dropped a streamed answer, which is recorded later.
    dropped_bodies.finish_dropped()
    local_sizes.clear()
    testing.reset()


@pytest.fixture(autouse=True)
def _memory_of_its_own() -> Iterator[None]:
    """Have the values in this process's memory again after a test that shared them."""
    yield
    if STORE.is_shared:
        STORE.after_fork()


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    """Lend prometheus_client's registry; whatever a test registers goes afterwards."""
    before = set(REGISTRY._collector_to_names)
    yield REGISTRY
    for collector in set(REGISTRY._collector_to_names) - before:
        if not isinstance(collector, GuardedMetric):
            REGISTRY.unregister(collector)


def found(**kwargs: object) -> dict[str, checks.CheckMessage]:
    """Return our messages of ``manage.py check`` by their short id."""
    prefix = "tachikoma_metrics."
    return {
        str(message.id).removeprefix(prefix): message
        for message in checks.run_checks()
        if str(message.id).startswith(prefix)
    }
