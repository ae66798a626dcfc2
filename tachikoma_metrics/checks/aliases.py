"""Checks of the aliases of databases and caches to measure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.core.cache import caches
from django.core.checks import CheckMessage, register
from django.db import connections

from tachikoma_metrics import conf
from tachikoma_metrics.checks.messages import example, warning


@register
def check_databases_exist(**kwargs: Any) -> list[CheckMessage]:
    """W010: ``INSTRUMENT_DATABASES`` lists an alias that ``DATABASES`` does not have."""
    wanted = conf.config().instrument_databases
    return _unknown_aliases("W010", "INSTRUMENT_DATABASES", wanted, connections.settings)


@register
def check_caches_exist(**kwargs: Any) -> list[CheckMessage]:
    """W011: ``INSTRUMENT_CACHES`` lists an alias that ``CACHES`` does not have."""
    wanted = conf.config().instrument_caches
    return _unknown_aliases("W011", "INSTRUMENT_CACHES", wanted, caches.settings)


def _unknown_aliases(
    id: str, key: str, wanted: bool | tuple[str, ...], aliases: Collection[str]
) -> list[CheckMessage]:
    return [
        warning(
            id,
            f"Unknown alias '{alias}' in {key}. {conf.did_you_mean(alias, aliases)}",
            f"Remove or correct it. {example(key)}",
        )
        for alias in (() if isinstance(wanted, bool) else wanted)
        if alias not in aliases
    ]
