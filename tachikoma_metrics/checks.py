"""System checks: wrong settings are found at start-up, by name, with the remedy.

Errors are E001 to E019 (keys and names) and E101 to E199 (one per setting, declared with
it in ``conf``); warnings are W001 to W019.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections
from django.urls import resolve
from django.utils.module_loading import import_string

from tachikoma_metrics import catalogue, conf, views
from tachikoma_metrics.business.families import declared, obstacles
from tachikoma_metrics.definitions import Histogram
from tachikoma_metrics.middleware import MetricsMiddleware
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.registry.metrics import Shape, possible_labels
from tachikoma_metrics.routes import path_labels
from tachikoma_metrics.store import STORE

STOCK_MODE_VARIABLES = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
MIDDLEWARE = "tachikoma_metrics.middleware.MetricsMiddleware"
HISTOGRAMS = tuple(n for n, family in catalogue.FAMILIES.items() if isinstance(family, Histogram))
LABELLED = tuple(n for n, family in catalogue.FAMILIES.items() if not family.is_own_health)
OPT_IN = tuple(name for name, family in catalogue.FAMILIES.items() if family.opt_in)


def error(id: str, message: str, hint: str) -> Error:
    """Return an error with an id of this app's."""
    return Error(message, hint=hint, id=f"tachikoma_metrics.{id}")


def warning(id: str, message: str, hint: str) -> Warning:
    """Return a warning with an id of this app's."""
    return Warning(message, hint=hint, id=f"tachikoma_metrics.{id}")


@register
def check_values(**kwargs: Any) -> list[CheckMessage]:
    """Tell what ``conf`` found wrong: E001, E002, and the id of each setting."""
    return [error(fault.id, fault.message, fault.hint) for fault in conf.config().faults]


@register
def check_histogram_names(**kwargs: Any) -> list[CheckMessage]:
    """E003: every name in ``BUCKETS`` is that of a histogram."""
    return _unknown_names("E003", "BUCKETS", "histograms", conf.config().buckets, HISTOGRAMS)


@register
def check_labelled_names(**kwargs: Any) -> list[CheckMessage]:
    """E008: every name in ``LABELS`` is that of a family, and not of the app's own health."""
    return _unknown_names("E008", "LABELS", "families", conf.config().labels, LABELLED)


@register
def check_opt_in_names(**kwargs: Any) -> list[CheckMessage]:
    """E009: every name in ``EXTRA_METRICS`` is that of an opt-in family."""
    named = conf.config().extra_metrics
    return _unknown_names("E009", "EXTRA_METRICS", "opt-in families", named, OPT_IN, _opt_in_hint)


def _opt_in_hint(name: str, possible: Collection[str]) -> str:
    if name in catalogue.FAMILIES:
        return "It is on already, unless switched off."
    return conf.did_you_mean(name, possible)


@register
def check_disabled_names(**kwargs: Any) -> list[CheckMessage]:
    """E010: every name in ``DISABLED_METRICS`` is that of a family."""
    named = conf.config().disabled_metrics
    return _unknown_names("E010", "DISABLED_METRICS", "families", named, catalogue.FAMILIES)


def _unknown_names(
    id: str,
    key: str,
    kind: str,
    names: Iterable[str],
    possible: Collection[str],
    hint: Callable[[str, Collection[str]], str] = conf.did_you_mean,
) -> list[CheckMessage]:
    return [
        error(
            id,
            f"`{key}` should name {kind}; got {name!r}.",
            hint(name, possible),
        )
        for name in names
        if name not in possible
    ]


@register
def check_label_names(**kwargs: Any) -> list[CheckMessage]:
    """E004: ``LABELS`` gives each family labels that it can have."""
    config = conf.config()
    return [
        error(
            "E004",
            f"`LABELS` should give `{name}` labels it can have; got {label!r}.",
            conf.did_you_mean(label, possible_labels(catalogue.FAMILIES[name], config)),
        )
        for name, labels in config.labels.items()
        if name in LABELLED
        for label in labels
        if label not in possible_labels(catalogue.FAMILIES[name], config)
    ]


