"""Blocks of Python: run, and what they would have done to a project, judged.

What a block is about is told by the names it assigns. A setting is put into force and
the system checks are run; routes are made the URLconf and the checks are run. An ``...``
in a list stands for what the project has there already.
"""

from __future__ import annotations

import ast
import tempfile
import types
from collections.abc import Iterable
from typing import Any

from celery import Celery
from django.conf import settings
from django.test import override_settings
from sybil import Example
from sybil.evaluators.python import PythonEvaluator

from tachikoma_metrics import conf
from tests.conftest import found
from tests.docs import files

SETTINGS = ("CACHES", "INSTALLED_APPS", "MIDDLEWARE", conf.NAME)
ROUTES = "urlpatterns"

_run = PythonEvaluator()


def evaluate(example: Example) -> None:
    """Run a block in the namespace of its page, and judge the settings and routes in it."""
    # Where a reader's module would be.
    example.namespace["__name__"] = "page"
    if files.is_addition(str(example.parsed)):
        # What the file that it is added to has there already.
        example.namespace.setdefault("app", Celery("mysite"))
    _run(example)
    assigned = set(_assigned(example.parsed))
    values = {name: example.namespace[name] for name in SETTINGS if name in assigned}
    values = {name: _filled_in(name, value) for name, value in values.items()}
    if ROUTES in assigned:
        values["ROOT_URLCONF"] = _routes(example.namespace[ROUTES])
    if values:
        assert_right(values)


def assert_right(values: dict[str, Any]) -> None:
    """Fail if the checks have a word to say of a project with these settings.

    The files of tokens that they name are there, as the page says that they are.
    """
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("a-token-that-is-long-enough-for-anybody\n")
        file.flush()
        if conf.NAME in values:
            values = {**values, conf.NAME: _with_tokens_in(file.name, values[conf.NAME])}
        assert conf.read(values.get(conf.NAME, {})).invalid_settings == ()
        with override_settings(**values):
            told = {id: message.msg for id, message in found().items()}

    # Whoever turns native histograms on is reminded of what the guide says before that.
    told.pop("W150", None)
    # The receiver is named in the environment.
    told.pop("W180", None)
    # The commands of the page's project are not those of this one.
    told.pop("W140", None)
    assert told == {}


def _with_tokens_in(path: str, settings: dict[str, Any]) -> dict[str, Any]:
    tokens = [
        f"file:{path}" if token.startswith("file:") else token
        for token in settings.get("TOKENS", ())
    ]
    return {**settings, "TOKENS": tokens}


def _assigned(source: str) -> Iterable[str]:
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign):
            yield from (target.id for target in statement.targets if isinstance(target, ast.Name))


def _filled_in(name: str, value: Any) -> Any:
    if not isinstance(value, list):
        return value
    there = [one for one in getattr(settings, name) if one not in value]
    return [one for part in value for one in (there if part is ... else [part])]


def _routes(patterns: list[Any]) -> types.ModuleType:
    module = types.ModuleType("page_urls")
    setattr(module, ROUTES, [one for one in patterns if one is not ...])
    return module
