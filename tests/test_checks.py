from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client, override_settings
from prometheus_client import CollectorRegistry, Counter

from tachikoma_metrics import METRICS, catalogue, checks, conf, record_db_query
from tachikoma_metrics.middleware import MetricsMiddleware
from tachikoma_metrics.testing import sample_value
from tests.conftest import found

NAN = float("nan")
INF = float("inf")

WRONG_VALUES: list[tuple[str, str, object]] = [
    ("E101", "ENABLED", "yes"),
    ("E101", "ENABLED", 1),
    ("E102", "PATH", "metrics"),
    ("E102", "PATH", ""),
    ("E102", "PATH", "/a?b"),
    ("E102", "PATH", 7),
    ("E103", "INCLUDE_PROCESS_METRICS", None),
    ("E104", "GLOBAL_LABELS", "env=prod"),
    ("E104", "GLOBAL_LABELS", {"not-legal": "x"}),
    ("E104", "GLOBAL_LABELS", {"__reserved": "x"}),
    ("E104", "GLOBAL_LABELS", {"le": "x"}),
    ("E104", "GLOBAL_LABELS", {"env": 1}),
    ("E104", "GLOBAL_LABELS", [("env", "a"), ("env", "b")]),
    ("E104", "GLOBAL_LABELS", [("env",)]),
    ("E104", "GLOBAL_LABELS", ["ab"]),
    ("E105", "LATENCY_BUCKETS", [1, 0.5]),
    ("E105", "LATENCY_BUCKETS", [0.5, 0.5]),
    ("E105", "LATENCY_BUCKETS", [-1, 1]),
    ("E105", "LATENCY_BUCKETS", [0, 1]),
    ("E105", "LATENCY_BUCKETS", [NAN]),
    ("E105", "LATENCY_BUCKETS", [1, INF]),
    ("E105", "LATENCY_BUCKETS", []),
    ("E105", "LATENCY_BUCKETS", ["1"]),
    ("E105", "LATENCY_BUCKETS", [True, 2]),
    ("E105", "LATENCY_BUCKETS", "12"),
    ("E105", "LATENCY_BUCKETS", 5),
    ("E106", "SIZE_BUCKETS", [10, 1]),
    ("E107", "NAMESPACE", "1st"),
    ("E107", "NAMESPACE", "a-b"),
    ("E107", "NAMESPACE", None),
    ("E108", "BUCKETS", [1, 2]),
    ("E108", "BUCKETS", {"http_request_size_bytes": [2, 1]}),
    ("E109", "LABELS", {"http_requests_total": "status"}),
    ("E109", "LABELS", {"http_requests_total": ["status", "status"]}),
    ("E109", "LABELS", ["status"]),
    ("E110", "EXTRA_LABELS", {"le": "a.b"}),
    ("E110", "EXTRA_LABELS", {"tenant": "tenant"}),
    ("E110", "EXTRA_LABELS", ["tenant"]),
    ("E111", "EXTRA_METRICS", "ws_disconnects_total"),
    ("E112", "DISABLED_METRICS", [1]),
    ("E113", "EXCLUDE_PATHS", ["("]),
    ("E113", "EXCLUDE_PATHS", "^/health$"),
    ("E113", "EXCLUDE_PATHS", [b"^/health$"]),
    ("E114", "CARDINALITY_LIMIT", 0),
    ("E114", "CARDINALITY_LIMIT", 10.5),
    ("E114", "CARDINALITY_LIMIT", True),
    ("E115", "STORE_DIR", "relative/path"),
    ("E115", "STORE_DIR", 3),
    ("E116", "INSTRUMENT_DATABASES", "default"),
    ("E117", "INSTRUMENT_CACHES", None),
    ("E118", "WS_MESSAGE_TYPES", [""]),
    ("E119", "LLM_MODELS", "gpt"),
    ("E120", "BUSINESS_METRICS", {"missions_total": {}}),
    ("E120", "BUSINESS_METRICS", {"missions_total": {"model": "a.B", "callable": "c.d"}}),
    ("E121", "BUSINESS_INTERVAL", 0),
    ("E121", "BUSINESS_INTERVAL", NAN),
    ("E122", "BUSINESS_MAX_AGE", -1),
    ("E123", "BUSINESS_STORE", "redis"),
    ("E124", "ALLOWED_NETWORKS", ["10.0.0.1/8"]),
    ("E124", "ALLOWED_NETWORKS", ["somewhere"]),
    ("E125", "TOKENS", "secret"),
    ("E126", "PERMISSION", "may_read"),
    ("E127", "WORKER_PORT", 70000),
    ("E128", "KEEP_TOTALS", -1),
    ("E128", "KEEP_TOTALS", NAN),
    ("E128", "KEEP_TOTALS", "600"),
    ("E129", "WORKER_HOST", "localhost"),
    ("E129", "WORKER_HOST", None),
    ("E130", "TASKS", "celery"),
    ("E130", "TASKS", ["rq"]),
    ("E131", "COMMANDS", "migrate"),
    ("E131", "COMMANDS", ["!"]),
]


