"""The ``TACHIKOMA_METRICS`` setting, read when used.

The one module that reads Django's settings. Each key is declared once, as a
field of ``Config``: its type, default, rule and meaning. A value that does not
meet its rule is reported by a system check; a process that starts without
running the checks, as a WSGI server does, uses the default in its place and the
fault is counted.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import sys
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import ENVIRONMENT_VARIABLE, settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from tachikoma_metrics import catalogue
from tachikoma_metrics.conf import validators
from tachikoma_metrics.conf.validators import Rule, Unmet
from tachikoma_metrics.interruptions import pass_on

NAME = "TACHIKOMA_METRICS"


def _setting(default: Any, rule: Rule, id: str, meaning: str) -> Any:
    return dataclasses.field(
        default_factory=lambda: default,
        metadata={"default": default, "rule": rule, "id": id, "meaning": meaning},
    )


@dataclass(frozen=True)
class Config:
    """Hold the value of every setting, in the form the code works with."""

    enabled: bool = _setting(
        True, validators.BOOLEAN, "E101", "Whether anything is measured and the page served."
    )
    path: str | None = _setting(
        "/metrics",
        validators.PATH,
        "E102",
        "Where the middleware itself answers with the page, before host validation, "
        "redirects and login; `None` leaves only the URLconf.",
    )
    include_process_metrics: bool = _setting(
        True,
        validators.BOOLEAN,
        "E103",
        "Whether the page shows `process_*` and `python_*` families.",
    )
    global_labels: tuple[tuple[str, str], ...] = _setting(
        (),
        validators.GLOBAL_LABELS,
        "E104",
        "Labels added to every sample of the page: a mapping or a list of pairs.",
    )
    latency_buckets: tuple[float, ...] = _setting(
        catalogue.LATENCY_BUCKETS,
        validators.BUCKETS,
        "E105",
        "Upper bounds, in seconds, of the histograms of HTTP durations.",
    )
    size_buckets: tuple[float, ...] = _setting(
        catalogue.SIZE_BUCKETS,
        validators.BUCKETS,
        "E106",
        "Upper bounds, in bytes, of the histograms of HTTP body sizes.",
    )
    namespace: str = _setting(
        "",
        validators.NAMESPACE,
        "E107",
        "Prefix of the families: `tachikoma` makes `tachikoma_http_requests_total`. "
        "The app's own health, `tachikoma_metrics_*`, keeps its names, and so do families that "
        "`BUSINESS_METRICS` adds.",
    )
    buckets: Mapping[str, tuple[float, ...]] = _setting(
        {},
        validators.BUCKETS_BY_FAMILY,
        "E108",
        "Upper bounds by histogram, over any default and over the two settings above.",
    )
    labels: Mapping[str, tuple[str, ...]] = _setting(
        {},
        validators.LABELS_BY_FAMILY,
        "E109",
        "Labels by family, in order: leave standard ones out, add optional ones or "
        "those of `EXTRA_LABELS`.",
    )
    extra_labels: Mapping[str, str] = _setting(
        {},
        validators.EXTRA_LABELS,
        "E110",
        "Labels of your own, by the dotted path of a callable that is given the request "
        "and returns the value; `LABELS` says which HTTP families get them. It is called "
        "once a request, after the view, and must not block.",
    )
    extra_metrics: tuple[str, ...] = _setting(
        (), validators.NAMES, "E111", "Opt-in families to switch on."
    )
    disabled_metrics: tuple[str, ...] = _setting(
        (), validators.NAMES, "E112", "Families to switch off."
    )
    exclude_paths: tuple[re.Pattern[str], ...] = _setting(
        (),
        validators.PATTERNS,
        "E113",
        "Regular expressions searched for in the URL's path: such requests are not "
        "measured. Scrapes never are.",
    )
    cardinality_limit: int = _setting(
        2000,
        validators.POSITIVE_INTEGER,
        "E114",
        "Label sets a metric may have, in each process and in all of them together. Past it, the "
        "open labels of a new one, such as `path`, are `overflow`; those whose values are a short "
        "list, such as `method` and `status`, stay, in at most 200 label sets more.",
    )
    store_dir: str | None = _setting(
        "auto",
        validators.STORE_DIR,
        "E115",
        "The directory in which the processes of a service share values: `auto` for a "
        "private one, named after user and settings module, in `/dev/shm`, "
        "`XDG_RUNTIME_DIR` or the temporary directory; an absolute path; or `None` for the "
        "memory of each process alone. In a test run, `auto` is memory.",
    )
    keep_totals: float = _setting(
        600.0,
        validators.SECONDS_OR_ZERO,
        "E128",
        "Seconds within which a service that ended on its host may come back and go on from its "
        "totals: a deployment loses nothing, and no total falls. Past it, or with 0, it starts "
        "at zero.",
    )
    instrument_databases: bool | tuple[str, ...] = _setting(
        True,
        validators.SWITCH_OR_ALIASES,
        "E116",
        "Databases to measure: all, none, or the listed aliases.",
    )
    instrument_caches: bool | tuple[str, ...] = _setting(
        True,
        validators.SWITCH_OR_ALIASES,
        "E117",
        "Caches to measure: all, none, or the listed aliases.",
    )
    ws_message_types: tuple[str, ...] = _setting(
        (),
        validators.NAMES,
        "E118",
        "JSON `type` values of WebSocket messages worth telling apart; none are looked for if "
        "it is empty.",
    )
    llm_models: tuple[str, ...] = _setting(
        (),
        validators.NAMES,
        "E119",
        "Models to tell apart in the label `model`; all others are `other`. Empty for the first "
        "50 of each process.",
    )
    business_metrics: Mapping[str, Mapping[str, Any]] = _setting(
        {},
        validators.BUSINESS_METRICS,
        "E120",
        "Counts of models, by family name.",
    )
    business_interval: float = _setting(
        30,
        validators.SECONDS,
        "E121",
        "Seconds between two refreshes of the business counts.",
    )
    business_max_age: float | None = _setting(
        None,
        validators.OPTIONAL_SECONDS,
        "E122",
        "Seconds after which business counts are dropped as stale; ten intervals unless set.",
    )
    business_store: str = _setting(
        "database",
        validators.BUSINESS_STORE,
        "E123",
        "Where the business counts are kept: `database` or `cache`.",
    )
    allowed_networks: tuple[str, ...] = _setting(
        ("private",),
        validators.NETWORKS,
        "E124",
        "Networks that may read the page: `private` for loopback, private and link-local "
        "addresses, `*` for all, or networks such as `192.0.2.0/24`. The peer and every address "
        "a proxy's header names have to be in one. `unix:X-Forwarded-For` names the header that "
        "the proxy before a Unix socket sets; beside no network, `private` is meant. "
        "With `TOKENS`, all unless set.",
    )
    tokens: tuple[str, ...] = _setting(
        (),
        validators.NAMES,
        "E125",
        "Bearer tokens, one of which is needed to read the page. `file:/run/secrets/metrics` "
        "stands for the lines of a file, which may change while the service runs.",
    )
    permission: str | None = _setting(
        None,
        validators.DOTTED_PATH,
        "E126",
        "Dotted path of a callable that is given the request and returns True if the page "
        "may be read. It is asked last.",
    )
    worker_port: int | None = _setting(
        None,
        validators.PORT,
        "E127",
        "The port on which a Celery worker serves its own page.",
    )
    worker_host: str = _setting(
        "",
        validators.HOST,
        "E129",
        "The address at which a Celery worker serves its own page; all addresses unless set.",
    )
    tasks: bool | tuple[str, ...] = _setting(
        True,
        validators.TASK_SYSTEMS,
        "E130",
        "Task systems to measure: all that are in use, none, or those listed of `celery` and "
        "`django`.",
    )
    commands: tuple[str, ...] = _setting(
        (),
        validators.COMMANDS,
        "E131",
        "Management commands to measure, as patterns such as `send_*`; `!` before a pattern "
        "leaves commands out.",
    )
    faults: tuple[Fault, ...] = ()

    @cached_property
    def global_label_names(self) -> frozenset[str]:
        """Return the names of the global labels."""
        return frozenset(name for name, _ in self.global_labels)

    @cached_property
    def request_labels(self) -> Mapping[str, str]:
        """Return those of ``extra_labels`` that a family which knows the request has."""
        wanted = {
            label
            for family in catalogue.RECORDED_BY_REQUESTS
            for label in self.labels.get(family, ())
        }
        return {label: path for label, path in self.extra_labels.items() if label in wanted}

    def excludes(self, path: str) -> bool:
        """Tell whether requests to ``path`` are not measured."""
        return any(pattern.search(path) for pattern in self.exclude_paths)

    @cached_property
    def tells_who_may_read(self) -> bool:
        """Tell whether nothing is wrong with the settings that keep people out."""
        return not any(fault.closes_the_page for fault in self.faults)

    @property
    def business_lifetime(self) -> float:
        """Return the seconds for which business counts may be shown."""
        return self.business_max_age or 10 * self.business_interval

    def instruments_database(self, alias: str) -> bool:
        """Tell whether the queries and connections of a database are measured."""
        return self.enabled and _names(self.instrument_databases, alias)

    def instruments_cache(self, alias: str) -> bool:
        """Tell whether the look-ups in a cache, and its size, are measured."""
        return self.enabled and _names(self.instrument_caches, alias)

    def measures_tasks_of(self, system: str) -> bool:
        """Tell whether tasks of ``celery`` or ``django`` are measured."""
        return self.enabled and _names(self.tasks, system)

    def measures_command(self, name: str) -> bool:
        """Tell whether runs of a management command are measured: the last pattern decides."""
        is_measured = False
        for pattern in self.commands:
            if fnmatchcase(name, pattern.removeprefix("!")):
                is_measured = not pattern.startswith("!")
        return self.enabled and is_measured

    @property
    def measures_queue_lengths(self) -> bool:
        """Tell whether a refresh asks Celery's broker for the lengths of its queues."""
        return self.measures_tasks_of("celery") and "task_queue_length" in self.extra_metrics

    @property
    def has_business_metrics(self) -> bool:
        """Tell whether there is something for a refresh to count."""
        return bool(self.business_metrics) or self.measures_queue_lengths

    @cached_property
    def counts_queries(self) -> bool:
        """Tell whether each request is to say how many queries it took, or how long."""
        families = (catalogue.HTTP_REQUEST_DB_QUERIES, catalogue.HTTP_REQUEST_DB)
        is_wanted = any(family.name in self.extra_metrics for family in families)
        return is_wanted and self.instrument_databases is not False

    @cached_property
    def asks_requests(self) -> bool:
        """Tell whether a family has a label that takes more than a look at the request."""
        shown = {
            name
            for family in catalogue.RECORDED_BY_REQUESTS
            for name in self.labels.get(family, ())
        }
        return "scheme" in shown or bool(self.request_labels)


