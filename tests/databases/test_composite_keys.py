"""Rows with a composite primary key are counted like others."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, models

from tachikoma_metrics.business import refresh
from tests.databases.conftest import Define

pytestmark = pytest.mark.django_db(transaction=True)

TENANT = "missions.Tenant"
BEGUN_AT = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


@pytest.fixture(autouse=True)
def _items(define: Define) -> Iterator[None]:
    """Make three items of a tenant with two tags; two of them differ by a microsecond."""
    tenant: Any = define("Tenant", "tenant", id=models.IntegerField(primary_key=True))
    tag: Any = define(
        "Tag", "tag", word=models.CharField(max_length=9), tenant=_tenant(related_name="tags")
    )
    item: Any = define(
        "Item",
        "item",
        pk=models.CompositePrimaryKey("tenant_id", "title", "begun_at"),
        tenant=_tenant(),
        title=models.CharField(max_length=9),
        begun_at=models.DateTimeField(),
    )
    with connection.schema_editor() as editor:
        for model in (tenant, tag, item):
            editor.create_model(model)
    owner = tenant.objects.create(id=1)
    for word in "xy":
        tag.objects.create(tenant=owner, word=word)
    for title, microseconds in [("a", 0), ("a", 1), ('"b', 0)]:
        begun_at = BEGUN_AT + datetime.timedelta(microseconds=microseconds)
        item.objects.create(tenant=owner, title=title, begun_at=begun_at)
    yield
    with connection.schema_editor() as editor:
        for model in (item, tag, tenant):
            editor.delete_model(model)


def _tenant(**options: Any) -> models.ForeignKey[Any, Any]:
    return models.ForeignKey(TENANT, models.CASCADE, **options)


def counted(settings: Any, **declaration: Any) -> dict[tuple[str, ...], float]:
    """Return the counts of items."""
    settings.TACHIKOMA_METRICS = {
        "BUSINESS_METRICS": {"items": {"model": "missions.Item", **declaration}}
    }
    done = refresh(dry_run=True)
    assert done is not None
    assert done.errors == {}
    return done.snapshot.metrics[0].counts


def test_a_filter_through_a_relation_to_many_counts_each_row_once(settings):
    assert counted(settings, filter={"tenant__tags__word__in": ["x", "y"]}) == {(): 3}


def test_a_label_through_a_relation_to_many_counts_each_row_once(settings):
    counts = counted(settings, labels={"tag": "tenant__tags__word"})

    assert counts == {("x",): 3, ("y",): 3}
