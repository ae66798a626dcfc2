"""System checks: wrong settings are found at start-up, by name, with the remedy.

Errors are E001 to E019 (keys and names) and E101 to E199 (one per setting, declared with
it in ``conf``); warnings are W001 to W019.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.checks import CheckMessage, Error, Warning, register
from django.urls import resolve
from django.utils.module_loading import import_string

from tachikoma_metrics import catalogue, conf, views
from tachikoma_metrics.definitions import Histogram
from tachikoma_metrics.middleware import MetricsMiddleware
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.registry.metrics import possible_labels

MIDDLEWARE = "tachikoma_metrics.middleware.MetricsMiddleware"
HISTOGRAMS = tuple(n for n, family in catalogue.FAMILIES.items() if isinstance(family, Histogram))
OPT_IN = tuple(name for name, family in catalogue.FAMILIES.items() if family.opt_in)


def error(id: str, message: str, hint: str) -> Error:
    """Return an error with an id of this app's."""
    return Error(message, hint=hint, id=f"tachikoma_metrics.{id}")


def warning(id: str, message: str, hint: str) -> Warning:
    """Return a warning with an id of this app's."""
    return Warning(message, hint=hint, id=f"tachikoma_metrics.{id}")


def did_you_mean(name: object, possible: Collection[str]) -> str:
    """Return a hint that names the likeliest of the ``possible`` names, or all."""
    for match in difflib.get_close_matches(str(name), possible, n=1):
        return f"Did you mean `{match}`?"
    return f"Choose from: {', '.join(sorted(possible)) or 'nothing, none is defined'}."


@register
def check_is_mapping(**kwargs: Any) -> list[CheckMessage]:
    """E001: the setting as a whole is a mapping."""
    declared = conf.declared()
    if isinstance(declared, Mapping):
        return []
    return [
        error(
            "E001",
            f"`{conf.NAME}` should be a dictionary; got {declared!r}.",
            f'Write it like {conf.NAME} = {{"NAMESPACE": "shop"}}.',
        )
    ]


@register
def check_keys(**kwargs: Any) -> list[CheckMessage]:
    """E002: every key is one we know."""
    declared = conf.declared()
    keys = declared if isinstance(declared, Mapping) else {}
    return [
        error(
            "E002",
            f"`{conf.NAME}` has an unknown key, {key!r}.",
            did_you_mean(str(key).upper(), conf.SETTINGS),
        )
        for key in keys
        if key not in conf.SETTINGS
    ]


@register
def check_values(**kwargs: Any) -> list[CheckMessage]:
    """E101 to E127: each value meets the rule of its setting."""
    return [
        error(fault.setting.id, fault.message, fault.setting.rule.hint)
        for fault in conf.config().faults
    ]


@register
def check_family_names(**kwargs: Any) -> list[CheckMessage]:
    """E003: families named in settings are in the catalogue and of the right kind."""
    config = conf.config()
    named: list[tuple[str, Iterable[str], Sequence[str]]] = [
        ("BUCKETS", config.buckets, HISTOGRAMS),
        ("LABELS", config.labels, tuple(catalogue.FAMILIES)),
        ("EXTRA_METRICS", config.extra_metrics, OPT_IN),
        ("DISABLED_METRICS", config.disabled_metrics, tuple(catalogue.FAMILIES)),
    ]
    return [
        error(
            "E003",
            f"`{key}` should name families that it applies to; got {name!r}.",
            did_you_mean(name, possible),
        )
        for key, names, possible in named
        for name in names
        if name not in possible
    ]


@register
def check_label_names(**kwargs: Any) -> list[CheckMessage]:
    """E004: ``LABELS`` asks a family for labels that can be filled in."""
    config = conf.config()
    return [
        error(
            "E004",
            f"`LABELS` should give `{name}` labels it can have; got {label!r}.",
            did_you_mean(label, possible_labels(catalogue.FAMILIES[name], config)),
        )
        for name, labels in config.labels.items()
        if name in catalogue.FAMILIES
        for label in labels
        if label not in possible_labels(catalogue.FAMILIES[name], config)
    ]


@register
def check_global_labels(**kwargs: Any) -> list[CheckMessage]:
    """E005: no global label has the name of a family's own label."""
    names = conf.config().global_label_names
    return [
        error(
            "E005",
            f"`GLOBAL_LABELS` should not name a label that a family has; got {label!r}, "
            f"which `{bound.shape.full_name}` has.",
            "Rename the global label, or drop the family's with `LABELS`.",
        )
        for bound in METRICS.all_bound()
        for label in bound.shape.label_names
        if bound.is_on and label in names
    ]


@register
def check_extra_labels(**kwargs: Any) -> list[CheckMessage]:
    """E006: each dotted path in ``EXTRA_LABELS`` leads to a plain callable."""
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
    """E007: no extra label has the name of a label that a family can have anyway."""
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
def check_middleware_is_installed(**kwargs: Any) -> list[CheckMessage]:
    """W001: the middleware is there."""
    if not conf.config().enabled or any(map(_is_ours, conf.middleware())):
        return []
    return [
        warning(
            "W001",
            "`MIDDLEWARE` has no MetricsMiddleware: HTTP requests are not measured and "
            "`PATH` is not served.",
            f'Put "{MIDDLEWARE}" first in MIDDLEWARE.',
        )
    ]


@register
def check_middleware_is_first(**kwargs: Any) -> list[CheckMessage]:
    """W002: the middleware is first, so that it sees every request and all of it."""
    places = [place for place, path in enumerate(conf.middleware()) if _is_ours(path)]
    if not places or places[0] == 0:
        return []
    return [
        warning(
            "W002",
            f"MetricsMiddleware is number {places[0] + 1} in `MIDDLEWARE`: requests "
            "answered by those before it are not measured.",
            f'Put "{MIDDLEWARE}" first in MIDDLEWARE.',
        )
    ]


@register
def check_middleware_is_installed_once(**kwargs: Any) -> list[CheckMessage]:
    """W006: the middleware is there once, so that requests are counted once."""
    if sum(map(_is_ours, conf.middleware())) < 2:
        return []
    return [
        warning(
            "W006",
            "MetricsMiddleware is in `MIDDLEWARE` more than once: each request is "
            "counted as often.",
            "Keep the first.",
        )
    ]


def _is_ours(dotted_path: str) -> bool:
    if dotted_path == MIDDLEWARE:
        return True
    try:
        imported = import_string(dotted_path)
    except ImportError:
        return False
    return isinstance(imported, type) and issubclass(imported, MetricsMiddleware)


@register
def check_path_shadows_no_view(**kwargs: Any) -> list[CheckMessage]:
    """W003: the URLconf has no page of the project's at ``PATH``."""
    config = conf.config()
    if not config.enabled or config.path is None or not any(map(_is_ours, conf.middleware())):
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
def check_names_are_free(**kwargs: Any) -> list[CheckMessage]:
    """W004: no collector of the project's has the name of one of our families."""
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
def check_settings_are_acted_on(**kwargs: Any) -> list[CheckMessage]:
    """W005: no setting is set that nothing comes of yet."""
    declared = conf.declared()
    keys = declared if isinstance(declared, Mapping) else {}
    return [
        warning(
            "W005",
            f"`{setting.key}` is reserved: this version does not act on it.",
            "Remove it, and do not rely on it.",
        )
        for setting in conf.SETTINGS.values()
        if setting.key in keys and not setting.acted_on
    ]
