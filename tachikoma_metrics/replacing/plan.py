"""What to change in a project that uses django-prometheus, in order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.loader import MigrationLoader

from tachikoma_metrics import conf
from tachikoma_metrics.catalogue.views import VIEWS
from tachikoma_metrics.checks.middleware import MIDDLEWARE, positions
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.replacing import incumbent
from tachikoma_metrics.replacing.source_steps import source_steps
from tachikoma_metrics.replacing.step import (
    CHANGE,
    DONE,
    INSTALL,
    KEEP,
    LOST,
    NONE,
    REMOVE,
    SWITCH,
    VERIFY,
    VIEW,
    Step,
)

NAME = "django-prometheus"

_APP = "tachikoma_metrics"
_PLAIN_PATH = re.compile(r"/[\w/.-]*")
_TEMPLATES = "http_responses_by_template_total"
_MIGRATIONS = ("migrations_unapplied", "migrations_applied")

_OBSOLETE: Mapping[str, str] = {
    "PROMETHEUS_EXPORT_MIGRATIONS": "EXTRA_METRICS takes its place",
    "PROMETHEUS_METRICS_EXPORT_PORT": "the web server serves the metrics, at PATH",
    "PROMETHEUS_METRICS_EXPORT_PORT_RANGE": "the web server serves the metrics, at PATH",
    "PROMETHEUS_METRICS_EXPORT_ADDRESS": "the web server serves the metrics, at PATH",
}
_HONOURED = ("PROMETHEUS_METRIC_NAMESPACE", "PROMETHEUS_LATENCY_BUCKETS")
_NOTHING_LEFT = "It has nothing of django-prometheus."
_PORTS = ("PROMETHEUS_METRICS_EXPORT_PORT_RANGE", "PROMETHEUS_METRICS_EXPORT_PORT")


def steps() -> Iterator[Step]:
    """Yield all steps, those that are done included. Nothing is changed."""
    yield from _install()
    yield from _view()
    yield _verify()
    yield from _switch()
    yield from _remove()
    for metric, reason in VIEWS[NAME].missing.items():
        # Those of models stay: the mixin counts them.
        if not metric.startswith("django_model_"):
            yield Step(LOST, NONE, metric, reason)


def _verify() -> Step:
    if not any(map(incumbent.is_middleware, conf.middleware())):
        return Step(VERIFY, DONE, "service", "No middleware of django-prometheus counts requests.")
    return Step(
        VERIFY,
        CHANGE,
        "service",
        "Compare what both have counted. The command must run on the host, or in the container, of "
        "the web server.",
        "python manage.py metrics_migrate --compare",
    )


# --- install and view ---------------------------------------------------------


def _install() -> Iterator[Step]:
    yield _app()
    first = conf.middleware()[:1]
    if positions()[:1] == [1]:
        yield Step(INSTALL, DONE, "MIDDLEWARE", "MetricsMiddleware is first.")
    else:
        yield Step(
            INSTALL,
            CHANGE,
            "MIDDLEWARE",
            f"MetricsMiddleware must be first, before {first[0]}."
            if first
            else "MetricsMiddleware must be first.",
            _assigned("MIDDLEWARE", _with_ours_first(conf.middleware())),
        )
    yield _migrate()


def _app() -> Step:
    apps = list(conf.value_of("INSTALLED_APPS", ()))
    mine = [name for name in apps if name.partition(".")[0] == _APP]
    before = apps[: apps.index(mine[0])] if mine else []
    if not any(map(incumbent.is_installed_app, before)):
        return Step(INSTALL, DONE, "INSTALLED_APPS", f'It has "{_APP}".')
    return Step(
        INSTALL,
        CHANGE,
        "INSTALLED_APPS",
        f'"{mine[0]}" must be before "{incumbent.PACKAGE}", so that both count the queries at '
        "startup.",
        _assigned("INSTALLED_APPS", [*mine, *(name for name in apps if name not in mine)]),
    )


def _migrate() -> Step:
    try:
        loader = MigrationLoader(connections[DEFAULT_DB_ALIAS])
        is_applied = set(loader.graph.leaf_nodes(_APP)) <= set(loader.applied_migrations)
    except Exception as error:
        pass_on(error)
        # The database does not answer, or is none.
        is_applied = False
    if is_applied:
        return Step(INSTALL, DONE, "database", f"The migrations of {_APP} are applied.")
    return Step(
        INSTALL,
        CHANGE,
        "database",
        "Until then, an alert on unapplied migrations fires.",
        f"python manage.py migrate {_APP}",
    )


def _view() -> Iterator[Step]:
    config = conf.config()
    wanted = [_TEMPLATES]
    if conf.value_of("PROMETHEUS_EXPORT_MIGRATIONS", False):
        wanted += _MIGRATIONS
    yield _listed(
        "VIEWS", config.views, [NAME], "They are derived from the values of tachikoma_metrics."
    )
    yield _listed(
        "EXTRA_METRICS",
        config.extra_metrics,
        wanted,
        "The view derives metrics from these"
        + (
            "; `manage.py refresh_business_metrics` counts the migrations, on a schedule."
            if _MIGRATIONS[0] in wanted
            else "."
        ),
    )
    yield from _paths()
    yield from _ports()
    for name in _HONOURED:
        if conf.value_of(name) is not None:
            yield Step(VIEW, KEEP, name, "The view honours it, and so does the mixin of models.")


def _listed(key: str, present: Sequence[str], wanted: Sequence[str], why: str) -> Step:
    if set(wanted) <= set(present):
        return Step(VIEW, DONE, f"{conf.NAME}: {key}", why)
    names = list(dict.fromkeys([*present, *wanted]))
    return Step(VIEW, CHANGE, f"{conf.NAME}: {key}", why, _entry(key, names))


def _paths() -> Iterator[Step]:
    """Yield where Prometheus finds the metrics, if it scrapes the URLconf now."""
    path = conf.config().path
    routes = incumbent.routes()
    if not routes:
        return
    if path in routes:
        yield Step(
            VIEW,
            DONE,
            f"{conf.NAME}: PATH",
            f"Prometheus scrapes {path} as before: the middleware answers there, with the metrics "
            "of both packages, summed over all processes.",
        )
    elif _PLAIN_PATH.fullmatch(routes[0]):
        other = path or "the route of tachikoma_metrics"
        yield Step(
            VIEW,
            CHANGE,
            f"{conf.NAME}: PATH",
            f"Prometheus scrapes {routes[0]}, and must find the metrics of all processes there "
            f"from the next start on: django-prometheus's own endpoint {_of_endpoint()}. Or let "
            f"it scrape {other} instead, but never both: it would have each series twice.",
            _entry("PATH", routes[0]),
        )


def _of_endpoint() -> str:
    if incumbent.environment_variables():
        return "is empty then, as the values are no longer in the files of the multi-process mode"
    return "has those of one process only"


def _ports() -> Iterator[Step]:
    used = [name for name in _PORTS if conf.value_of(name)]
    if used:
        yield Step(
            VIEW,
            CHANGE,
            "prometheus.yml",
            f"Prometheus must scrape the port of the web server, in place of the ports of "
            f"{used[0]}: one target has the totals of all processes. A Celery worker serves them "
            "at WORKER_PORT.",
            f"metrics_path: {_future_path()}",
        )


def _future_path() -> str:
    """Return the path at which the metrics are once the steps before are done."""
    path = conf.config().path or "/metrics"
    routes = incumbent.routes()
    if not routes or path in routes or not _PLAIN_PATH.fullmatch(routes[0]):
        return path
    return routes[0]


# --- switch and remove --------------------------------------------------------


def _switch() -> Iterator[Step]:
    yield from source_steps()
    yield from _routes()
    yield _middleware()
    yield from _entries("DATABASES", "ENGINE", incumbent.databases(), incumbent.ENGINES)
    yield from _entries("CACHES", "BACKEND", incumbent.cache_backends(), incumbent.BACKENDS)
    yield _apps()


def _routes() -> Iterator[Step]:
    routes = incumbent.routes()
    for route in routes:
        yield Step(
            SWITCH,
            CHANGE,
            "URLconf",
            f'Remove include("django_prometheus.urls"), which is at {route}: the middleware '
            "answers without a route.",
        )
    if not routes:
        yield Step(SWITCH, DONE, "URLconf", "It has no route of django-prometheus.")


def _middleware() -> Step:
    kept = [path for path in conf.middleware() if not incumbent.is_middleware(path)]
    if len(kept) == len(conf.middleware()):
        return Step(SWITCH, DONE, "MIDDLEWARE", _NOTHING_LEFT)
    derived = [path for path in conf.middleware() if incumbent.is_derived_middleware(path)]
    message = "Without django-prometheus."
    if derived:
        names = " and ".join(derived)
        what = "is derived" if len(derived) == 1 else "are derived"
        message = f"Without django-prometheus, and without {names}, which {what} from it."
    value = _assigned("MIDDLEWARE", _with_ours_first(kept))
    return Step(SWITCH, CHANGE, "MIDDLEWARE", message, value)


def _apps() -> Step:
    apps = conf.value_of("INSTALLED_APPS", ())
    kept = [name for name in apps if not incumbent.is_installed_app(name)]
    if len(kept) == len(apps):
        return Step(SWITCH, DONE, "INSTALLED_APPS", _NOTHING_LEFT)
    value = _assigned("INSTALLED_APPS", kept)
    return Step(SWITCH, CHANGE, "INSTALLED_APPS", "Without django-prometheus.", value)


def _with_ours_first(listed: Sequence[str]) -> list[str]:
    ours = [conf.middleware()[place - 1] for place in positions()][:1] or [MIDDLEWARE]
    return [*ours, *(one for one in listed if one not in ours)]


def _entries(
    name: str, key: str, found: Mapping[str, str], originals: Mapping[str, str]
) -> Iterator[Step]:
    for alias, path in found.items():
        place = f"{name}[{_text(alias)}][{_text(key)}]"
        original = originals.get(path)
        if original is None:
            message = f"{path} is not known: use what it is derived from."
            yield Step(SWITCH, CHANGE, place, message)
        else:
            message = "It is measured as it is."
            yield Step(SWITCH, CHANGE, place, message, f"{place} = {_text(original)}")
    if not found:
        yield Step(SWITCH, DONE, name, _NOTHING_LEFT)


def _remove() -> Iterator[Step]:
    for name, why in _OBSOLETE.items():
        if conf.value_of(name) is not None:
            yield Step(REMOVE, CHANGE, name, f"Remove it: {why}.")
    for name in incumbent.environment_variables():
        yield Step(
            REMOVE,
            CHANGE,
            f"environment: {name}",
            "Remove it, from the environment of the server, too: it has no effect.",
            f"unset {name}",
        )
    for line in incumbent.hooks():
        yield Step(
            REMOVE,
            CHANGE,
            line.place,
            f"Remove the server hook: {line.text}",
        )
    for name in incumbent.importing_packages():
        yield Step(
            REMOVE,
            CHANGE,
            name,
            "This module of an installed package imports django-prometheus, and needs it: keep "
            "django-prometheus installed, out of the settings, until that package does without.",
        )
    yield Step(
        REMOVE,
        CHANGE,
        "requirements",
        "Remove django-prometheus, once nothing imports it.",
        "pip uninstall django-prometheus",
    )


# --- what to write -------------------------------------------------------------


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _assigned(name: str, values: Sequence[str]) -> str:
    lines = "".join(f"    {_text(one)},\n" for one in values)
    return f"{name} = [\n{lines}]"


def _entry(key: str, value: object) -> str:
    """Return the assignment of one key; others, which may be secrets, are not shown.

    The first of them makes the dictionary, where the project has none.
    """
    if conf.declared() or key != "VIEWS":
        return f"{conf.NAME}[{_text(key)}] = {_text(value)}"
    return f"{conf.NAME} = {{{_text(key)}: {_text(value)}}}"