@pytest.mark.parametrize(("id", "key", "value"), WRONG_VALUES)
def test_a_wrong_value_is_an_error_that_names_it(id: str, key: str, value: object):
    with override_settings(TACHIKOMA_METRICS={key: value}):
        message = found()[id]

    assert re.match(rf"`{key}(\[[^`]+)?` should be ", message.msg)
    assert message.msg.endswith(".")
    assert message.hint
    assert message.is_serious()


def test_every_setting_has_an_id_of_its_own_and_a_wrong_value_above():
    ids = [setting.id for setting in conf.SETTINGS.values()]

    assert len(set(ids)) == len(ids)
    assert {(id, key) for id, key, _ in WRONG_VALUES} == {
        (setting.id, setting.key) for setting in conf.SETTINGS.values()
    }


def test_the_message_says_what_is_wrong_and_what_to_do():
    with override_settings(TACHIKOMA_METRICS={"LATENCY_BUCKETS": [1, 0.5]}):
        message = found()["E105"]

    assert message.msg == (
        "`LATENCY_BUCKETS` should be a sorted list of positive numbers; got [1, 0.5]."
    )
    assert message.hint is not None
    assert "Sort it" in message.hint


@pytest.mark.parametrize("buckets", [[1, 0.5], [-1, 1], [NAN], "fast"])
def test_wrong_buckets_stop_the_check_command(buckets: object):
    with (
        override_settings(TACHIKOMA_METRICS={"SIZE_BUCKETS": buckets}),
        pytest.raises(CommandError, match="`SIZE_BUCKETS` should be"),
    ):
        call_command("check")


def test_the_example_has_nothing_to_complain_of():
    assert found() == {}


