from __future__ import annotations

import pytest

from tachikoma_metrics import METRICS, catalogue
from tachikoma_metrics.catalogue.definitions import Family, Histogram, is_legal_label

LATENCY = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SIZE = (100, 1e3, 1e4, 1e5, 1e6, 1e7)

SPECIFICATION = [
    ("http_requests_total", "counter", "method path status", None),
    ("http_request_duration_seconds", "histogram", "method path", LATENCY),
    ("http_request_size_bytes", "histogram", "method path", SIZE),
    ("http_response_size_bytes", "histogram", "method path", SIZE),
    ("http_requests_in_flight", "gauge", "", None),
    ("ws_connections_total", "counter", "", None),
    ("ws_connections_current", "gauge", "", None),
    ("ws_messages_received_total", "counter", "message_type", None),
    ("ws_messages_sent_total", "counter", "message_type", None),
    ("executions_total", "counter", "backend model status", None),
    (
        "execution_duration_seconds",
        "histogram",
        "backend model",
        (0.5, 1, 2.5, 5, 10, 30, 60, 120),
    ),
    ("execution_tokens_total", "counter", "backend model type", None),
    ("executions_in_progress", "gauge", "", None),
    ("db_queries_total", "counter", "operation table", None),
    (
        "db_query_duration_seconds",
        "histogram",
        "operation",
        (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
    ),
    ("db_connections_current", "gauge", "", None),
    ("cache_hits_total", "counter", "", None),
    ("cache_misses_total", "counter", "", None),
    ("cache_size", "gauge", "", None),
    ("backend_requests_total", "counter", "backend endpoint", None),
    ("backend_request_duration_seconds", "histogram", "backend", (0.1, 0.5, 1, 2.5, 5, 10, 30)),
    ("backend_errors_total", "counter", "backend error_type", None),
    ("missions_total", "gauge", "", None),
    ("specs_total", "gauge", "status", None),
    ("file_changes_total", "counter", "change_type status", None),
]

every_family = pytest.mark.parametrize(
    "family", catalogue.FAMILIES.values(), ids=catalogue.FAMILIES
)


def test_the_catalogue_has_the_specified_metrics_and_no_others():
    declared = [
        (
            family.name,
            family.type,
            " ".join(family.label_names),
            family.buckets if isinstance(family, Histogram) else None,
        )
        for family in catalogue.SPECIFIED
    ]

    assert declared == SPECIFICATION


@every_family
def test_help_is_a_noun_phrase_that_ends_in_a_full_stop(family: Family):
    assert family.help[0].isupper()
    assert family.help.endswith(".")
    assert "number of" not in family.help.lower()


@every_family
def test_counters_and_no_others_end_in_total(family: Family):
    specified_exceptions = {"missions_total", "specs_total"}

    is_named_like_a_counter = family.name.endswith("_total")

    assert is_named_like_a_counter == (
        family.type == "counter" or family.name in specified_exceptions
    )


@every_family
def test_a_constant_is_named_after_its_metric(family: Family):
    constant = next(name for name, value in vars(catalogue).items() if value is family)
    stem = family.name.removeprefix("tachikoma_metrics_")
    for suffix in ("_total", "_seconds", "_bytes"):
        stem = stem.removesuffix(suffix)

    assert constant == stem.upper()


@every_family
def test_every_label_is_legal(family: Family):
    assert all(map(is_legal_label, family.allowed_label_names))


@every_family
def test_every_metric_is_an_attribute_of_metrics(family: Family):
    assert getattr(METRICS, family.name)._documentation == family.help
    assert family.name in dir(METRICS)


def test_an_unknown_metric_is_no_attribute():
    with pytest.raises(AttributeError, match="http_request_total"):
        _ = METRICS.http_request_total
