"""The routes of a URLconf, as the ``path`` label shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, get_resolver

from tachikoma_metrics.catalogue.labels import route_template


def path_labels(urlconf: str) -> frozenset[str]:
    """Return the values of the ``path`` label for the routes of ``urlconf``.

    Raises whatever importing the URLconf raises.
    """
    return frozenset(map(route_template, _routes(get_resolver(urlconf).url_patterns)))


def _routes(patterns: list[Any]) -> Iterator[str]:
    for pattern in patterns:
        route = str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route
        else:
            for included in _routes(pattern.url_patterns):
                yield _joined(route, included)


def _joined(route: str, included: str) -> str:
    """Join two parts of a route as Django does for ``ResolverMatch.route``."""
    return route + included.removeprefix("^") if route else included
