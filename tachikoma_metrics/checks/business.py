"""Checks of the business metrics: that they can be counted, stored and shown."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Tags, register
from django.utils.module_loading import import_string

from tachikoma_metrics import business, conf
from tachikoma_metrics.business.declarations import declared
from tachikoma_metrics.business.validation import problems
from tachikoma_metrics.checks.messages import error, example, warning

_CACHES_OF_ONE_PROCESS = (LocMemCache, DummyCache)


@register
def check_business_metrics(**kwargs: Any) -> list[CheckMessage]:
    """E011: an entry of ``BUSINESS_METRICS`` cannot be counted."""
    return [
        error(
            "E011",
            f'BUSINESS_METRICS["{family.name}"] cannot be counted: {problem.message}',
            problem.hint,
        )
        for family in declared()
        for problem in problems(family)
    ]


@register
def check_business_store(**kwargs: Any) -> list[CheckMessage]:
    """E012: ``BUSINESS_STORE`` is ``cache``, and processes do not share the default cache."""
    config = conf.config()
    if not config.has_business_metrics or config.business_store != "cache":
        return []
    backend = import_string(caches.settings[DEFAULT_CACHE_ALIAS]["BACKEND"])
    if not issubclass(backend, _CACHES_OF_ONE_PROCESS):
        return []
    return [
        error(
            "E012",
            f'BUSINESS_STORE is "cache", and the default cache is a {backend.__name__}, which '
            "other processes cannot read. It must be a shared cache.",
            "Store them in the database, or use a shared cache such as Redis. Example: "
            '"BUSINESS_STORE": "database"',
        )
    ]


@register(Tags.database)
def check_snapshot_has_a_table(
    databases: Collection[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """W023: the database lacks the table for the business metrics: it has not been migrated.

    Only `manage.py check --database ALIAS` and `manage.py metrics_doctor` check this.
    """
    # migrate itself runs the checks before it begins.
    alias = None if conf.is_migrating() else business.lacks_table(databases or ())
    if alias is None:
        return []
    return [
        warning(
            "W023",
            f"The database '{alias}' lacks the table for BUSINESS_METRICS. It must be migrated.",
            "Run `manage.py migrate`.",
        )
    ]


@register
def check_metrics_outlast_the_interval(**kwargs: Any) -> list[CheckMessage]:
    """W026: ``BUSINESS_MAX_AGE`` is not longer than ``BUSINESS_INTERVAL``."""
    config = conf.config()
    if not config.has_business_metrics or config.business_lifetime > config.business_interval:
        return []
    return [
        warning(
            "W026",
            f"BUSINESS_MAX_AGE is {config.business_lifetime:g} seconds, and BUSINESS_INTERVAL "
            f"{config.business_interval:g}: business metrics disappear before each refresh. "
            "BUSINESS_MAX_AGE must be longer.",
            "Remove it, as the default is ten intervals, or set it to several intervals. "
            f"{example('BUSINESS_MAX_AGE')}",
        )
    ]
