"""Counts of rows: kept by a refresh, shown by the page."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group, User
from django.core.cache import caches
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext

from missions.models import Mission, Spec
from tachikoma_metrics import METRICS, aupdate_business_metrics, update_business_metrics
from tachikoma_metrics.business import refresh
from tachikoma_metrics.business.snapshot import EMPTY, Snapshot
from tachikoma_metrics.business.snapshot_store import CacheStore, DatabaseStore
from tachikoma_metrics.models import BusinessSnapshot
from tachikoma_metrics.testing import sample_value, samples
from tests.conftest import found
from tests.services.processes import eventually

pytestmark = pytest.mark.django_db

MISSIONS = {"missions_total": {"model": "missions.Mission"}}
SPECS = {"specs_total": {"model": "missions.Spec", "labels": {"status": "status"}}}

Declare = Callable[..., None]


@pytest.fixture
def declare(settings) -> Declare:
    """Set ``BUSINESS_METRICS`` and what else is given."""

    def set_(families: dict[str, Any], **others: object) -> None:
        settings.TACHIKOMA_METRICS = {"BUSINESS_METRICS": families, **others}

    return set_


def shown(name: str) -> dict[tuple[str, ...], float]:
    """Return the numbers of a family on the page by its label values."""
    return {
        tuple(value for _, value in sorted(labels)): number
        for (found_name, labels), number in samples().items()
        if found_name == name
    }


def seed(**statuses: int) -> Mission:
    mission = Mission.objects.create(name="Ghost")
    for status, number in statuses.items():
        Spec.objects.bulk_create(
            [Spec(mission=mission, title="Step", status=status) for _ in range(number)]
        )
    return mission


def numbers() -> object:
    return {("a", True): 1, ("b", False): 2.5}


def nonsense() -> object:
    return "many"


def nothing() -> object:
    return None


def fails() -> object:
    raise RuntimeError("out of order")


# --- counting ---------------------------------------------------------------


def test_rows_are_counted_by_a_refresh_and_shown_by_the_page(declare: Declare):
    declare({**MISSIONS, **SPECS})
    seed(done=3, running=1)
    assert shown("missions_total") == {}
    update_business_metrics()

    assert shown("missions_total") == {(): 1}
    assert shown("specs_total") == {
        ("done",): 3,
        ("failed",): 0,
        ("planned",): 0,
        ("running",): 1,
    }


def test_a_status_that_no_row_has_any_more_is_zero_or_gone(declare: Declare):
    titles = {"titles": {"model": "missions.Spec", "labels": {"title": "title"}}}
    declare({**SPECS, **titles})
    seed(done=2)
    update_business_metrics()
    assert shown("titles") == {("Step",): 2}
    Spec.objects.update(status="failed", title="Other")
    update_business_metrics()

    assert shown("titles") == {("Other",): 2}
    assert shown("specs_total")["done",] == 0
    assert shown("specs_total")["failed",] == 2


def test_filters_and_lookups(declare: Declare):
    declare(
        {
            "open_specs": {
                "model": "missions.Spec",
                "filter": {"status__in": ["planned", "running"]},
                "labels": {"mission": "mission__name", "status": "status"},
                "help": "Specs that are not over.",
            }
        }
    )
    seed(planned=2, done=3)
    update_business_metrics()

    assert shown("open_specs") == {("Ghost", "planned"): 2}
    assert "# HELP open_specs Specs that are not over.\n" in METRICS.encode()


def test_relations_to_many_do_not_count_a_row_twice(declare: Declare):
    declare({"members": {"model": "auth.User", "filter": {"groups__name__in": ["a", "b"]},
                         "labels": {"staff": "is_staff"}}})  # fmt: skip
    user = User.objects.create(username="motoko", is_staff=True)
    user.groups.add(Group.objects.create(name="a"), Group.objects.create(name="b"))
    update_business_metrics()

    assert shown("members") == {("true",): 1}


def test_without_labels_a_row_does_not_count_twice_either(declare: Declare):
    declare({"members": {"model": "auth.User", "filter": {"groups__name__in": ["a", "b"]}}})
    user = User.objects.create(username="motoko")
    user.groups.add(Group.objects.create(name="a"), Group.objects.create(name="b"))
    update_business_metrics()

    assert shown("members") == {(): 1}


def test_labels_may_be_look_ups_that_are_no_fields(declare: Declare):
    labels = {"year": "created_at__year", "mission": "mission__name"}
    declare({"specs": {"model": "missions.Spec", "labels": labels}})
    seed(done=2)
    update_business_metrics()

    assert list(shown("specs").values()) == [2]
    assert "E011" not in found()


@pytest.mark.parametrize(
    "name",
    [
        "http_request_duration_seconds_count",
        "http_requests_created",
        "shop_http_requests",
        "shop_http_requests_total",
        "up",
        "scrape_duration_seconds",
    ],
)
def test_no_name_that_others_have_on_a_page_is_taken(settings: Any, name: str):
    counted = {name: {"model": "missions.Mission"}}
    settings.TACHIKOMA_METRICS = {"NAMESPACE": "shop", "BUSINESS_METRICS": counted}

    assert "name is already used" in found()["E011"].msg


def test_the_name_of_a_measured_family_is_not_taken(declare: Declare):
    declare({"http_requests": {"model": "missions.Mission"}})
    METRICS.http_requests_total.labels("GET", "/", "200").inc()
    update_business_metrics()

    assert "name is already used" in found()["E011"].msg
    assert shown("http_requests") == {}
    assert sample_value("http_requests_total", method="GET", path="/", status="200") == 1


def test_a_query_that_fails_does_not_break_the_callers_transaction(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
):
    declare({"answer": {"callable": "tests.business.test_business.answer"}})
    monkeypatch.setattr("tachikoma_metrics.conf.is_test_run", lambda: False)
    threads: list[str] = []

    def tell() -> int:
        threads.append(threading.current_thread().name)
        return 1

    monkeypatch.setattr("tests.business.test_business.answer", tell)
    # In memory, the thread would wait for the transaction of this test.
    refresh(dry_run=True)

    assert threads[0].startswith("refresh")


def test_one_query_for_each_family(declare: Declare):
    declare({**MISSIONS, **SPECS})
    seed(done=3)
    refresh()
    with CaptureQueriesContext(connection) as captured:
        refresh()
    counting = [q["sql"] for q in captured.captured_queries if 'FROM "missions_' in q["sql"]]

    assert len(counting) == 2


def test_callables(declare: Declare):
    declare(
        {
            "things": {
                "callable": "tests.business.test_business.numbers",
                "labels": ["kind", "new"],
            },
            "answer": {"callable": "tests.business.test_business.answer"},
        }
    )
    update_business_metrics()

    assert shown("things") == {("a", "true"): 1, ("b", "false"): 2.5}
    assert shown("answer") == {(): 42}


def answer() -> int:
    return 42


@pytest.mark.parametrize("path", ["nonsense", "fails", "numbers"])
def test_what_cannot_be_counted_is_a_fault_and_nothing_else(declare: Declare, path: str):
    declare({"bad": {"callable": f"tests.business.test_business.{path}"}, **MISSIONS})
    seed()
    update_business_metrics()

    assert shown("missions_total") == {(): 1}
    assert shown("bad") == {}
    assert sample_value("tachikoma_metrics_errors_total", source="business") == 1
    assert sample_value("tachikoma_metrics_business_refresh_errors") == 1


def test_what_fails_once_keeps_its_counts(declare: Declare, monkeypatch: pytest.MonkeyPatch):
    declare({"answer": {"callable": "tests.business.test_business.answer"}})
    update_business_metrics()
    monkeypatch.setattr("tests.business.test_business.answer", fails)
    update_business_metrics()

    assert shown("answer") == {(): 42}
    assert sample_value("tachikoma_metrics_business_refresh_errors") == 1


def test_label_sets_are_bounded(declare: Declare):
    declare(
        {"titles": {"model": "missions.Spec", "labels": {"title": "title"}}}, CARDINALITY_LIMIT=3
    )
    mission = seed()
    Spec.objects.bulk_create([Spec(mission=mission, title=f"{n}") for n in range(10)])
    update_business_metrics()

    assert len(shown("titles")) == 3
    assert shown("titles")["overflow",] == 8


def test_labels_of_the_catalogue_can_be_dropped_and_names_prefixed(declare: Declare):
    declare(SPECS, LABELS={"specs_total": []}, NAMESPACE="shop")
    seed(done=2, failed=1)
    update_business_metrics()

    assert shown("shop_specs_total") == {(): 3}


def test_empty_tables_count_zero(declare: Declare):
    declare({**MISSIONS, **SPECS})
    update_business_metrics()

    assert shown("missions_total") == {(): 0}
    assert set(shown("specs_total").values()) == {0}


# --- freshness --------------------------------------------------------------


def test_freshness_is_shown(declare: Declare):
    declare(MISSIONS)
    began_at = time.time()
    update_business_metrics()

    at = sample_value("tachikoma_metrics_business_timestamp_seconds") or 0
    assert began_at <= at <= time.time()
    assert sample_value("tachikoma_metrics_business_up") == 1
    assert (sample_value("tachikoma_metrics_business_refresh_duration_seconds") or 0) > 0
    assert sample_value("tachikoma_metrics_business_refresh_errors") == 0


def test_nothing_is_shown_or_asked_where_nothing_is_declared():
    with CaptureQueriesContext(connection) as captured:
        update_business_metrics()
        names = {name for name, _ in samples()}

    assert not captured.captured_queries
    assert not {name for name in names if name.startswith("tachikoma_metrics_business")}


def test_old_counts_vanish_and_their_age_stays(declare: Declare):
    declare(MISSIONS, BUSINESS_MAX_AGE=60)
    update_business_metrics()
    old = time.time() - 61
    row = BusinessSnapshot.objects.get()
    content = json.loads(row.content)
    content["families"][0]["at"] = row.taken_at = old
    row.content = json.dumps(content)
    row.save()
    METRICS.reset()

    assert shown("missions_total") == {}
    assert sample_value("tachikoma_metrics_business_timestamp_seconds") == pytest.approx(old)


def test_a_page_never_asks_the_counted_tables(declare: Declare):
    declare({**MISSIONS, **SPECS})
    update_business_metrics()
    with CaptureQueriesContext(connection) as captured:
        samples()

    assert captured.captured_queries
    assert not [q for q in captured.captured_queries if "missions_" in q["sql"]]


def test_what_the_page_itself_looks_up_is_not_counted(declare: Declare):
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


# --- several refreshes ------------------------------------------------------


def test_of_refreshes_within_an_interval_one_works(declare: Declare):
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


def test_a_clock_that_was_wrong_does_not_stop_refreshes_for_ever(declare: Declare):
    declare(MISSIONS)
    ahead = time.time() + 86_400
    BusinessSnapshot.objects.create(begun_at=ahead, taken_at=ahead)
    assert refresh(min_age=30) is not None

    assert (sample_value("tachikoma_metrics_business_timestamp_seconds") or ahead) < ahead


def test_a_dry_run_keeps_nothing(declare: Declare):
    declare(MISSIONS)
    done = refresh(dry_run=True)

    assert done is not None
    assert done.snapshot.metrics[0].counts == {(): 0}
    assert not BusinessSnapshot.objects.exists()


@pytest.mark.django_db(transaction=True)
async def test_the_async_twin(declare: Declare):
    declare({"answer": {"callable": "tests.business.test_business.answer"}})
    await aupdate_business_metrics()
    await sync_to_async(connections.close_all)()
    row = await BusinessSnapshot.objects.aget()
    await sync_to_async(connections.close_all)()

    assert json.loads(row.content)["families"][0]["counts"] == [[[], 42.0]]


# --- the store --------------------------------------------------------------


def test_the_cache_can_keep_the_counts(declare: Declare):
    declare(MISSIONS, BUSINESS_STORE="cache")
    seed()
    update_business_metrics()

    assert shown("missions_total") == {(): 1}
    # What we look up is not what the app does.
    assert sample_value("cache_hits_total") == sample_value("cache_misses_total") == 0
    assert not BusinessSnapshot.objects.exists()
    caches["default"].clear()


def test_a_database_that_fails_leaves_the_last_copy(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
):
    declare(MISSIONS)
    seed()
    update_business_metrics()
    assert shown("missions_total") == {(): 1}

    def refuse(self: object) -> Snapshot:
        raise OperationalError("gone")

    monkeypatch.setattr(DatabaseStore, "read", refuse)
    METRICS.tachikoma_metrics_errors_total.clear()

    assert shown("missions_total") == {(): 1}
    assert sample_value("tachikoma_metrics_business_up") == 0
    monkeypatch.undo()
    METRICS.reset()
    assert sample_value("tachikoma_metrics_business_up") == 1


def test_a_database_that_hangs_is_waited_for_once(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
):
    declare(MISSIONS, BUSINESS_STORE="cache")
    update_business_metrics()
    assert shown("missions_total") == {(): 0}
    goes_on = threading.Event()

    def hang(self: object) -> Snapshot:
        goes_on.wait(30)
        return EMPTY

    monkeypatch.setattr(CacheStore, "read", hang)
    METRICS.reset()
    before = time.monotonic()
    assert shown("missions_total") == {(): 0}
    first = time.monotonic() - before
    METRICS.reset()
    assert sample_value("tachikoma_metrics_business_up") == 0
    second = time.monotonic() - before - first
    goes_on.set()
    caches["default"].clear()

    assert first > 0.9
    assert second < first


def test_a_snapshot_outlives_a_clean_up_that_fails(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
):
    declare(MISSIONS, BUSINESS_STORE="cache")
    update_business_metrics()
    # A test before may have had a store that was slow, which is not waited for until it is quick.
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
    counted, is_up = shown("missions_total"), sample_value("tachikoma_metrics_business_up")
    monkeypatch.undo()
    caches["default"].clear()

    assert (counted, is_up) == ({(): 0}, 1)
    assert sample_value("tachikoma_metrics_errors_total", source="business") == 1


# --- settings ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("families", "said"),
    [
        ({"x": {"model": "missions.Nothing"}}, "model must be `app.Model` of an installed app"),
        ({"x": {"model": "nothing"}}, "model must be `app.Model` of an installed app"),
        ({"x": {"model": "missions.Spec", "labels": {"a": "nothing"}}}, "name fields of"),
        ({"x": {"model": "missions.Spec", "filter": {"nothing": 1}}}, "name fields of"),
        (
            {"x": {"model": "missions.Spec", "labels": {"le": "title"}}},
            "'le' must be a valid",
        ),
        ({"x-y": {"model": "missions.Spec"}}, "valid metric name"),
        ({"http_requests_total": {"model": "missions.Spec"}}, "name is already used"),
        ({"specs_total": {"model": "missions.Spec", "labels": {"a": "title"}}}, "among ['status']"),
        ({"cache_hits": {"model": "missions.Spec"}}, "name is already used"),
        ({"process_x": {"model": "missions.Spec"}}, "name is already used"),
        (
            {"x": {"model": "missions.Spec", "filter": {"created_at__gt": "no"}}},
            "name fields of",
        ),
        ({"x": {"callable": "tests.nothing.at_all"}}, "cannot be imported"),
        ({"x": {"callable": "tests.business.test_business.SPECS"}}, "must be a callable"),
        (
            {"x": {"callable": "tests.business.test_business.answer", "filter": {"a": 1}}},
            "left out",
        ),
        ({"x": {"callable": "tests.views.coroutine_label"}}, "is a coroutine function"),
        ({"x": {"callable": "tests.views.coroutine_object"}}, "is a coroutine function"),
        ({"x": {"callable": "tests.views.tenant"}}, "without arguments: missing a required"),
    ],
)
def test_wrong_declarations_are_found_at_start_up(declare: Declare, families: Any, said: str):
    declare(families)

    message = found()["E011"]
    assert said in message.msg
    assert message.hint


@pytest.mark.parametrize(
    "families",
    [
        {"x": {}},
        {"x": {"model": "a.B", "callable": "a.b"}},
        {"x": {"model": 5}},
        {"x": {"model": "a.B", "label": {}}},
        {"x": {"model": "a.B", "labels": ["status"]}},
        {"x": {"callable": "a.b", "labels": "status"}},
        {"x": {"callable": "a.b", "labels": {"status": "status"}}},
    ],
)
def test_what_is_no_declaration_is_found_at_start_up(declare: Declare, families: Any):
    declare(families)
    assert "E120" in found()


def test_a_cache_of_one_process_is_refused_as_a_store(declare: Declare):
    declare(MISSIONS, BUSINESS_STORE="cache")
    assert "E012" in found()


@pytest.mark.parametrize(
    ("path", "labels", "said"),
    [
        ("answer", ["x"], "a dictionary with a number for each value of `x`; it returned 42."),
        ("numbers", ["x"], "each value of `x`; it returned a dictionary with the key ('a', True)."),
        ("answer", ["x", "y"], "for each tuple of values of `x`, `y`; it returned 42."),
        ("numbers", [], "a number, as the metric is declared without `labels`; it returned a"),
        ("nonsense", [], "A count must be a number; got 'many'."),
        ("nothing", [], "A count must be a number; got None."),
    ],
)
def test_an_answer_of_the_wrong_kind_is_told_in_words(
    declare: Declare,
    capsys: pytest.CaptureFixture[str],
    path: str,
    labels: list[str],
    said: str,
):
    declare({"bad": {"callable": f"tests.business.test_business.{path}", "labels": labels}})
    with pytest.raises(CommandError):
        call_command("refresh_business_metrics", "--no-color")

    assert said in capsys.readouterr().err


# --- the command ------------------------------------------------------------


def test_the_command_says_what_it_counted(declare: Declare, capsys: pytest.CaptureFixture[str]):
    declare({**MISSIONS, **SPECS})
    seed(done=2)
    call_command("refresh_business_metrics")

    lines = capsys.readouterr().out.splitlines()
    assert "missions_total 1" in lines
    assert 'specs_total{status="done"} 2' in lines


def test_the_command_fails_with_what_it_could_not_count(
    declare: Declare, capsys: pytest.CaptureFixture[str]
):
    declare({"bad": {"callable": "tests.business.test_business.fails"}, **MISSIONS})
    with pytest.raises(CommandError, match="1 could not be counted"):
        call_command("refresh_business_metrics")

    assert "bad: out of order" in capsys.readouterr().err


def test_the_command_can_only_look(declare: Declare, capsys: pytest.CaptureFixture[str]):
    declare(MISSIONS)
    call_command("refresh_business_metrics", "--dry-run")

    assert "missions_total 0" in capsys.readouterr().out
    assert not BusinessSnapshot.objects.exists()


def test_the_command_does_not_let_counts_vanish_in_between(declare: Declare):
    declare(MISSIONS, BUSINESS_INTERVAL=1)
    with pytest.raises(CommandError, match="BUSINESS_MAX_AGE"):
        call_command("refresh_business_metrics", "--every", "11")


def test_the_command_asks_for_declarations():
    with pytest.raises(CommandError, match="BUSINESS_METRICS"):
        call_command("refresh_business_metrics")