@register
def check_global_labels(**kwargs: Any) -> list[CheckMessage]:
    """E005: none of ``GLOBAL_LABELS`` has the name of a family's own label."""
    names = conf.config().global_label_names
    return [
        error(
            "E005",
            f"`GLOBAL_LABELS` should not name a label that a family has; got {label!r}, "
            f"which `{bound.shape.full_name}` has.",
            "Rename the global label."
            if bound.family.is_own_health
            else "Rename the global label, or drop the family's with `LABELS`.",
        )
        for bound in METRICS.all_bound()
        for label in bound.shape.label_names
        if bound.is_on and label in names
    ]


@register
def check_extra_labels(**kwargs: Any) -> list[CheckMessage]:
    """E006: each path in ``EXTRA_LABELS`` leads to a callable that is no coroutine function."""
    return [
        error(
            "E006",
            f"`EXTRA_LABELS` should name callables that are not coroutine functions; "
            f"{label!r} is {dotted_path!r}, {trouble}.",
            "Write a function that takes the request and returns the label's value.",
        )
        for label, dotted_path in conf.config().extra_labels.items()
        if (trouble := _trouble_with(dotted_path))
    ]


def _trouble_with(dotted_path: str) -> str:
    try:
        imported = import_string(dotted_path)
    except Exception as trouble:
        return f"which cannot be imported ({trouble})"
    if not callable(imported):
        return "which is not callable"
    return "which is a coroutine function" if iscoroutinefunction(imported) else ""


@register
def check_extra_label_names(**kwargs: Any) -> list[CheckMessage]:
    """E007: none of ``EXTRA_LABELS`` has the name of a label that a family can have anyway."""
    config = conf.config()
    offered = {
        label
        for name in catalogue.FED_BY_REQUESTS
        for label in catalogue.FAMILIES[name].allowed_label_names
    }
    return [
        error(
            "E007",
            f"`EXTRA_LABELS` should not redefine a label; got {label!r}.",
            "Choose another name.",
        )
        for label in config.extra_labels
        if label in offered
    ]


@register
def check_extra_labels_are_used(**kwargs: Any) -> list[CheckMessage]:
    """W007: ``LABELS`` gives each of ``EXTRA_LABELS`` to a family."""
    config = conf.config()
    return [
        warning(
            "W007",
            f"`EXTRA_LABELS` has {label!r}, which `LABELS` gives to no HTTP family.",
            f'Write LABELS like {{"http_requests_total": ["method", "status", "{label}"]}}.',
        )
        for label in config.extra_labels
        if label not in config.request_labels
    ]


@register
def check_middleware_is_installed(**kwargs: Any) -> list[CheckMessage]:
    """W001: ``MIDDLEWARE`` has ``MetricsMiddleware``."""
    if not conf.config().enabled or _places():
        return []
    return [
        warning(
            "W001",
            "`MIDDLEWARE` has no MetricsMiddleware: HTTP requests are not measured, and "
            "only the URLconf can serve the page.",
            f'Put "{MIDDLEWARE}" first in MIDDLEWARE.',
        )
    ]


@register
def check_middleware_is_first(**kwargs: Any) -> list[CheckMessage]:
    """W002: ``MetricsMiddleware`` is first, so that it sees every request and all of it."""
    places = _places()
    if not conf.config().enabled or not places or places[0] == 1:
        return []
    return [
        warning(
            "W002",
            f"MetricsMiddleware is number {places[0]} in `MIDDLEWARE`: requests answered "
            "by those before it are not measured.",
            f'Put "{MIDDLEWARE}" first in MIDDLEWARE.',
        )
    ]


@register
def check_middleware_is_installed_once(**kwargs: Any) -> list[CheckMessage]:
    """W006: ``MetricsMiddleware`` is there once, so that requests are counted once."""
    places = _places()
    if not conf.config().enabled or len(places) < 2:
        return []
    return [
        warning(
            "W006",
            f"MetricsMiddleware is in `MIDDLEWARE` {len(places)} times, and counts each "
            "request as many times.",
            "Keep the first.",
        )
    ]


