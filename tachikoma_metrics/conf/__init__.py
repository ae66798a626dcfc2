"""The ``TACHIKOMA_METRICS`` setting, read when used.

The one package that reads Django's settings. Each key is declared once, in
``declarations``. An invalid value is reported by a system check; a process that starts
without running the checks, as a WSGI server does, uses the default in its place, logs it
and counts an instrumentation error.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable

from django.conf import ENVIRONMENT_VARIABLE, settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from tachikoma_metrics.conf.config import SETTINGS, Config
from tachikoma_metrics.conf.invalid import NAME, InvalidSetting
from tachikoma_metrics.conf.process import is_migrating, is_test_run
from tachikoma_metrics.conf.project import (
    allowed_hosts,
    asgi_modules,
    declared,
    file_prefixes,
    has_proxy_ssl_header,
    is_installed,
    middleware,
    names_of_settings,
    root_urlconf,
    service,
    settings_module,
    value_of,
)
from tachikoma_metrics.conf.reading import read
from tachikoma_metrics.conf.setting import Setting
from tachikoma_metrics.conf.suggestions import closest, did_you_mean
from tachikoma_metrics.conf.views import (
    derived_metrics,
    django_prometheus_namespace,
    look_up,
)
from tachikoma_metrics.conf.views import needed_labels as labels_needed_by

__all__ = [
    "NAME",
    "SETTINGS",
    "Config",
    "InvalidSetting",
    "Setting",
    "allowed_hosts",
    "asgi_modules",
    "closest",
    "complete_config",
    "config",
    "declared",
    "derived_metrics",
    "did_you_mean",
    "django_prometheus_namespace",
    "file_prefixes",
    "has_proxy_ssl_header",
    "is_installed",
    "is_migrating",
    "is_test_run",
    "labels_needed_by",
    "look_up",
    "middleware",
    "names_of_settings",
    "on_change",
    "read",
    "reload",
    "root_urlconf",
    "service",
    "settings_module",
    "value_of",
]

_config: Config | None = None
_callbacks: list[Callable[[], None]] = []


def config() -> Config:
    """Return the configuration in force; cheap enough to be called for every request.

    Where Django has no settings, as in a script that only imports the package, it is the
    default one.
    """
    global _config
    if _config is None:
        if not settings.configured and not os.environ.get("DJANGO_SETTINGS_MODULE"):
            return Config()
        _config = read(declared())
    return _config


def complete_config(caller: str, elsewhere: str) -> Config:
    """Return the configuration to a function that the settings module itself may call.

    Raises ImproperlyConfigured where the settings module is still being imported and does not
    define ``TACHIKOMA_METRICS`` yet, whose values would be missed; the error says that ``caller``
    may be called below it, or ``elsewhere``.
    """
    module = _settings_being_imported()
    if module is None:
        return config()
    if not hasattr(module, NAME):
        raise ImproperlyConfigured(
            f"{caller} was called in {module.__name__} before {NAME} is defined. Call it below, "
            f"or {elsewhere}."
        )
    return read(getattr(module, NAME))


def _settings_being_imported() -> types.ModuleType | None:
    module = sys.modules.get(os.environ.get(ENVIRONMENT_VARIABLE, ""))
    # As importlib does: https://github.com/python/cpython/blob/3.13/Lib/importlib/_bootstrap.py
    is_initializing = getattr(getattr(module, "__spec__", None), "_initializing", False)
    return module if is_initializing else None


def on_change(callback: Callable[[], None]) -> None:
    """Call ``callback`` after each change of the settings."""
    if callback not in _callbacks:
        _callbacks.append(callback)


def reload() -> None:
    """Read the settings anew, and call the registered callbacks."""
    global _config
    _config = None
    for callback in _callbacks:
        callback()


def _reload_if_changed(*, setting: str, **_: object) -> None:
    if setting == NAME:
        reload()
    elif setting == "SECURE_PROXY_SSL_HEADER":
        has_proxy_ssl_header.cache_clear()


setting_changed.connect(_reload_if_changed, dispatch_uid="tachikoma_metrics.conf")