WRONG_NAMES: list[tuple[str, dict[str, Any], str, str]] = [
    ("E001", "ENABLED", "should be a dictionary", "Write it like"),  # type: ignore[list-item]
    ("E001", [("TOKENS", ["secret"])], "got a list.", "Write it like"),  # type: ignore[list-item]
    ("E002", {"LATENCY_BUCKET": [1]}, "'LATENCY_BUCKET'", "`LATENCY_BUCKETS`"),
    ("E002", {"enabled": True}, "'enabled'", "`ENABLED`"),
    ("E002", {7: True}, "7", "Choose from"),  # type: ignore[dict-item]
    ("E003", {"BUCKETS": {"http_requests_total": [1]}}, "name histograms", ""),
    ("E003", {"BUCKETS": {"executions_duration_seconds": [1]}}, "", "`execution_duration_seconds`"),
    ("E008", {"LABELS": {"nothing": []}}, "'nothing'", "Choose from"),
    ("E008", {"LABELS": {"tachikoma_metrics_info": []}}, "'tachikoma_metrics_info'", ""),
    ("E009", {"EXTRA_METRICS": ["http_requests_total"]}, "opt-in", "It is on already"),
    ("E009", {"EXTRA_METRICS": ["ws_disconnect_total"]}, "opt-in", "`ws_disconnects_total`"),
    ("E010", {"DISABLED_METRICS": ["http_request_total"]}, "", "`http_requests_total`"),
    ("E004", {"LABELS": {"http_requests_total": ["metod"]}}, "'metod'", "`method`"),
    ("E004", {"LABELS": {"cache_hits_total": ["method"]}}, "'method'", "Choose from: cache."),
    ("E004", {"LABELS": {"missions_total": ["team"]}}, "'team'", "none is defined"),
    ("E005", {"GLOBAL_LABELS": {"method": "x"}}, "'method'", "Rename"),
    ("E005", {"GLOBAL_LABELS": [("status", "x")]}, "'status'", "Rename"),
    ("E006", {"EXTRA_LABELS": {"tenant": "tests.views.nowhere"}}, "cannot be imported", "Write"),
    ("E006", {"EXTRA_LABELS": {"tenant": "tests.views.CHUNKS"}}, "not callable", "Write"),
    ("E006", {"EXTRA_LABELS": {"tenant": "tests.views.coroutine_label"}}, "coroutine", "Write"),
    ("E006", {"EXTRA_LABELS": {"t": "tests.views.CoroutineObject"}}, "", "Write"),
    ("E006", {"EXTRA_LABELS": {"t": "tests.views.coroutine_object"}}, "coroutine", "Write"),
    ("E006", {"EXTRA_LABELS": {"t": "tests.views.chunks"}}, "the request alone: too", "Write"),
    ("E006", {"EXTRA_LABELS": {"t": "tests.views.of_two"}}, "argument: 'other'", "Write"),
    ("E013", {"PERMISSION": "tests.views.of_two"}, "argument: 'other'", "Write"),
    ("E013", {"PERMISSION": "tests.views.coroutine_object"}, "coroutine", "Write"),
    ("E007", {"EXTRA_LABELS": {"view": "tests.views.tenant"}}, "'view'", "another name"),
]


@pytest.mark.parametrize(("id", "declared", "says", "hints"), WRONG_NAMES)
def test_a_wrong_name_is_an_error_with_a_hint(id: str, declared: object, says: str, hints: str):
    with override_settings(TACHIKOMA_METRICS=declared):
        message = found()[id]

    assert says in message.msg
    assert hints in (message.hint or "")
    assert message.is_serious()


def test_an_alias_that_no_database_has_is_warned_of():
    with override_settings(TACHIKOMA_METRICS={"INSTRUMENT_DATABASES": ["defualt"]}):
        message = found()["W010"]

    assert "'defualt'" in message.msg
    assert message.hint == "Did you mean `default`?"


COUNTED = {"answer": {"callable": "tests.business.callables.answer", "labels": ["kind"]}}


def test_a_global_label_has_no_name_of_a_business_metrics_label():
    declared = {"GLOBAL_LABELS": {"kind": "x"}, "BUSINESS_METRICS": COUNTED}
    with override_settings(TACHIKOMA_METRICS=declared):
        message = found()["E005"]

    assert "'kind', which `answer` has" in message.msg
    assert message.hint == "Rename the global label, or the family's in `BUSINESS_METRICS`."


@pytest.mark.parametrize(
    ("settings", "is_warned_of"),
    [
        ({"BUSINESS_MAX_AGE": 30}, True),
        ({"BUSINESS_MAX_AGE": 60, "BUSINESS_INTERVAL": 600}, True),
        ({"BUSINESS_MAX_AGE": 31}, False),
        ({"BUSINESS_INTERVAL": 600}, False),
    ],
)
def test_counts_that_vanish_before_each_refresh_are_warned_of(
    settings: dict[str, Any], is_warned_of: bool
):
    with override_settings(TACHIKOMA_METRICS={"BUSINESS_METRICS": COUNTED, **settings}):
        assert ("W026" in found()) is is_warned_of
    with override_settings(TACHIKOMA_METRICS=settings):
        assert "W026" not in found()


