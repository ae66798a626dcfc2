"""The reference of management commands, from their parsers."""

from __future__ import annotations

from argparse import Action, ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path

from django.core.management import find_commands, load_command_class
from django.core.management.base import DjangoHelpFormatter

import tachikoma_metrics
from pages import markdown
from tachikoma_metrics import doctor

PACKAGE = tachikoma_metrics.__name__


def page() -> str:
    """Return the reference of all commands."""
    return markdown.page(
        "# Commands",
        markdown.NOTICE,
        "The management commands of the app, with their options. Each also has the options of all "
        "Django commands, such as `--settings` and `--verbosity`.",
        *(part for name in names() for part in section(name)),
    )


def names() -> list[str]:
    """Return the names of the commands that the package has."""
    (folder,) = tachikoma_metrics.__path__
    return sorted(find_commands(str(Path(folder) / "management")))


def section(name: str) -> Iterator[str]:
    """Yield the section of a command."""
    command = load_command_class(PACKAGE, name)
    yield f"## `{name}`"
    yield command.help
    yield from synopsis(name, list(own_actions(name)))
    if name == "metrics_doctor":
        yield "The `check` of a finding is one of:"
        yield markdown.bullets(f"`{slug}`: {about}" for slug, about in doctor.CHECKS.items())


def synopsis(name: str, actions: list[Action]) -> Iterator[str]:
    """Yield how a command is called, and its arguments; the same for each of its subcommands."""
    subcommands = [action for action in actions if isinstance(action, _SubParsersAction)]
    if not subcommands:
        yield f"```text\n{usage(name, actions)}\n```"
        if actions:
            yield markdown.bullets(option(action) for action in actions)
    for action in subcommands:
        helps = {one.dest: one.help for one in action._choices_actions}
        for each, parser in action.choices.items():
            yield str(helps[each])
            yield from synopsis(f"{name} {each}", list(_own_actions(parser)))


def own_actions(name: str) -> Iterator[Action]:
    """Yield the arguments of a command that Django does not add to all commands."""
    yield from _own_actions(load_command_class(PACKAGE, name).create_parser("manage.py", name))


def _own_actions(parser: ArgumentParser) -> Iterator[Action]:
    for action in parser._actions:
        is_common = {"-h", *DjangoHelpFormatter.show_last} & {*action.option_strings}
        if not is_common:
            yield action


def usage(name: str, actions: list[Action]) -> str:
    """Return the synopsis of a command."""
    return " ".join(["manage.py", name, *map(_in_usage, actions)])


def option(action: Action) -> str:
    """Return what an argument does."""
    named = ", ".join(f"`{choice}`" for choice in action.choices or ())
    choices = f" One of {named}." if named else ""
    default = f" Default: `{action.default}`." if _has_default(action) else ""
    return f"`{_written(action)}`: {action.help}{choices}{default}"


def _written(action: Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return value
    flags = ", ".join(action.option_strings)
    return flags if action.nargs == 0 else f"{flags} {value}"


def _in_usage(action: Action) -> str:
    is_needed = action.required if action.option_strings else action.nargs not in ("?", "*")
    return _written(action) if is_needed else f"[{_written(action)}]"


def _has_default(action: Action) -> bool:
    return action.nargs != 0 and action.default not in (None, "", [])
