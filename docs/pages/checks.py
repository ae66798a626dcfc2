"""The reference of system checks, from the docstrings of what finds the faults."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

from django.core.checks.registry import registry

from pages import markdown
from tachikoma_metrics import conf

_WHAT_HOLDS = re.compile(r"([EW][0-9]{3}): (.*)", re.DOTALL)

INTRODUCTION = """\
`manage.py check` says what is not as it should be, and what to do; so do `runserver`, `migrate`
and `test` before they begin. An error (`E`) stops them, a warning (`W`) does not. Servers such as
gunicorn run no checks: run `manage.py check` before you start them. Each sentence here says what
has to hold."""

SILENCING = """\
A warning that you have thought about is silenced with its whole name:

```python
SILENCED_SYSTEM_CHECKS = ["tachikoma_metrics.W002"]
```"""


def page() -> str:
    """Return the reference of all checks."""
    held = what_holds()
    return markdown.page(
        "# Checks",
        markdown.NOTICE,
        INTRODUCTION,
        SILENCING,
        "## Errors",
        *sections(id for id in held if id[0] == "E"),
        "## Warnings",
        *sections(id for id in held if id[0] == "W"),
    )


def sections(ids: Iterator[str]) -> Iterator[str]:
    """Yield a section for each id."""
    held = what_holds()
    for id in ids:
        yield f"### {id}"
        yield held[id]


def what_holds() -> dict[str, str]:
    """Return what has to hold, by the id of who says that it does not."""
    held = {**_of_settings(), **dict(_of_docstrings())}
    return dict(sorted(held.items()))


def _of_docstrings() -> Iterator[tuple[str, str]]:
    # Django imports the checks, once the apps are loaded.
    for module in (conf, sys.modules["tachikoma_metrics.checks"]):
        for function in vars(module).values():
            found = _WHAT_HOLDS.fullmatch(inspect.getdoc(function) or "")
            if inspect.isfunction(function) and found:
                yield found[1], markdown.sentence(found[2]) + _condition(function)


def _condition(function: Callable[..., Any]) -> str:
    is_for_deployment = function in registry.deployment_checks
    return " Only `manage.py check --deploy` looks." if is_for_deployment else ""


def _of_settings() -> dict[str, str]:
    return {
        setting.id: f"[`{key}`](settings.md#{key.lower()}) should be {setting.rule.expectation}. "
        f"{setting.rule.hint}"
        for key, setting in conf.SETTINGS.items()
    }
