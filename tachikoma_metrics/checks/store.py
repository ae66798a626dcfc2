"""Checks of the directory in which processes share values."""

from __future__ import annotations

import os
from typing import Any

from django.core.checks import CheckMessage, register

from tachikoma_metrics import conf
from tachikoma_metrics.checks.messages import example, warning
from tachikoma_metrics.store import STORE, Exposed

MULTIPROCESS_VARIABLES = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")


@register
def check_store_is_usable(**kwargs: Any) -> list[CheckMessage]:
    """W008: the directory in which processes share values cannot be used, or is not safe."""
    obstacle = STORE.obstacle()
    if obstacle is None:
        return []
    if isinstance(obstacle, Exposed):
        message = f"The directory of STORE_DIR is not safe: {obstacle}"
    else:
        message = (
            f"The directory of STORE_DIR cannot be used: {obstacle} A server with one process "
            "serves the values of that process; with several, scrapes get 503."
        )
    hint = (
        f'Leave it at "auto", or name a directory that does not exist yet. {example("STORE_DIR")}'
    )
    return [warning("W008", message, hint)]


@register
def check_multiprocess_mode_is_not_set_up(**kwargs: Any) -> list[CheckMessage]:
    """W009: ``PROMETHEUS_MULTIPROC_DIR`` is set, which is not needed and has no effect."""
    names = [name for name in MULTIPROCESS_VARIABLES if name in os.environ]
    if not names or not conf.config().enabled:
        return []
    return [
        warning(
            "W009",
            f"{names[0]} is set, and has no effect: all processes share their values without it.",
            "Remove it from the environment, and the server hooks that belong to it. Example: "
            f"unset {names[0]}",
        )
    ]
