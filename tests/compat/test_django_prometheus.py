from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.projects import Project

MODELS = """
from django.db import models
from {module} import ExportModelOperationsMixin


class Order(ExportModelOperationsMixin("order"), models.Model):
    number = models.IntegerField(default=0)


class Line(models.Model):
    order = models.ForeignKey(Order, models.CASCADE)
"""

OURS = "tachikoma_metrics.compat.django_prometheus"
THEIRS = "django_prometheus.models"

SETTINGS = """
INSTALLED_APPS += ["mysite"]
PROMETHEUS_METRIC_NAMESPACE = "shop"
"""

WITHOUT_DJANGO_PROMETHEUS = """
import sys
sys.modules["django_prometheus"] = None
import django; django.setup()
"""

PRELUDE = """
import json
from django.core.management import call_command
from tachikoma_metrics import testing
from mysite.models import Line, Order
call_command("migrate", run_syncdb=True, verbosity=0)
"""

EPILOGUE = """
names = {what: f"shop_django_model_{what}_total" for what in ("inserts", "updates", "deletes")}
print(json.dumps({what: testing.sample_value(name, model="order") for what, name in names.items()}))
errors = [key for key, value in testing.samples().items() if value and "errors_total" in key[0]]
assert not errors, errors
"""

ONE_BY_ONE = """
order = Order.objects.create()
order.number = 1
order.save()
Order(number=2).save()
order.delete()
"""

IN_BULK = """
orders = Order.objects.bulk_create([Order(), Order(), Order()])
Order.objects.filter(pk=orders[0].pk).update(number=1)
for order in orders:
    order.number = 7
Order.objects.bulk_update(orders, ["number"])
Line.objects.bulk_create([Line(order=orders[0]), Line(order=orders[1])])
Line.objects.update(order=orders[0])
Order.objects.all().delete()
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "site", SETTINGS, models=MODELS.format(module=OURS))


def counted(project: Project, code: str, **kwargs: str) -> dict[str, float]:
    process = project.run_code(PRELUDE + code + EPILOGUE, **kwargs)
    assert process.returncode == 0, process.stderr
    counts: dict[str, float] = json.loads(process.stdout)
    return counts


def test_each_model_is_shown_from_the_start(project: Project):
    assert counted(project, "") == {"inserts": 0, "updates": 0, "deletes": 0}


def test_single_rows_are_counted_as_by_django_prometheus(project: Project, tmp_path: Path):
    incumbent = Project(tmp_path / "theirs", SETTINGS, models=MODELS.format(module=THEIRS))

    assert counted(project, ONE_BY_ONE) == counted(incumbent, ONE_BY_ONE)


@pytest.mark.parametrize("setup", ["import django; django.setup()", WITHOUT_DJANGO_PROMETHEUS])
def test_rows_in_bulk_are_counted_with_and_without_django_prometheus(project: Project, setup: str):
    assert counted(project, IN_BULK, setup=setup) == {"inserts": 3, "updates": 4, "deletes": 3}


def test_rows_of_async_methods_are_counted(project: Project):
    code = """
import asyncio

async def main():
    await Order.objects.abulk_create([Order(), Order()])
    await Order.objects.aupdate(number=3)
    await Order.objects.all().adelete()

asyncio.run(main())
"""
    assert counted(project, code) == {"inserts": 2, "updates": 2, "deletes": 2}


def test_an_exception_of_the_database_is_raised_unchanged(project: Project):
    code = """
from django.core.exceptions import FieldDoesNotExist

try:
    Order.objects.update(nothing=1)
except FieldDoesNotExist:
    pass
else:
    raise AssertionError
"""
    assert counted(project, code)["updates"] == 0


def test_methods_keep_what_django_reads_of_them(project: Project):
    code = """
from django.db.models import QuerySet

assert Order.delete.alters_data
assert QuerySet.update.alters_data and QuerySet.delete.alters_data
assert QuerySet.delete.queryset_only
assert not hasattr(Order.objects, "delete")
assert QuerySet.bulk_create.__name__ == "bulk_create"
"""
    counted(project, code)


def test_a_migration_can_name_the_mixin(project: Project):
    process = project.run("makemigrations", "mysite", "--dry-run", "-v", "3")

    assert f"{OURS}.ExportModelOperationsMixin('order')" in process.stdout
