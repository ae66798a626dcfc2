"""Migrations by database, counted by a refresh."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from tachikoma_metrics import testing, update_business_metrics
from tachikoma_metrics.testing import sample_value
from tests.business.callables import answer

pytestmark = pytest.mark.django_db

METRICS = ["migrations_unapplied", "migrations_applied"]


@pytest.fixture(autouse=True)
def _switched_on(settings: Any) -> None:
    settings.TACHIKOMA_METRICS = {"EXTRA_METRICS": METRICS}


def test_nothing_is_counted_before_a_refresh():
    assert [sample_value(name, alias="default") for name in METRICS] == [None, None]


def test_all_migrations_are_applied():
    update_business_metrics()

    recorded = len(MigrationRecorder(connection).applied_migrations())
    assert recorded > 10
    assert sample_value("migrations_unapplied", alias="default") == 0
    assert sample_value("migrations_applied", alias="default") == recorded


def test_migrations_that_a_database_lacks():
    recorder = MigrationRecorder(connection)
    recorded = len(recorder.applied_migrations())
    recorder.record_unapplied("tachikoma_metrics", "0003_live_page")
    recorder.record_unapplied("missions", "0001_initial")

    call_command("refresh_business_metrics", verbosity=0)
    testing.reset()

    executor = MigrationExecutor(connections["default"])
    assert len(executor.migration_plan(executor.loader.graph.leaf_nodes())) == 2
    assert sample_value("migrations_unapplied", alias="default") == 2
    assert sample_value("migrations_applied", alias="default") == recorded - 2


def test_each_can_be_on_alone_beside_metrics_of_the_project(settings: Any):
    settings.TACHIKOMA_METRICS = {
        "EXTRA_METRICS": METRICS[:1],
        "BUSINESS_METRICS": {"rows": {"model": "missions.Mission"}},
    }
    update_business_metrics()

    assert sample_value("migrations_unapplied", alias="default") == 0
    assert sample_value("migrations_applied", alias="default") is None
    assert sample_value("rows") == 0


def test_a_metric_of_the_project_with_such_a_name(settings: Any):
    declared = {"migrations_unapplied": {"callable": "tests.business.callables.answer"}}
    settings.TACHIKOMA_METRICS = {"BUSINESS_METRICS": declared}
    update_business_metrics()

    assert sample_value("migrations_unapplied") == answer()


def test_nothing_is_counted_when_they_are_off(settings: Any):
    settings.TACHIKOMA_METRICS = {"BUSINESS_METRICS": {"rows": {"model": "missions.Mission"}}}
    update_business_metrics()

    assert not [name for name, _ in testing.samples() if name.startswith("migrations")]