def _names(wanted: bool | tuple[str, ...], alias: str) -> bool:
    return wanted if isinstance(wanted, bool) else alias in wanted


@dataclass(frozen=True)
class Setting:
    """Describe one key of ``TACHIKOMA_METRICS`` for checks and documentation."""

    key: str
    default: Any
    rule: Rule
    id: str
    meaning: str


@dataclass(frozen=True)
class Fault:
    """Tell what is wrong in ``TACHIKOMA_METRICS``, and the remedy."""

    id: str
    message: str
    hint: str

    @property
    def closes_the_page(self) -> bool:
        """Tell whether nobody may read the page until this is mended."""
        access = {SETTINGS[key].id for key in ("ALLOWED_NETWORKS", "TOKENS", "PERMISSION")}
        return self.id == "E001" or self.id in access

    @property
    def consequence(self) -> str:
        """Say what is done about it."""
        if self.closes_the_page:
            return "Until then, the metrics endpoint answers 403."
        return "It is ignored." if self.id == "E002" else "The default is used instead."


SETTINGS: dict[str, Setting] = {
    field.name.upper(): Setting(key=field.name.upper(), **field.metadata)
    for field in dataclasses.fields(Config)
    if field.metadata
}
"""Every key of ``TACHIKOMA_METRICS``, in the order of the reference."""