def test_the_ids_are_those_that_the_docstrings_tell():
    sources = [Path(str(module.__file__)).read_text() for module in (checks, conf)]
    told = set(re.findall(r'"""([EW]\d{3}): ', "".join(sources)))
    emitted = (
        {id for id, *_ in WRONG_NAMES}
        | {f"W00{number}" for number in range(1, 10) if number != 5}
        | {"E011", "E012", "E013", "W010", "W011", "W012", "W013", "W014"}
        | {f"W02{number}" for number in range(7)}
    )

    assert told == emitted | {"E001"}


def test_a_global_label_may_have_the_name_of_a_label_that_was_dropped():
    labels = {
        family: [name for name in names if name != "endpoint"]
        for family, names in {"backend_requests_total": ["backend", "endpoint"]}.items()
    }
    declared = {"GLOBAL_LABELS": {"endpoint": "eu"}, "LABELS": labels}

    with override_settings(TACHIKOMA_METRICS=declared):
        assert found() == {}


@pytest.mark.parametrize("path", ["tenant", "of_any", "Plain", "given_another", "curried"])
def test_what_can_be_called_with_the_request_is_a_permission(path: str):
    with override_settings(TACHIKOMA_METRICS={"PERMISSION": f"tests.views.{path}"}):
        assert found() == {}


def test_an_extra_label_can_be_given_to_http_families():
    declared = {
        "EXTRA_LABELS": {"tenant": "tests.views.tenant"},
        "LABELS": {"http_requests_total": ["method", "tenant"]},
    }

    with override_settings(TACHIKOMA_METRICS=declared):
        assert found() == {}


OURS = checks.MIDDLEWARE
OTHER = "django.middleware.common.CommonMiddleware"


@pytest.mark.parametrize(
    ("middleware", "ids"),
    [
        ([OURS, OTHER], set()),
        ([OTHER], {"W001"}),
        ([OTHER, OURS], {"W002"}),
        ([OURS, OTHER, OURS], {"W006"}),
        (["tests.test_checks.Subclass", OTHER], set()),
        (["tests.nowhere.Middleware", OTHER], {"W001"}),
    ],
)
def test_the_middleware_should_be_there_first_and_once(middleware: list[str], ids: set[str]):
    with override_settings(MIDDLEWARE=middleware):
        assert {id for id in found() if id.startswith("W")} == ids


class Subclass(MetricsMiddleware):
    pass


def test_where_disabled_a_missing_middleware_does_not_matter():
    with override_settings(MIDDLEWARE=[], TACHIKOMA_METRICS={"ENABLED": False}):
        assert found() == {}


def test_a_page_of_the_project_is_not_shadowed_unnoticed():
    with override_settings(TACHIKOMA_METRICS={"PATH": "/hello/"}):
        message = found()["W003"]

    assert "'hello/'" in message.msg


@pytest.mark.parametrize("path", ["/metrics", "/nowhere", None])
def test_a_path_that_shadows_nothing_is_fine(path: str | None):
    with override_settings(TACHIKOMA_METRICS={"PATH": path}):
        assert found() == {}


def test_a_metric_of_the_project_with_our_name_is_named(registry: CollectorRegistry):
    Counter("cache_hits_total", "The project's own.", registry=registry)

    message = found()["W004"]

    assert "`cache_hits_total`" in message.msg
    assert "Counter(cache_hits)" in message.msg
    assert "NAMESPACE" in (message.hint or "")


@pytest.mark.parametrize(
    "declared", [{"NAMESPACE": "shop"}, {"DISABLED_METRICS": ["cache_hits_total"]}]
)
def test_the_remedies_for_a_taken_name_work(declared: object, registry: CollectorRegistry):
    Counter("cache_hits_total", "The project's own.", registry=registry)

    with override_settings(TACHIKOMA_METRICS=declared):
        assert found() == {}


