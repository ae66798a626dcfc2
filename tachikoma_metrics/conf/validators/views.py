"""The rule for the names of views."""

from __future__ import annotations

from typing import Any

from tachikoma_metrics.catalogue.views import VIEWS as KNOWN
from tachikoma_metrics.conf.validators.rule import Rule, require_part
from tachikoma_metrics.conf.validators.values import strings


def _views(value: Any) -> tuple[str, ...]:
    for place, name in enumerate(strings(value)):
        must_be = f"one of {', '.join(map(repr, KNOWN))}"
        require_part(name in KNOWN, place, must_be=must_be, got=name)
    return tuple(dict.fromkeys(value))


VIEWS = Rule("a list of names of views", "", _views)