def declared() -> object:
    """Return ``settings.TACHIKOMA_METRICS`` as it stands, or ``{}``."""
    return getattr(settings, NAME, {})


def is_installed() -> bool:
    """Tell whether ``INSTALLED_APPS`` has the app."""
    return apps.is_installed("tachikoma_metrics")


def names_of_settings() -> list[str]:
    """Return the names of the project's settings, and of what its settings module has besides.

    Django takes no notice of names that are not in capitals.
    """
    module = sys.modules.get(getattr(settings, "SETTINGS_MODULE", None) or "")
    besides = {
        name
        for name, value in vars(module or object).items()
        if not isinstance(value, types.ModuleType)
    }
    return sorted({*dir(settings), *besides})


def root_urlconf() -> str:
    """Return the URLconf of requests that name none of their own."""
    return str(settings.ROOT_URLCONF)


def asgi_modules() -> list[str]:
    """Return the modules that may have the project's ASGI application.

    ``ASGI_APPLICATION`` names it where Channels or daphne read it; else it is where
    ``startproject`` puts it, beside the WSGI application or the URLconf.
    """
    named = getattr(settings, "ASGI_APPLICATION", None)
    if named:
        return [str(named).rpartition(".")[0]]
    wsgi = str(getattr(settings, "WSGI_APPLICATION", None) or "")
    beside = (wsgi.rpartition(".")[0], str(getattr(settings, "ROOT_URLCONF", "")))
    packages = (module.rpartition(".")[0] for module in beside)
    return list(dict.fromkeys(f"{package}.asgi" for package in packages if package))


