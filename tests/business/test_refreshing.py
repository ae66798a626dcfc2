"""Refreshes: concurrent, in a transaction, and with metrics that fail."""

from __future__ import annotations

import json
import threading
import time

import pytest
from asgiref.sync import sync_to_async
from django.core.cache import caches
from django.db import connections

from tachikoma_metrics import aupdate_business_metrics, update_business_metrics
from tachikoma_metrics.business import refresh
from tachikoma_metrics.business.snapshot import Snapshot
from tachikoma_metrics.business.snapshot_store import CacheStore, DatabaseStore
from tachikoma_metrics.models import BusinessSnapshot
from tachikoma_metrics.testing import sample_value
from tests.business.callables import raises
from tests.business.declarations import MISSIONS, Declare
from tests.business.recorded import create_specs, exported

pytestmark = pytest.mark.django_db


def test_a_refresh_in_a_transaction_runs_in_a_thread(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
):
    declare({"answer": {"callable": "tests.business.callables.answer"}})
    monkeypatch.setattr("tachikoma_metrics.conf.is_test_run", lambda: False)
    threads: list[str] = []

    def count() -> int:
        threads.append(threading.current_thread().name)
        return 1

    monkeypatch.setattr("tests.business.callables.answer", count)
    # dry_run: the thread cannot write to a database in memory during the transaction of the test.
    refresh(dry_run=True)

    assert threads[0].startswith("refresh")


@pytest.mark.parametrize("path", ["nonsense", "raises", "numbers"])
def test_a_metric_that_cannot_be_counted_is_an_instrumentation_error(declare: Declare, path: str):
    declare({"bad": {"callable": f"tests.business.callables.{path}"}, **MISSIONS})
    create_specs()
    update_business_metrics()

    assert exported("missions_total") == {(): 1}
    assert exported("bad") == {}
    assert sample_value("tachikoma_metrics_errors_total", source="business") == 1
    assert sample_value("tachikoma_metrics_business_refresh_errors") == 1


def test_a_metric_that_fails_keeps_its_previous_value(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
):
    declare({"answer": {"callable": "tests.business.callables.answer"}})
    update_business_metrics()
    monkeypatch.setattr("tests.business.callables.answer", raises)
    update_business_metrics()

    assert exported("answer") == {(): 42}
    assert sample_value("tachikoma_metrics_business_refresh_errors") == 1


def test_one_refresh_runs_in_each_interval(declare: Declare):
    declare(MISSIONS)
    assert refresh(min_age=60) is not None
    assert refresh(min_age=60) is None
    assert refresh() is not None


def test_an_older_refresh_does_not_replace_a_newer_one(declare: Declare):
    declare(MISSIONS)
    now = time.time()
    for store in (DatabaseStore(), CacheStore()):
        assert store.begin(now, 0)
        assert store.write(Snapshot(now, 2.0))
        assert not store.write(Snapshot(now - 10, 1.0))
        assert store.read() == Snapshot(now, 2.0)
    caches["default"].clear()


def test_a_snapshot_from_the_future_does_not_stop_refreshes(declare: Declare):
    declare(MISSIONS)
    ahead = time.time() + 86_400
    BusinessSnapshot.objects.create(begun_at=ahead, taken_at=ahead)
    assert refresh(min_age=30) is not None

    assert (sample_value("tachikoma_metrics_business_timestamp_seconds") or ahead) < ahead


def test_a_dry_run_stores_nothing(declare: Declare):
    declare(MISSIONS)
    done = refresh(dry_run=True)

    assert done is not None
    assert done.snapshot.metrics[0].counts == {(): 0}
    assert not BusinessSnapshot.objects.exists()


@pytest.mark.django_db(transaction=True)
async def test_the_async_function_refreshes(declare: Declare):
    declare({"answer": {"callable": "tests.business.callables.answer"}})
    await aupdate_business_metrics()
    await sync_to_async(connections.close_all)()
    row = await BusinessSnapshot.objects.aget()
    await sync_to_async(connections.close_all)()

    assert json.loads(row.content)["families"][0]["counts"] == [[[], 42.0]]
