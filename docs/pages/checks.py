"""The reference of system checks: the messages they report, each with its cause and its fix."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.core.checks.registry import registry

from pages import markdown
from pages.mistakes import MISTAKES, message
from tachikoma_metrics import conf
from tachikoma_metrics.conf import invalid

_CAUSE = re.compile(r"([EW][0-9]{3}): (.*)", re.DOTALL)
_EXAMPLE = " Example: "

INTRODUCTION = """\
The messages of the system checks, with cause and fix: search this page for yours. Each is the
message for one wrong example.

`manage.py check` reports configuration problems; so do `runserver`, `migrate` and `test` before
they begin. An error (`E`) stops them, a warning (`W`) does not. Servers such as gunicorn run no
checks: run `manage.py check` before you start them."""

SILENCING = """\
To silence a check, list its complete name:

```python
SILENCED_SYSTEM_CHECKS = ["tachikoma_metrics.W002"]
```"""


def page() -> str:
    """Return the reference of all checks."""
    return markdown.page(
        "# Checks",
        markdown.NOTICE,
        INTRODUCTION,
        SILENCING,
        "## Errors",
        *_sections(id for id in MISTAKES if id[0] == "E"),
        "## Warnings",
        *_sections(id for id in MISTAKES if id[0] == "W"),
    )


def _sections(ids: Iterable[str]) -> Iterator[str]:
    found = causes()
    for id in ids:
        reported = message(id)
        yield f"### {id}"
        yield f"```text\n{reported.msg}\n```"
        yield markdown.bullets((f"Cause: {found[id]}", f"Fix: {_fix(reported.hint or '')}"))


def _fix(hint: str) -> str:
    """Return a hint in which the example is code."""
    prose, mark, example = f" {hint}".partition(_EXAMPLE)
    return f"{prose} {mark.strip()} `{example}`".strip() if mark else hint


def causes() -> dict[str, str]:
    """Return the cause of each message, by its id."""
    return {**_of_settings(), **dict(_of_docstrings())}


def _of_docstrings() -> Iterator[tuple[str, str]]:
    checks = registry.get_checks(include_deployment_checks=True)
    functions = [*checks, *vars(invalid).values()]
    for function in functions:
        found = _CAUSE.fullmatch(inspect.getdoc(function) or "")
        if inspect.isfunction(function) and found:
            yield found[1], markdown.sentence(found[2]) + _condition(function)


def _condition(function: Callable[..., Any]) -> str:
    is_for_deployment = function in registry.deployment_checks
    return " Only `manage.py check --deploy` checks this." if is_for_deployment else ""


def _of_settings() -> dict[str, str]:
    return {
        setting.id: f"The value of [`{key}`](settings.md#{key.lower()}) is invalid."
        for key, setting in conf.SETTINGS.items()
    }
