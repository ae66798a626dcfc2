"""What the other settings of the project say."""

from __future__ import annotations

import sys
import types
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings

from tachikoma_metrics.conf.invalid import NAME


def declared() -> object:
    """Return ``settings.TACHIKOMA_METRICS`` as the project wrote it, or ``{}``."""
    return getattr(settings, NAME, {})


def value_of(name: str, default: Any = None) -> Any:
    """Return a setting that belongs to Django or to another package."""
    return getattr(settings, name, default)


def is_installed() -> bool:
    """Return whether ``INSTALLED_APPS`` has the app; True until Django has loaded them."""
    return not apps.ready or apps.is_installed("tachikoma_metrics")


def names_of_settings() -> list[str]:
    """Return the names of the project's settings, and all other names in its settings module.

    Django ignores names that are not in capitals.
    """
    module = sys.modules.get(getattr(settings, "SETTINGS_MODULE", None) or "")
    others = {
        name
        for name, value in vars(module or object).items()
        if not isinstance(value, types.ModuleType)
    }
    return sorted({*dir(settings), *others})


def root_urlconf() -> str:
    """Return ``ROOT_URLCONF``: the URLconf of requests that set no other."""
    return str(settings.ROOT_URLCONF)


@lru_cache(1)
def has_proxy_ssl_header() -> bool:
    """Return whether a header of a proxy may tell the scheme of a request.

    Remembered until the setting changes: reading one of Django's settings takes as long as
    everything else that a request's scheme needs.
    """
    return bool(settings.SECURE_PROXY_SSL_HEADER)


def asgi_modules() -> list[str]:
    """Return the modules that may define the project's ASGI application.

    Channels and daphne read ``ASGI_APPLICATION``; without it, the module is where
    ``startproject`` creates it, beside the WSGI application or the URLconf.
    """
    named = getattr(settings, "ASGI_APPLICATION", None)
    if named:
        return [str(named).rpartition(".")[0]]
    wsgi = str(getattr(settings, "WSGI_APPLICATION", None) or "")
    beside = (wsgi.rpartition(".")[0], str(getattr(settings, "ROOT_URLCONF", "")))
    packages = (module.rpartition(".")[0] for module in beside)
    return list(dict.fromkeys(f"{package}.asgi" for package in packages if package))


def allowed_hosts() -> list[str]:
    """Return ``ALLOWED_HOSTS``, or what Django uses in its place in development."""
    # https://docs.djangoproject.com/en/stable/ref/settings/#allowed-hosts
    in_development = [".localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else []
    return list(settings.ALLOWED_HOSTS) or in_development


def file_prefixes() -> tuple[str, ...]:
    """Return the path prefixes of files served below ``STATIC_URL`` and ``MEDIA_URL``.

    None of them is ``/``, with which all paths begin.
    """
    return _file_prefixes(settings.STATIC_URL, settings.MEDIA_URL)


@lru_cache(8)
def _file_prefixes(*urls: str | None) -> tuple[str, ...]:
    # The URL of a content delivery network has a host, and the path that the origin serves.
    paths = (urlsplit(str(url or "")).path.strip("/") for url in urls)
    return tuple(f"/{path}/" for path in paths if path)


def middleware() -> tuple[str, ...]:
    """Return the dotted paths in ``MIDDLEWARE``."""
    return tuple(settings.MIDDLEWARE)


def service() -> str | None:
    """Return what the processes of this service have in common; None without settings.

    Web workers, Celery workers and commands alike load the same settings module. Without one,
    they have the URLconf in common.
    """
    if not settings.configured:
        return None
    return settings_module() or str(getattr(settings, "ROOT_URLCONF", None) or "")


def settings_module() -> str | None:
    """Return the dotted path of the settings module; None where ``configure()`` was called."""
    return getattr(settings, "SETTINGS_MODULE", None) or None
