"""The reference of settings, from their declarations."""

from __future__ import annotations

from collections.abc import Iterator

from pages import markdown
from tachikoma_metrics.conf import NAME, SETTINGS, Setting


def page() -> str:
    """Return the reference of all settings."""
    return markdown.page(
        "# Settings",
        markdown.NOTICE,
        f"All keys of one dictionary, `{NAME}`; every one has a default. A wrong value, an "
        "unknown key or an unknown family is an error of `manage.py check`, with the remedy. "
        "A server that starts without checks uses the default in place of a wrong value, logs "
        'it, and counts it in `tachikoma_metrics_errors_total{source="settings"}`.',
        f'```python\n{NAME} = {{\n    "NAMESPACE": "shop",\n    "EXCLUDE_PATHS": '
        '[r"^/health$"],\n}\n```',
        *(part for setting in SETTINGS.values() for part in section(setting)),
    )


def section(setting: Setting) -> Iterator[str]:
    """Yield the section of a setting."""
    yield f"## `{setting.key}`"
    yield setting.meaning
    yield markdown.bullets(
        (
            f"Default: {default_of(setting)}",
            f"Should be: {setting.rule.expectation}",
            f"Else: [{setting.id}](checks.md#{setting.id.lower()}). {setting.rule.hint}",
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