def is_migrating() -> bool:
    """Tell whether this process is ``manage.py migrate``."""
    return sys.argv[1:2] == ["migrate"]


def allowed_hosts() -> list[str]:
    """Return ``ALLOWED_HOSTS``, or what Django takes in its place while developing."""
    # https://docs.djangoproject.com/en/stable/ref/settings/#allowed-hosts
    while_developing = [".localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else []
    return list(settings.ALLOWED_HOSTS) or while_developing


def file_prefixes() -> tuple[str, ...]:
    """Return how the paths of files begin that are served below ``STATIC_URL`` and ``MEDIA_URL``.

    None of them is ``/``, which all paths begin with.
    """
    return _file_prefixes(settings.STATIC_URL, settings.MEDIA_URL)


@lru_cache(8)
def _file_prefixes(*urls: str | None) -> tuple[str, ...]:
    # Of a URL with a host, as those of content delivery networks, that of the origin is the path.
    paths = (urlsplit(str(url or "")).path.strip("/") for url in urls)
    return tuple(f"/{path}/" for path in paths if path)


def middleware() -> tuple[str, ...]:
    """Return the dotted paths in ``MIDDLEWARE``."""
    return tuple(settings.MIDDLEWARE)


def service() -> str | None:
    """Return what the processes of this service have in common; None without settings.

    Web workers, Celery workers and commands alike load the same settings module. Without one,
    they have the URLconf.
    """
    if not settings.configured:
        return None
    return settings_module() or str(getattr(settings, "ROOT_URLCONF", None) or "")


def settings_module() -> str | None:
    """Return the dotted path of the settings module; None where ``configure()`` was called."""
    return getattr(settings, "SETTINGS_MODULE", None) or None


def is_test_run() -> bool:
    """Tell whether this process runs the project's tests, or did so.

    pytest says so itself, in the environment; processes that tests start have that, too,
    but not pytest. https://docs.pytest.org/en/stable/reference/reference.html#envvar-PYTEST_VERSION
    """
    global _was_test_run
    utils = sys.modules.get("django.test.utils")
    _was_test_run = (
        _was_test_run
        or sys.argv[1:2] == ["test"]
        or ("PYTEST_VERSION" in os.environ and "pytest" in sys.modules)
        or hasattr(getattr(utils, "_TestState", None), "saved_data")
    )
    return _was_test_run


_was_test_run = False


def read(values: object) -> Config:
    """Return the configuration that ``values`` declares.

    Never raises: a value that does not meet its rule leaves the default in place
    and is told of in ``Config.faults``, as is a key that nobody knows.
    """
    if not isinstance(values, Mapping):
        return Config(faults=(_no_mapping(values),))
    accepted: dict[str, Any] = {}
    faults = [_unknown_key(key) for key in values if key not in SETTINGS]
    for key, setting in SETTINGS.items():
        if key not in values:
            continue
        try:
            accepted[key.lower()] = setting.rule.read(values[key])
        except Unmet as error:
            faults.append(_wrong_part(setting, error) or _wrong_value(setting, values[key]))
        except Exception as error:
            pass_on(error)
            faults.append(_wrong_value(setting, values[key]))
    if accepted.get("tokens") and "ALLOWED_NETWORKS" not in values:
        accepted["allowed_networks"] = ("*",)
    return Config(**accepted, faults=tuple(faults))


def _no_mapping(values: object) -> Fault:
    """E001: ``TACHIKOMA_METRICS`` is a dictionary."""
    return Fault(
        "E001",
        f"`{NAME}` should be a dictionary; got {_kind_of(values)}.",
        f'Write it like {NAME} = {{"NAMESPACE": "shop"}}.',
    )


def _kind_of(value: object) -> str:
    """Return the name of a value's type, for the value itself may have a secret."""
    name = type(value).__name__
    if value is None:
        return "None"
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _unknown_key(key: object) -> Fault:
    """E002: every key of ``TACHIKOMA_METRICS`` is known."""
    message = f"Unknown key {key!r} in `{NAME}`."
    return Fault("E002", message, did_you_mean(str(key).upper(), SETTINGS))


def _wrong_value(setting: Setting, value: object) -> Fault:
    shown = "a value that is not shown" if setting.key == "TOKENS" else _shortened(value)
    message = f"`{setting.key}` should be {setting.rule.expectation}; got {shown}."
    return Fault(setting.id, message, setting.rule.hint)


def _wrong_part(setting: Setting, unmet: Unmet) -> Fault | None:
    """Return the fault of the one part of a value that is wrong; None if all of it is."""
    if not unmet.is_about_a_part:
        return None
    place = "".join(f"[{_quoted(key)}]" for key in unmet.at)
    got = _shortened(unmet.got)
    message = f"`{setting.key}{place}` should be {unmet.expectation}; got {got}."
    return Fault(setting.id, message, unmet.hint or setting.rule.hint)


def _quoted(key: object) -> str:
    return f'"{key}"' if isinstance(key, str) else repr(key)


def _shortened(value: object) -> str:
    try:
        shown = repr(value)
    except ValueError as error:
        pass_on(error)
        # Python writes no number of some thousand digits.
        return f"a value of the type {type(value).__name__} that cannot be shown"
    return shown if len(shown) <= 200 else f"{shown[:199]}…"


def did_you_mean(name: object, possible: Collection[str]) -> str:
    """Return a hint that names the likeliest of the ``possible`` names, or all."""
    for match in difflib.get_close_matches(str(name), possible, n=1):
        return f"Did you mean `{match}`?"
    return f"Choose from: {', '.join(sorted(possible)) or 'nothing, none is defined'}."


_config: Config | None = None
_when_changed: list[Callable[[], None]] = []


def config() -> Config:
    """Return the configuration in force; cheap enough to ask for every request.

    Where Django has no settings, as in a script that only imports the package,
    that is the default one.
    """
    global _config
    if _config is None:
        if not settings.configured and not os.environ.get("DJANGO_SETTINGS_MODULE"):
            return Config()
        _config = read(declared())
    return _config


def complete_config(caller: str, elsewhere: str) -> Config:
    """Return the configuration for what is kept in the settings themselves.

    Raises ImproperlyConfigured where the settings module is still being imported and has no
    ``TACHIKOMA_METRICS`` yet, whose values would be missed; it says that ``caller`` may be called
    below it, or ``elsewhere``.
    """
    module = _half_read_settings()
    if module is None:
        return config()
    if not hasattr(module, NAME):
        raise ImproperlyConfigured(
            f"`{NAME}` should be set before `{caller}` is called while {module.__name__} is "
            f"imported. Call it below, or {elsewhere}."
        )
    return read(getattr(module, NAME))


def _half_read_settings() -> types.ModuleType | None:
    """Return the settings module if it is being imported now."""
    module = sys.modules.get(os.environ.get(ENVIRONMENT_VARIABLE, ""))
    # What importlib itself asks: https://github.com/python/cpython/blob/3.13/Lib/importlib/_bootstrap.py
    is_being_read = getattr(getattr(module, "__spec__", None), "_initializing", False)
    return module if is_being_read else None


def on_change(call: Callable[[], None]) -> None:
    """Have ``call`` called after each change of the settings."""
    if call not in _when_changed:
        _when_changed.append(call)


def reload() -> None:
    """Read the settings anew, and tell whoever wants to know."""
    global _config
    _config = None
    for call in _when_changed:
        call()


def _reload_if_ours(*, setting: str, **_: object) -> None:
    if setting == NAME:
        reload()


setting_changed.connect(_reload_if_ours, dispatch_uid="tachikoma_metrics.conf")