def test_a_middleware_that_cannot_be_imported_does_not_stop_the_checks():
    with override_settings(MIDDLEWARE=["tests.raising.Middleware", OURS]):
        assert checks.check_middleware_is_installed() == []
        assert [message.id for message in checks.check_middleware_is_first()] == [
            "tachikoma_metrics.W002"
        ]


def test_an_extra_label_that_no_family_gets_is_pointed_out():
    with override_settings(TACHIKOMA_METRICS={"EXTRA_LABELS": {"tenant": "tests.views.tenant"}}):
        message = found()["W007"]

    assert "'tenant'" in message.msg


@pytest.mark.parametrize("name", [n for n in catalogue.FAMILIES if "tachikoma" in n])
def test_the_labels_of_our_own_health_cannot_be_taken_from_it(name: str, client: Client):
    with override_settings(TACHIKOMA_METRICS={"LABELS": {name: []}, "CARDINALITY_LIMIT": 1}):
        METRICS.file_changes_total.labels("modify", "applied").inc()
        record_db_query("select", "orders", float("nan"))

        assert client.get("/metrics").status_code == 200
        assert sample_value("tachikoma_metrics_errors_total", source="database") == 1


def test_a_directory_that_cannot_be_had_is_pointed_out(tmp_path: Path):
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    (tmp_path / "file").touch()

    messages = {}
    for path in (open_to_all, tmp_path / "file" / "store"):
        with override_settings(TACHIKOMA_METRICS={"STORE_DIR": str(path)}):
            messages[path.name] = found()["W008"].msg

    assert "Change it to 700" in messages["open"]
    assert "should be in a directory" in messages["store"]
    assert "503" in messages["store"]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_directory_that_others_could_replace_is_pointed_out(tmp_path: Path, is_there: bool):
    above = tmp_path / "above"
    above.mkdir()
    store = above / "between" / "store"
    if is_there:
        store.mkdir(parents=True, mode=0o700)
    with override_settings(TACHIKOMA_METRICS={"STORE_DIR": str(store)}):
        above.chmod(0o777)
        message = found()["W008"].msg
        above.chmod(0o1777)
        assert found() == {}

    assert f"should not be below {above}" in message
    assert "alone" not in message


@pytest.mark.parametrize("name", [None, "auto", "missing/store"])
def test_a_directory_that_can_be_had_is_not_made_by_the_checks(tmp_path: Path, name: str | None):
    path = str(tmp_path / name) if name == "missing/store" else name
    with override_settings(TACHIKOMA_METRICS={"STORE_DIR": path}):
        assert found() == {}

    assert not list(tmp_path.iterdir())


def test_the_environment_of_the_stock_mode_is_pointed_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/anywhere")

    assert "has no effect" in found()["W009"].msg


MANY = override_settings(ROOT_URLCONF="tests.many_urls")


@MANY
def test_more_routes_than_there_is_room_for_are_pointed_out():
    message = found()["W014"]

    assert "has 2002 routes, and `CARDINALITY_LIMIT` is 2000" in message.msg
    assert "Set CARDINALITY_LIMIT to 9000" in str(message.hint)


@MANY
@pytest.mark.parametrize(
    "declared",
    [
        {"CARDINALITY_LIMIT": 2003},
        {"ENABLED": False},
        {
            "LABELS": {
                name: ["method"]
                for name, family in catalogue.FAMILIES.items()
                if catalogue.PATH in family.labels
            }
        },
    ],
)
def test_routes_that_have_room_or_are_not_shown_are_fine(declared: dict[str, Any]):
    with override_settings(TACHIKOMA_METRICS=declared):
        assert "W014" not in found()


@pytest.mark.parametrize("urlconf", ["tests.no_such_module", "tests.views", "tests"])
def test_a_urlconf_without_routes_costs_no_check(urlconf: str):
    # Django's own checks would import it, and raise.
    with override_settings(ROOT_URLCONF=urlconf, TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 1}):
        assert checks.check_routes_have_room() == []
