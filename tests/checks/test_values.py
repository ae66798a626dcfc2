"""Invalid values of settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from tachikoma_metrics import checks, conf
from tests.checks.messages import message
from tests.checks.test_names import WRONG_NAMES
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
    ("E180", "OTLP", "yes"),
    ("E180", "OTLP", 1),
    ("E160", "EXEMPLARS", "opentelemetry"),
    ("E160", "EXEMPLARS", True),
    ("E160", "EXEMPLARS", ["auto"]),
    ("E133", "VIEWS", "django-prometheus"),
    ("E150", "NATIVE_HISTOGRAMS", "http_request_duration_seconds"),
    ("E150", "NATIVE_HISTOGRAMS", 1),
    ("E150", "NATIVE_HISTOGRAMS", [3]),
    ("E151", "NATIVE_HISTOGRAM_SCHEMA", 6),
    ("E151", "NATIVE_HISTOGRAM_SCHEMA", -1),
    ("E151", "NATIVE_HISTOGRAM_SCHEMA", True),
    ("E151", "NATIVE_HISTOGRAM_SCHEMA", 3.0),
    ("E133", "VIEWS", ["django_prometheus"]),
    ("E132", "ZERO_STATUSES", 500),
    ("E132", "ZERO_STATUSES", [99]),
    ("E132", "ZERO_STATUSES", [600]),
    ("E132", "ZERO_STATUSES", ["500"]),
    ("E132", "ZERO_STATUSES", [True]),
]


@pytest.mark.parametrize(("id", "key", "value"), WRONG_VALUES)
def test_an_invalid_value_is_an_error_that_names_its_setting(id: str, key: str, value: object):
    with override_settings(TACHIKOMA_METRICS={key: value}):
        message = found()[id]

    assert re.match(rf"Invalid {key}(\[[^ ]+)?: .+\. It must be .+\.$", message.msg, re.DOTALL)
    assert message.hint
    assert message.is_serious()


def test_every_setting_has_its_own_id_and_an_invalid_value_above():
    ids = [setting.id for setting in conf.SETTINGS.values()]

    assert len(set(ids)) == len(ids)
    assert {(id, key) for id, key, _ in WRONG_VALUES} == {
        (setting.id, setting.key) for setting in conf.SETTINGS.values()
    }


def test_a_message_says_what_is_wrong_and_what_it_must_be():
    with override_settings(TACHIKOMA_METRICS={"LATENCY_BUCKETS": [1, 0.5]}):
        message = found()["E105"]

    assert message.msg == (
        "Invalid LATENCY_BUCKETS: [1, 0.5]. It must be a sorted list of positive numbers."
    )
    assert message.hint is not None
    assert "Sort it" in message.hint


@pytest.mark.parametrize("buckets", [[1, 0.5], [-1, 1], [NAN], "fast"])
def test_invalid_buckets_stop_the_check_command(buckets: object):
    with (
        override_settings(TACHIKOMA_METRICS={"SIZE_BUCKETS": buckets}),
        pytest.raises(CommandError, match="Invalid SIZE_BUCKETS: "),
    ):
        call_command("check")


def test_the_example_project_has_no_messages():
    assert found() == {}


def test_every_id_has_its_cause_in_a_docstring():
    folders = [Path(str(module.__file__)).parent for module in (checks, conf)]
    sources = [path.read_text() for folder in folders for path in folder.glob("*.py")]
    reported = set(re.findall(r'"""([EW]\d{3}): ', "".join(sources)))
    emitted = (
        {id for id, *_ in WRONG_NAMES}
        | {f"W00{number}" for number in range(1, 10) if number != 5}
        | {"E011", "E012", "E013", "E161", "W010", "W011", "W012", "W013", "W014"}
        | {f"W02{number}" for number in range(7)}
        | {"E152", "W150", "W151"}
        | {"E181", "E182", "E183"}
        | {f"W18{number}" for number in range(7)}
        | {"W140", "W141"}
    )

    assert reported == emitted | {"E001"}


SPEC = "missions.Spec"


