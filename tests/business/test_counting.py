"""The values of business metrics: rows of models, and results of callables."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from missions.models import Spec
from tachikoma_metrics import METRICS, update_business_metrics
from tachikoma_metrics.business import refresh
from tests.business.declarations import MISSIONS, SPECS, Declare
from tests.business.recorded import create_specs, exported
from tests.conftest import found

pytestmark = pytest.mark.django_db


def test_a_refresh_counts_rows_and_a_scrape_exports_them(declare: Declare):
    declare({**MISSIONS, **SPECS})
    create_specs(done=3, running=1)
    assert exported("missions_total") == {}
    update_business_metrics()

    assert exported("missions_total") == {(): 1}
    assert exported("specs_total") == {
        ("done",): 3,
        ("failed",): 0,
        ("planned",): 0,
        ("running",): 1,
    }


def test_a_label_value_without_rows_is_zero_or_omitted(declare: Declare):
    titles = {"titles": {"model": "missions.Spec", "labels": {"title": "title"}}}
    declare({**SPECS, **titles})
    create_specs(done=2)
    update_business_metrics()
    assert exported("titles") == {("Step",): 2}
    Spec.objects.update(status="failed", title="Other")
    update_business_metrics()

    assert exported("titles") == {("Other",): 2}
    assert exported("specs_total")["done",] == 0
    assert exported("specs_total")["failed",] == 2


def test_filters_and_lookups_apply(declare: Declare):
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
    create_specs(planned=2, done=3)
    update_business_metrics()

    assert exported("open_specs") == {("Ghost", "planned"): 2}
    assert "# HELP open_specs Specs that are not over.\n" in METRICS.encode()


def test_a_row_with_several_related_rows_is_counted_once(declare: Declare):
    declare({"members": {"model": "auth.User", "filter": {"groups__name__in": ["a", "b"]},
                         "labels": {"staff": "is_staff"}}})  # fmt: skip
    user = User.objects.create(username="motoko", is_staff=True)
    user.groups.add(Group.objects.create(name="a"), Group.objects.create(name="b"))
    update_business_metrics()

    assert exported("members") == {("true",): 1}


def test_a_row_with_several_related_rows_is_counted_once_without_labels(declare: Declare):
    declare({"members": {"model": "auth.User", "filter": {"groups__name__in": ["a", "b"]}}})
    user = User.objects.create(username="motoko")
    user.groups.add(Group.objects.create(name="a"), Group.objects.create(name="b"))
    update_business_metrics()

    assert exported("members") == {(): 1}


def test_a_label_can_be_a_transform(declare: Declare):
    labels = {"year": "created_at__year", "mission": "mission__name"}
    declare({"specs": {"model": "missions.Spec", "labels": labels}})
    create_specs(done=2)
    update_business_metrics()

    assert list(exported("specs").values()) == [2]
    assert "E011" not in found()


def test_each_metric_needs_one_query(declare: Declare):
    declare({**MISSIONS, **SPECS})
    create_specs(done=3)
    refresh()
    with CaptureQueriesContext(connection) as captured:
        refresh()
    counting = [q["sql"] for q in captured.captured_queries if 'FROM "missions_' in q["sql"]]

    assert len(counting) == 2


def test_callables_return_numbers_or_numbers_by_labels(declare: Declare):
    declare(
        {
            "things": {
                "callable": "tests.business.callables.numbers",
                "labels": ["kind", "new"],
            },
            "answer": {"callable": "tests.business.callables.answer"},
        }
    )
    update_business_metrics()

    assert exported("things") == {("a", "true"): 1, ("b", "false"): 2.5}
    assert exported("answer") == {(): 42}


def test_the_number_of_label_sets_is_bounded(declare: Declare):
    declare(
        {"titles": {"model": "missions.Spec", "labels": {"title": "title"}}}, CARDINALITY_LIMIT=3
    )
    mission = create_specs()
    Spec.objects.bulk_create([Spec(mission=mission, title=f"{n}") for n in range(10)])
    update_business_metrics()

    assert len(exported("titles")) == 3
    assert exported("titles")["overflow",] == 8


def test_labels_and_namespace_apply_to_built_in_metrics(declare: Declare):
    declare(SPECS, LABELS={"specs_total": []}, NAMESPACE="shop")
    create_specs(done=2, failed=1)
    update_business_metrics()

    assert exported("shop_specs_total") == {(): 3}


def test_empty_tables_are_counted_as_zero(declare: Declare):
    declare({**MISSIONS, **SPECS})
    update_business_metrics()

    assert exported("missions_total") == {(): 0}
    assert set(exported("specs_total").values()) == {0}