def _places() -> list[int]:
    """Return where in ``MIDDLEWARE`` ours stands, counted from 1."""
    return [place for place, path in enumerate(conf.middleware(), 1) if _is_ours(path)]


def _is_ours(dotted_path: str) -> bool:
    if dotted_path == MIDDLEWARE:
        return True
    try:
        imported = import_string(dotted_path)
    except Exception:
        # Django itself tells what is wrong with it, once it loads it.
        return False
    return isinstance(imported, type) and issubclass(imported, MetricsMiddleware)


@register
def check_path_shadows_no_view(**kwargs: Any) -> list[CheckMessage]:
    """W003: the project has no page of its own at ``PATH``, which would never be shown."""
    config = conf.config()
    if not config.enabled or config.path is None or not _places():
        return []
    try:
        match = resolve(config.path, conf.root_urlconf())
    except Exception:
        # No route, or a URLconf that cannot be imported, which Django reports.
        return []
    if match.func is views.metrics:
        return []
    return [
        warning(
            "W003",
            f"`PATH`, {config.path!r}, is also a route of the project's URLconf "
            f"({match.route!r}, {match.view_name}); the middleware answers it first.",
            "Set PATH to another path, or to None to serve the page by the URLconf only.",
        )
    ]


@register
def check_routes_have_room(**kwargs: Any) -> list[CheckMessage]:
    """W014: the URLconf has no more routes than ``MAX_SERIES`` leaves room for."""
    config = conf.config()
    shown = [bound for bound in METRICS.all_bound() if bound.is_on and _has_path(bound.shape)]
    if not config.enabled or not shown or not _places():
        return []
    try:
        paths = len(path_labels(conf.root_urlconf()))
    except Exception:
        # A URLconf that cannot be imported, which Django reports.
        return []
    if paths < config.max_series:
        return []
    return [
        warning(
            "W014",
            f"The URLconf has {paths} routes, and `MAX_SERIES` is {config.max_series}: a process "
            'that has answered so many counts all others as `path="overflow"`.',
            f"Set MAX_SERIES to {_room_for(paths)}, which leaves room for some methods and "
            "statuses of each route, or use LABELS to leave `path` out of metrics.",
        )
    ]


def _has_path(shape: Shape) -> bool:
    return catalogue.PATH.name in shape.label_names


def _room_for(paths: int) -> int:
    """Return four times as many, in thousands."""
    return math.ceil(4 * paths / 1000) * 1000


@register
def check_names_are_free(**kwargs: Any) -> list[CheckMessage]:
    """W004: no metric of the project's has the name of a family of ours."""
    return [
        warning(
            "W004",
            f"`{bound.shape.full_name}` is the name of a metric of the project's, "
            f"{owner!r}; our family of that name is left out of the page.",
            "Set `NAMESPACE` to have both, or add the family to `DISABLED_METRICS`.",
        )
        for bound in METRICS.all_bound()
        if bound.is_on and (owner := METRICS.owner(bound)) is not None
    ]


@register
def check_databases_exist(**kwargs: Any) -> list[CheckMessage]:
    """W010: ``INSTRUMENT_DATABASES`` lists aliases of ``DATABASES``."""
    wanted = conf.config().instrument_databases
    return _unknown_aliases("W010", "DATABASES", wanted, connections.settings)


@register
def check_caches_exist(**kwargs: Any) -> list[CheckMessage]:
    """W011: ``INSTRUMENT_CACHES`` lists aliases of ``CACHES``."""
    wanted = conf.config().instrument_caches
    return _unknown_aliases("W011", "CACHES", wanted, caches.settings)


def _unknown_aliases(
    id: str, setting: str, wanted: bool | tuple[str, ...], aliases: Collection[str]
) -> list[CheckMessage]:
    return [
        warning(
            id,
            f"`INSTRUMENT_{setting}` should list aliases of `{setting}`; got {alias!r}.",
            conf.did_you_mean(alias, aliases),
        )
        for alias in (() if isinstance(wanted, bool) else wanted)
        if alias not in aliases
    ]


