"""System checks: wrong settings are found at start-up, by name, with the remedy.

Errors are E001 to E019 (keys and names) and E101 to E199 (one per setting, declared with
it in ``conf``); warnings are W001 to W029.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from inspect import unwrap
from ipaddress import collapse_addresses, ip_network
from typing import Any, NamedTuple

from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections
from django.urls import ResolverMatch, get_resolver, resolve
from django.utils.module_loading import import_string

from tachikoma_metrics import business, catalogue, conf, views
from tachikoma_metrics.business.callables import is_coroutine_function, signature_error
from tachikoma_metrics.business.declarations import CATALOGUED, declared
from tachikoma_metrics.business.validation import problems
from tachikoma_metrics.catalogue.definitions import Histogram
from tachikoma_metrics.conf import Config
from tachikoma_metrics.conf.validators import AT_UNIX_SOCKET
from tachikoma_metrics.http.routes import path_labels
from tachikoma_metrics.middleware import MetricsMiddleware
from tachikoma_metrics.page import bearer_tokens
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.registry.metrics import Shape, possible_labels
from tachikoma_metrics.store import STORE, Exposed
from tachikoma_metrics.websocket import static_analysis

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
    named = conf.config().buckets
    return _unknown_names("E003", "BUCKETS", "histograms", named, HISTOGRAMS, _histogram_hint)


def _histogram_hint(name: str, possible: Collection[str]) -> str:
    family = catalogue.FAMILIES.get(name)
    if family is None:
        return conf.did_you_mean(name, possible)
    return f"`{name}` is a {type(family).__name__.lower()}, which has no buckets: remove it."


@register
def check_labelled_names(**kwargs: Any) -> list[CheckMessage]:
    """E008: every name in ``LABELS`` is that of a family, and not of the app's own health."""
    named = conf.config().labels
    return _unknown_names("E008", "LABELS", "families", named, LABELLED, _labelled_hint)


def _labelled_hint(name: str, possible: Collection[str]) -> str:
    if name in catalogue.FAMILIES:
        return "It tells of the app's own health, and its labels cannot be changed: remove it."
    return conf.did_you_mean(name, possible)


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
            _label_hint(name, label, possible_labels(catalogue.FAMILIES[name], config)),
        )
        for name, labels in config.labels.items()
        if name in LABELLED
        for label in labels
        if label not in possible_labels(catalogue.FAMILIES[name], config)
    ]


def _label_hint(name: str, label: str, possible: Collection[str]) -> str:
    hint = conf.did_you_mean(label, possible)
    if name not in catalogue.RECORDED_BY_REQUESTS:
        return hint
    return f"{hint} Or define it in `EXTRA_LABELS`."


@register
def check_global_labels(**kwargs: Any) -> list[CheckMessage]:
    """E005: none of ``GLOBAL_LABELS`` has the name of a family's own label."""
    names = conf.config().global_label_names
    owners: dict[str, list[Owner]] = {}
    for owner in (*_owners_in_catalogue(), *_owners_in_business()):
        for label in owner.labels:
            if label in names:
                owners.setdefault(label, []).append(owner)
    return [_taken_label(label, named) for label, named in owners.items()]


class Owner(NamedTuple):
    """A family with labels of its own, and what may be done to rid it of one."""

    name: str
    labels: Collection[str]
    remedy: str


def _owners_in_catalogue() -> Iterator[Owner]:
    for bound in METRICS.all_bound():
        if bound.is_on:
            remedy = "" if bound.family.is_own_health else ", or drop the family's with `LABELS`"
            yield Owner(bound.shape.full_name, bound.shape.label_names, remedy)


def _owners_in_business() -> Iterator[Owner]:
    catalogued = {gauge.name for gauge in CATALOGUED}
    for family in declared():
        if family.name not in catalogued:
            remedy = ", or the family's in `BUSINESS_METRICS`"
            yield Owner(family.name, family.labels, remedy)


def _taken_label(label: str, owners: list[Owner]) -> CheckMessage:
    others = f" and {len(owners) - 1} more" if len(owners) > 1 else ""
    remedies = {owner.remedy for owner in owners}
    return error(
        "E005",
        f"`GLOBAL_LABELS` should not name a label that a family has; got {label!r}, "
        f"which `{owners[0].name}`{others} has.".replace("more has", "more have"),
        f"Rename the global label{remedies.pop() if len(remedies) == 1 else ''}.",
    )


