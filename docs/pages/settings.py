"""The reference of settings, from their declarations."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from pages import markdown
from tachikoma_metrics.conf import NAME, SETTINGS, Setting

INTRODUCTION = f"""\
All settings are optional keys of one dictionary, `{NAME}`. `manage.py check` reports invalid
values, unknown keys and unknown metrics, with the fix. A server that starts without checks logs an
invalid value, uses the default in its place, and counts the error in
`tachikoma_metrics_errors_total{{source="settings"}}`; an invalid access setting
[denies all access](../guides/access.md) instead."""

EXAMPLE = f"""\
```python
{NAME} = {{
    {SETTINGS["NAMESPACE"].entry},
    {SETTINGS["EXCLUDE_PATHS"].entry},
}}
```"""


def page() -> str:
    """Return the reference of all settings, by topic."""
    return markdown.page(
        "# Settings",
        markdown.NOTICE,
        INTRODUCTION,
        EXAMPLE,
        *(
            part
            for topic, settings in groupby(SETTINGS.values(), lambda one: one.topic)
            for part in _topic(topic, settings)
        ),
    )


def _topic(topic: str, settings: Iterator[Setting]) -> Iterator[str]:
    yield f"## {topic}"
    for setting in settings:
        yield from section(setting)


def section(setting: Setting) -> Iterator[str]:
    """Yield the section of a setting."""
    yield f"### `{setting.key}`"
    yield setting.meaning
    yield markdown.bullets(
        (
            f"Type: {setting.rule.expectation}",
            f"Default: {default_of(setting)}",
            f"Example: `{setting.entry}`",
            f"Check: [{setting.id}](checks.md#{setting.id.lower()})",
        )
    )


def default_of(setting: Setting) -> str:
    """Return the default as one would write it in settings."""
    default = setting.default
    if setting.key == "GLOBAL_LABELS":
        return "`{}`"
    if isinstance(default, tuple):
        return f"`{[*default]!r}`"
    return f"`{default!r}`"