@register
def check_permission(**kwargs: Any) -> list[CheckMessage]:
    """E013: ``PERMISSION`` leads to a callable that is no coroutine function."""
    path = conf.config().permission
    trouble = "" if path is None else _trouble_with(path)
    if not trouble:
        return []
    return [
        error(
            "E013",
            f"`PERMISSION` should name a callable that is no coroutine function; it is {path!r}, "
            f"{trouble}.",
            "Write a function that takes the request and returns True or False.",
        )
    ]


@register(Tags.security, deploy=True)
def check_page_is_not_open(**kwargs: Any) -> list[CheckMessage]:
    """W012: ``ALLOWED_NETWORKS`` does not open the page to everybody."""
    config = conf.config()
    is_open = "*" in config.allowed_networks and not config.tokens and config.permission is None
    if not is_open or not config.enabled:
        return []
    return [
        warning(
            "W012",
            "`ALLOWED_NETWORKS` should not have `*` by itself: whoever reaches the service can "
            "read its metrics.",
            "Name networks, or set `TOKENS`.",
        )
    ]


_SHORTEST_TOKEN = 16


@register(Tags.security, deploy=True)
def check_tokens_are_long(**kwargs: Any) -> list[CheckMessage]:
    """W013: nobody guesses a token, for each has at least 16 characters."""
    tokens = conf.config().tokens
    short = [one for one in tokens if not one.startswith("file:") and len(one) < _SHORTEST_TOKEN]
    if not short:
        return []
    return [
        warning(
            "W013",
            f"`TOKENS` should be of at least {_SHORTEST_TOKEN} characters; {len(short)} of "
            f"{len(tokens)} are shorter.",
            "Make one with `python -c 'import secrets; print(secrets.token_urlsafe())'`.",
        )
    ]


@register
def check_business_metrics(**kwargs: Any) -> list[CheckMessage]:
    """E011: what ``BUSINESS_METRICS`` declares can be counted."""
    return [
        error(
            "E011",
            f"`BUSINESS_METRICS` should declare what can be counted; of `{family.name}`, {why}",
            "Correct the declaration, or remove it.",
        )
        for family in declared()
        for why in obstacles(family)
    ]


_CACHES_OF_ONE_PROCESS = (LocMemCache, DummyCache)


@register
def check_business_store(**kwargs: Any) -> list[CheckMessage]:
    """E012: where ``BUSINESS_STORE`` is ``cache``, ``default`` is one that processes share."""
    config = conf.config()
    if not config.business_metrics or config.business_store != "cache":
        return []
    backend = import_string(caches.settings[DEFAULT_CACHE_ALIAS]["BACKEND"])
    if not issubclass(backend, _CACHES_OF_ONE_PROCESS):
        return []
    return [
        error(
            "E012",
            f'`BUSINESS_STORE` should be "database" with this cache: what {backend.__name__} '
            "keeps, no other process sees.",
            "Leave it out, or have a cache that is shared as `default`.",
        )
    ]


@register
def check_store_can_be_had(**kwargs: Any) -> list[CheckMessage]:
    """W008: the processes of the service can have a directory to share values in."""
    obstacle = STORE.obstacle()
    if obstacle is None:
        return []
    return [
        warning(
            "W008",
            f"`STORE_DIR` should be a directory that this service can have for itself: {obstacle} "
            "Each process shows its own values alone.",
            'Leave it at "auto", or set it to the path of a directory that is to be made.',
        )
    ]


@register
def check_stock_mode_is_not_set_up(**kwargs: Any) -> list[CheckMessage]:
    """W009: ``PROMETHEUS_MULTIPROC_DIR`` is not set, for it has no effect."""
    names = [name for name in STOCK_MODE_VARIABLES if name in os.environ]
    if not names or not conf.config().enabled:
        return []
    return [
        warning(
            "W009",
            f"{names[0]} is set, and has no effect: all processes share their values without it.",
            "Remove it from the environment, and the server's hooks that belong to it.",
        )
    ]