@register
def check_extra_labels(**kwargs: Any) -> list[CheckMessage]:
    """E006: each path in ``EXTRA_LABELS`` leads to a plain function of the request."""
    return [
        error(
            "E006",
            f'`EXTRA_LABELS["{label}"]` is {dotted_path!r}, {trouble}.',
            "Write a function that takes the request and returns the label's value, and name its "
            "dotted path.",
        )
        for label, dotted_path in conf.config().extra_labels.items()
        if (trouble := _trouble_with_request_to(dotted_path))
    ]


def _trouble_with_request_to(dotted_path: str) -> str:
    """Return why what the path leads to cannot be called with a request."""
    trouble = _trouble_with(dotted_path)
    if trouble:
        return trouble
    reason = signature_error(import_string(dotted_path), object())
    return reason and f"which cannot be called with the request alone: {reason}"


def _trouble_with(dotted_path: str) -> str:
    try:
        imported = import_string(dotted_path)
    except Exception as trouble:
        return f"which cannot be imported: {str(trouble).rstrip('.')}"
    if not callable(imported):
        return "which is not callable"
    return (
        "which is a coroutine function, and cannot be awaited here"
        if is_coroutine_function(imported)
        else ""
    )


@register
def check_extra_label_names(**kwargs: Any) -> list[CheckMessage]:
    """E007: none of ``EXTRA_LABELS`` has the name of a label that a family can have anyway."""
    config = conf.config()
    offered = {
        label
        for name in catalogue.RECORDED_BY_REQUESTS
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
    trouble = next(map(_trouble_with_ours, filter(_is_meant_to_be_ours, conf.middleware())), "")
    return [
        warning(
            "W001",
            f"`MIDDLEWARE` has {trouble or 'no MetricsMiddleware'}: HTTP requests are not "
            "measured, and only the URLconf can serve the page.",
            f'Put "{MIDDLEWARE}" first in MIDDLEWARE.',
        )
    ]


def _is_meant_to_be_ours(dotted_path: str) -> bool:
    is_near = difflib.get_close_matches(dotted_path, [MIDDLEWARE], cutoff=0.8)
    return bool(is_near) or "tachikoma_metrics" in dotted_path.replace("-", "_")


def _trouble_with_ours(dotted_path: str) -> str:
    trouble = _trouble_with(dotted_path) or "which is not MetricsMiddleware"
    return f"{dotted_path!r}, {trouble}"


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
            _remedy_for(match),
        )
    ]


def _remedy_for(match: ResolverMatch) -> str:
    if match.url_name == "prometheus-django-metrics":
        return (
            'Remove `include("django_prometheus.urls")` from the URLconf: the middleware shows the '
            "metrics of django-prometheus, too."
        )
    return "Set PATH to another path, or to None to serve the page by the URLconf only."


@register
def check_page_has_a_route(**kwargs: Any) -> list[CheckMessage]:
    """W020: where ``PATH`` is None, the URLconf serves the page, or a Celery worker does."""
    config = conf.config()
    if not config.enabled or config.path is not None or config.worker_port is not None:
        return []
    try:
        is_served = _serves_page(get_resolver(conf.root_urlconf()).url_patterns)
    except Exception:
        # The URLconf cannot be imported, which Django reports.
        return []
    if is_served:
        return []
    return [
        warning(
            "W020",
            "`PATH` is None, and the URLconf has no route to the page: nothing serves the metrics.",
            'Add `path("metrics", include("tachikoma_metrics.urls"))` to the URLconf, or set PATH '
            'to a path such as "/metrics".',
        )
    ]


def _serves_page(patterns: Iterable[Any]) -> bool:
    return any(
        _serves_page(pattern.url_patterns)
        if hasattr(pattern, "url_patterns")
        else unwrap(pattern.callback) is unwrap(views.metrics)
        for pattern in patterns
    )


