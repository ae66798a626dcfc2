"""The lines of a project's source that have to change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tachikoma_metrics.replacing import incumbent
from tachikoma_metrics.replacing.step import CHANGE, DONE, NONE, SWITCH, Step

_QUOTED = re.compile(r"""["'](django_prometheus\.(?!urls\b)[\w.]+)["']""")
_FROM = re.compile(r"from django_prometheus import (\w+)")
_MODELS = "django_prometheus.models"
_COMPATIBLE = "tachikoma_metrics.compat.django_prometheus"

_CUSTOM_LABELS = (
    "A subclass for labels of the project: declare them in EXTRA_LABELS and LABELS, and remove it."
)


@dataclass(frozen=True)
class _Rule:
    """Say what happens to lines that an expression matches; None reports nothing of them."""

    lines: re.Pattern[str]
    status: str | None = CHANGE
    message: str = ""


_RULES = (
    # A name in a setting, each of which has a step of its own, and the URLconf likewise.
    _Rule(re.compile(r"""["']django_prometheus\.(?:middleware|db|cache|apps|urls)\b"""), None),
    _Rule(
        re.compile(r"django_prometheus\.models"),
        message="The mixin counts the rows of bulk operations, too; its metrics keep their names.",
    ),
    _Rule(re.compile(r"django_prometheus\.middleware"), message=_CUSTOM_LABELS),
    _Rule(
        re.compile(r"django_prometheus\.(?:urls|exports)"),
        message="Remove it: the middleware serves the metrics.",
    ),
    _Rule(
        re.compile(r"django_prometheus\.testutils"),
        message="Tests use tachikoma_metrics.testing instead, with other functions.",
    ),
    _Rule(
        re.compile(r"django_prometheus\.(?:db|cache)\.backends"),
        message="Derive from Django's own class: any engine and any backend is measured.",
    ),
    _Rule(
        re.compile(r"django_prometheus"),
        NONE,
        "Nothing takes its place: make such a metric with prometheus_client.",
    ),
)


def source_steps() -> Iterator[Step]:
    """Yield a step for each line of the source that uses django-prometheus."""
    found = [step for line in incumbent.lines() for step in _of_line(line)]
    yield from found
    if not found:
        yield Step(SWITCH, DONE, "source", "No module of the project imports django-prometheus.")


def _of_line(line: incumbent.Line) -> Iterator[Step]:
    text = _FROM.sub(r"django_prometheus.\1", line.text)
    rule = next(one for one in _RULES if one.lines.search(text))
    if rule.status is None:
        yield from _of_other_settings(line)
    else:
        value = line.text.replace(_MODELS, _COMPATIBLE) if _MODELS in line.text else ""
        yield Step(SWITCH, rule.status, line.place, rule.message, value)


def _of_other_settings(line: incumbent.Line) -> Iterator[Step]:
    """Yield a step for a name that the settings of this run do not have, and so no step of theirs.

    A project may have settings for each environment.
    """
    others = set(_QUOTED.findall(line.text)) - incumbent.names_in_use()
    if not others:
        return
    originals = {**incumbent.ENGINES, **incumbent.BACKENDS}
    value = _QUOTED.sub(
        lambda found: found[0].replace(found[1], originals.get(found[1], "")), line.text
    )
    yield Step(
        SWITCH,
        CHANGE,
        line.place,
        "Settings that this command does not run with have it, too: replace or remove it there.",
        value if others <= set(originals) else "",
    )
