"""What a scrape exports: the snapshot, its freshness, and the last copy of it."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import caches
from django.db import OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext

from tachikoma_metrics import METRICS, update_business_metrics
from tachikoma_metrics.business.snapshot import EMPTY, Snapshot
from tachikoma_metrics.business.snapshot_store import CacheStore, DatabaseStore
from tachikoma_metrics.models import BusinessSnapshot
from tachikoma_metrics.testing import sample_value, samples
from tests.business.declarations import MISSIONS, SPECS, Declare
from tests.business.recorded import create_specs, exported
from tests.services.processes import eventually

pytestmark = pytest.mark.django_db


def test_the_freshness_is_exported(declare: Declare):
    declare(MISSIONS)
    began_at = time.time()
    update_business_metrics()

    at = sample_value("tachikoma_metrics_business_timestamp_seconds") or 0
    assert began_at <= at <= time.time()
    assert sample_value("tachikoma_metrics_business_up") == 1
    assert (sample_value("tachikoma_metrics_business_refresh_duration_seconds") or 0) > 0
    assert sample_value("tachikoma_metrics_business_refresh_errors") == 0


def test_nothing_is_exported_or_queried_without_declarations():
    with CaptureQueriesContext(connection) as captured:
        update_business_metrics()
        names = {name for name, _ in samples()}

    assert not captured.captured_queries
    assert not {name for name in names if name.startswith("tachikoma_metrics_business")}


def test_stale_metrics_are_removed_and_their_timestamp_stays(declare: Declare):
    declare(MISSIONS, BUSINESS_MAX_AGE=60)
    update_business_metrics()
    old = time.time() - 61
    row = BusinessSnapshot.objects.get()
    content = json.loads(row.content)
    content["families"][0]["at"] = row.taken_at = old
    row.content = json.dumps(content)
    row.save()
    METRICS.reset()

    assert exported("missions_total") == {}
    assert sample_value("tachikoma_metrics_business_timestamp_seconds") == pytest.approx(old)


def test_a_scrape_does_not_query_the_counted_tables(declare: Declare):
    declare({**MISSIONS, **SPECS})
    update_business_metrics()
    with CaptureQueriesContext(connection) as captured:
        samples()

    assert captured.captured_queries
    assert not [q for q in captured.captured_queries if "missions_" in q["sql"]]


def test_the_query_of_a_scrape_is_not_measured(declare: Declare):
    declare(MISSIONS)
    update_business_metrics()
    list(User.objects.all())
    before = queries()

    assert sample_value("missions_total") == 0
    assert queries() == before
    list(Group.objects.all())
    assert sum(queries().values()) == sum(before.values()) + 2


def queries() -> dict[Any, float]:
    names = ("db_queries_total", "db_query_duration_seconds_count")
    return {key: value for key, value in samples().items() if key[0] in names}


def test_the_cache_can_store_the_snapshot(declare: Declare):
    declare(MISSIONS, BUSINESS_STORE="cache")
    create_specs()
    update_business_metrics()

    assert exported("missions_total") == {(): 1}
    # The lookups of a scrape are not measured.
    assert sample_value("cache_hits_total") == sample_value("cache_misses_total") == 0
    assert not BusinessSnapshot.objects.exists()
    caches["default"].clear()


def test_the_last_copy_is_exported_if_the_database_fails(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
):
    declare(MISSIONS)
    create_specs()
    update_business_metrics()
    assert exported("missions_total") == {(): 1}

    def fail(self: object) -> Snapshot:
        raise OperationalError("gone")

    monkeypatch.setattr(DatabaseStore, "read", fail)
    METRICS.tachikoma_metrics_errors_total.clear()

    assert exported("missions_total") == {(): 1}
    assert sample_value("tachikoma_metrics_business_up") == 0
    monkeypatch.undo()
    METRICS.reset()
    assert sample_value("tachikoma_metrics_business_up") == 1


def test_a_store_that_hangs_delays_one_scrape_only(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
):
    declare(MISSIONS, BUSINESS_STORE="cache")
    update_business_metrics()
    assert exported("missions_total") == {(): 0}
    goes_on = threading.Event()

    def hang(self: object) -> Snapshot:
        goes_on.wait(30)
        return EMPTY

    monkeypatch.setattr(CacheStore, "read", hang)
    METRICS.reset()
    before = time.monotonic()
    assert exported("missions_total") == {(): 0}
    first = time.monotonic() - before
    METRICS.reset()
    assert sample_value("tachikoma_metrics_business_up") == 0
    second = time.monotonic() - before - first
    goes_on.set()
    caches["default"].clear()

    assert first > 0.9
    assert second < first


def test_the_snapshot_is_exported_if_closing_connections_fails(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
):
    declare(MISSIONS, BUSINESS_STORE="cache")
    update_business_metrics()
    # An earlier test may have made the store slow; a scrape does not wait for it until it responds.
    eventually(lambda: sample_value("tachikoma_metrics_business_up") == 1)
    read = CacheStore.read

    def read_after_the_database(store: CacheStore) -> Snapshot:
        connection.ensure_connection()
        return read(store)

    def fail(self: object) -> None:
        raise OSError("closed in another thread")

    monkeypatch.setattr(CacheStore, "read", read_after_the_database)
    monkeypatch.setattr(type(connections["default"]), "close", fail)
    METRICS.reset()
    counted, is_up = exported("missions_total"), sample_value("tachikoma_metrics_business_up")
    monkeypatch.undo()
    caches["default"].clear()

    assert (counted, is_up) == ({(): 0}, 1)
    assert sample_value("tachikoma_metrics_errors_total", source="business") == 1