@register
def check_routes_have_room(**kwargs: Any) -> list[CheckMessage]:
    """W014: the URLconf has no more routes than ``CARDINALITY_LIMIT`` leaves room for."""
    config = conf.config()
    shown = [bound for bound in METRICS.all_bound() if bound.is_on and _has_path(bound.shape)]
    if not config.enabled or not shown or not _places():
        return []
    try:
        paths = len(path_labels(conf.root_urlconf()))
    except Exception:
        # A URLconf that cannot be imported, which Django reports.
        return []
    if paths < config.cardinality_limit:
        return []
    return [
        warning(
            "W014",
            f"The URLconf has {paths} routes, and `CARDINALITY_LIMIT` is "
            f"{config.cardinality_limit}: a process "
            'that has answered so many counts all others as `path="overflow"`.',
            f"Set CARDINALITY_LIMIT to {_room_for(paths)}, which leaves room for some methods and "
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
    """E013: ``PERMISSION`` leads to a plain function of the request."""
    path = conf.config().permission
    trouble = "" if path is None else _trouble_with_request_to(path)
    if not trouble:
        return []
    return [
        error(
            "E013",
            f"`PERMISSION` is {path!r}, {trouble}.",
            "Write a function that takes the request and returns True or False, and name its "
            "dotted path.",
        )
    ]


@register(Tags.security, deploy=True)
def check_page_is_not_open(**kwargs: Any) -> list[CheckMessage]:
    """W012: ``ALLOWED_NETWORKS`` does not open the page to everybody."""
    if not is_open(conf.config()):
        return []
    return [
        warning(
            "W012",
            "`ALLOWED_NETWORKS` should not be open to all by itself: whoever reaches the service "
            "can read its metrics.",
            "Name smaller networks, or set `TOKENS`.",
        )
    ]


_LARGEST_PREFIX_OF_ALL = 3
"""A network of so few bits is an eighth of all addresses, or more."""


def is_open(config: Config) -> bool:
    """Tell whether anybody may read the page: by network alone, and by all networks."""
    if not config.enabled or config.tokens or config.permission is not None:
        return False
    if "*" in config.allowed_networks:
        return True
    words = ("private", AT_UNIX_SOCKET)
    named = [ip_network(one) for one in config.allowed_networks if not one.startswith(words)]
    by_version = [[one for one in named if one.version == version] for version in (4, 6)]
    together: list[Any] = [one for nets in by_version for one in collapse_addresses(nets)]  # type: ignore[type-var]
    return any(one.prefixlen <= _LARGEST_PREFIX_OF_ALL for one in together)


_SHORTEST_TOKEN = 16


@register(Tags.security, deploy=True)
def check_tokens_are_long(**kwargs: Any) -> list[CheckMessage]:
    """W013: nobody guesses a token, for each has at least 16 characters."""
    tokens = bearer_tokens.readable(conf.config())
    short = [one for one in tokens if len(one) < _SHORTEST_TOKEN]
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


@register(Tags.security)
def check_files_of_tokens(**kwargs: Any) -> list[CheckMessage]:
    """W021: each file that ``TOKENS`` names can be read, and has a token."""
    return [
        warning(
            "W021",
            f"`TOKENS` names a file of which no token can be had: {why}.",
            "Make it readable for the user that the service runs as, with a token in each line; "
            "until then its tokens are refused (401).",
        )
        for why in bearer_tokens.unreadable(conf.config())
    ]


@register(Tags.security)
def check_tokens_can_be_sent(**kwargs: Any) -> list[CheckMessage]:
    """W022: tokens have printable ASCII characters and no spaces, as a header can carry."""
    config = conf.config()
    number = bearer_tokens.unsendable(config)
    if not number:
        return []
    return [
        warning(
            "W022",
            f"`TOKENS` should be of letters, digits and signs of ASCII, without spaces; {number} "
            f"of {len(bearer_tokens.readable(config))} can never arrive as written (401).",
            _remedy_for_tokens(bearer_tokens.readable(config)),
        )
    ]


def _remedy_for_tokens(tokens: Iterable[str]) -> str:
    if any(token.lower().startswith("bearer ") for token in tokens):
        return (
            'Leave out "Bearer": it is not part of the token, and stands before it in the header '
            "alone."
        )
    return "Make one with `python -c 'import secrets; print(secrets.token_urlsafe())'`."


@register
def check_business_metrics(**kwargs: Any) -> list[CheckMessage]:
    """E011: what ``BUSINESS_METRICS`` declares can be counted."""
    return [
        error(
            "E011",
            f"`BUSINESS_METRICS` should declare what can be counted; of `{family.name}`, "
            f"{problem.message}",
            problem.hint,
        )
        for family in declared()
        for problem in problems(family)
    ]


@register
def check_counts_live_until_the_next(**kwargs: Any) -> list[CheckMessage]:
    """W026: ``BUSINESS_MAX_AGE`` is longer than ``BUSINESS_INTERVAL``, so that counts stay."""
    config = conf.config()
    if not config.has_business_metrics or config.business_lifetime > config.business_interval:
        return []
    return [
        warning(
            "W026",
            "`BUSINESS_MAX_AGE` should be longer than `BUSINESS_INTERVAL`, which is "
            f"{config.business_interval:g} seconds; got {config.business_lifetime:g}: the counts "
            "vanish before each refresh.",
            "Leave it out, which makes it ten intervals, or set it to several of them.",
        )
    ]


@register(Tags.database)
def check_snapshot_has_a_table(
    databases: Collection[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """W023: where ``BUSINESS_METRICS`` are kept in the database, it has been migrated.

    Only `manage.py check --database ALIAS` and `manage.py metrics_doctor` look.
    """
    # migrate itself looks before it begins.
    alias = None if conf.is_migrating() else business.lacks_table(databases or ())
    if alias is None:
        return []
    return [
        warning(
            "W023",
            f"`BUSINESS_METRICS` are kept in the database {alias!r}, which lacks the table "
            "for them.",
            "Run `manage.py migrate`.",
        )
    ]


_CACHES_OF_ONE_PROCESS = (LocMemCache, DummyCache)


@register
def check_business_store(**kwargs: Any) -> list[CheckMessage]:
    """E012: where ``BUSINESS_STORE`` is ``cache``, ``default`` is one that processes share."""
    config = conf.config()
    if not config.has_business_metrics or config.business_store != "cache":
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
    is_shared = isinstance(obstacle, Exposed)
    outcome = (
        ""
        if is_shared
        else " A process that is alone shows its own values; where a server has several, each "
        "answers scrapes with 503."
    )
    return [
        warning(
            "W008",
            "`STORE_DIR` should be a directory that this service can have for itself: "
            f"{obstacle}{outcome}",
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


@register
def check_settings_have_the_right_name(**kwargs: Any) -> list[CheckMessage]:
    """W024: no setting has a name that is nearly ``TACHIKOMA_METRICS``, and has no effect."""
    return [
        warning(
            "W024",
            f"The setting `{name}` has no effect: all settings are keys of `{conf.NAME}`.",
            _remedy_for_setting(name),
        )
        for name in conf.names_of_settings()
        if name != conf.NAME and _is_nearly_ours(name.upper())
    ]


def _is_nearly_ours(name: str) -> bool:
    if name.startswith(f"{conf.NAME}_"):
        declared = conf.declared()
        # A name that only helps to write the dictionary has its effect there.
        return not (isinstance(declared, Mapping) and _key_of(name) in declared)
    return bool(difflib.get_close_matches(name, [conf.NAME], cutoff=0.9))


def _key_of(name: str) -> str:
    """Return the key that a setting's name with ours before it stands for; "" if none does."""
    key = name.upper().removeprefix(f"{conf.NAME}_")
    return next(iter(difflib.get_close_matches(key, conf.SETTINGS, n=1, cutoff=0.7)), "")


def _remedy_for_setting(name: str) -> str:
    key = _key_of(name)
    if name.upper().startswith(f"{conf.NAME}_") and key:
        return f'Write {conf.NAME} = {{"{key}": ...}}.'
    return f"Did you mean `{conf.NAME}`? Rename it."


@register
def check_websockets_are_measured(**kwargs: Any) -> list[CheckMessage]:
    """W025: an ASGI application that routes WebSockets is wrapped, so that they are measured."""
    if not conf.config().enabled:
        return []
    return [
        warning(
            "W025",
            f"`{module}` routes WebSockets, and nothing there wraps them: they are not measured.",
            "Write `application = WebSocketMetricsMiddleware(ProtocolTypeRouter({...}))`, with the "
            "class from `tachikoma_metrics.asgi`.",
        )
        for module in conf.asgi_modules()
        if static_analysis.bypasses_middleware(module)
    ]
