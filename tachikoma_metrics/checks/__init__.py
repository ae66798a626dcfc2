"""System checks: invalid settings are reported at start-up, by name, with the remedy.

Errors are E001 to E019 (keys and names) and E101 to E199 (one per setting, declared with
it in ``conf``, but E161 and E181 to E183); warnings are W001 to W029, and from W140 on. Each check
describes its cause in its docstring, from which the reference is made. Importing this package
registers all of them.
"""

from __future__ import annotations

from tachikoma_metrics.checks import (
    access,
    aliases,
    business,
    exemplars,
    labels,
    metric_names,
    middleware,
    push,
    settings,
    store,
    tasks,
    urls,
    websockets,
)

__all__ = [
    "access",
    "aliases",
    "business",
    "exemplars",
    "labels",
    "metric_names",
    "middleware",
    "push",
    "settings",
    "store",
    "tasks",
    "urls",
    "websockets",
]