IN_SETTINGS: list[tuple[str, dict[str, Any], str, str]] = [
    ("E002", {"NAMESPCE": "shop"}, "Did you mean 'NAMESPACE'?", '"NAMESPACE": "shop"'),
    ("E107", {"NAMESPACE": "my-shop"}, "'my-shop'", "letters, digits and underscores"),
    ("E102", {"PATH": "metrics"}, "'metrics'", '"/internal/metrics"'),
    (
        "E124",
        {"ALLOWED_NETWORKS": ["private", "10.0.0.1/8"]},
        "Invalid ALLOWED_NETWORKS[1]: '10.0.0.1/8'.",
        "10.0.0.0/8",
    ),
    ("E127", {"WORKER_PORT": "9100"}, "'9100'", "1 to 65535"),
    ("E105", {"LATENCY_BUCKETS": [1, 0.5]}, "sorted", "Sort it"),
    ("E108", {"BUCKETS": {"http_request_size_bytes": [2, 1]}}, '["http_request_size_bytes"]', ""),
    ("E109", {"LABELS": {"http_requests_total": "path"}}, 'S["http_requests_total"]: ', "method"),
    ("E003", {"BUCKETS": {"http_requests_total": [1]}}, "is a counter, which has no buckets", ""),
    ("E004", {"LABELS": {"http_requests_total": ["tenant"]}}, "", '"EXTRA_LABELS": {"tenant": '),
    (
        "E006",
        {"EXTRA_LABELS": {"a": "nowhere.at.all"}},
        "cannot be imported: No module",
        "function",
    ),
    ("E013", {"PERMISSION": "nowhere.at.all"}, "cannot be imported: No", "function"),
    ("E011", {"BUSINESS_METRICS": {"u": {"model": "User"}}}, "got 'User'", 'Write "auth.User"'),
    (
        "E011",
        {"BUSINESS_METRICS": {"u": {"model": "django.contrib.auth.models.User"}}},
        "as `app.Model`",
        'Write "auth.User"',
    ),
    ("E011", {"BUSINESS_METRICS": {"u": {"model": "auth.models.User"}}}, '["u"]', '"auth.User"'),
    ("E011", {"BUSINESS_METRICS": {"u": {"model": "shop.user"}}}, '["u"]', 'Write "auth.User"'),
    ("E011", {"BUSINESS_METRICS": {"u": {"model": "auth.Usr"}}}, '["u"]', '"auth.User"?'),
    ("E011", {"BUSINESS_METRICS": {"u": {"model": "Nothing"}}}, "'Nothing'", '"auth.User"'),
    (
        "E011",
        {"BUSINESS_METRICS": {"u": {"model": SPEC, "labels": {"state": "stat"}}}},
        "status",
        "Name fields",
    ),
    ("E001", None, "TACHIKOMA_METRICS: None.", "Example: "),  # type: ignore[list-item]
    ("E113", {"EXCLUDE_PATHS": ["^/a$", "("]}, "EXCLUDE_PATHS[1]", "unterminated subpattern"),
    ("E008", {"LABELS": {"tachikoma_metrics_info": []}}, "cannot be changed", ""),
    ("E120", {"BUSINESS_METRICS": {"u": {"callable": len}}}, "dotted path", '"shop.metrics.open_'),
    (
        "E120",
        {"BUSINESS_METRICS": {"u": {"callable": "a.b", "labels": {"status": "x"}}}},
        "a list of label names",
        '["status"]',
    ),
    ("W022", {"TOKENS": ["Bearer s3cr3t-token-00000000"]}, "(1 of 1)", "not part of it"),
    (
        "E120",
        {"BUSINESS_METRICS": {"u": "auth.User"}},
        'Invalid BUSINESS_METRICS["u"]: ',
        '{"model": ',
    ),
    ("E120", {"BUSINESS_METRICS": {"u": {"modle": SPEC}}}, "'modle'", "'model'"),
    (
        "E120",
        {"BUSINESS_METRICS": {"u": {"model": SPEC, "labels": ["status"]}}},
        'Invalid BUSINESS_METRICS["u"]["labels"]: ',
        '{"status": "status"}',
    ),
]


@pytest.mark.parametrize(("id", "declared", "says", "remedy"), IN_SETTINGS)
def test_a_mistake_in_a_setting_is_reported_with_its_remedy(
    id: str, declared: object, says: str, remedy: str
):
    reported = message(id, declared)

    assert says in reported.msg
    assert remedy in (reported.hint or "")


@pytest.mark.parametrize(("id", "declared", "says", "remedy"), IN_SETTINGS)
def test_no_message_mentions_internals_of_python(id: str, declared: object, says: str, remedy: str):
    reported = message(id, declared)

    for internal in ("unpack", "NoneType", "object has no attribute", "Traceback", "<class"):
        assert internal not in f"{reported.msg} {reported.hint}"
