"""Write the reference of metrics and settings from their declarations.

python docs/generate.py          writes docs/metrics.md and docs/settings.md
python docs/generate.py --check  says whether they are current, and writes nothing
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tachikoma_metrics import catalogue
from tachikoma_metrics.conf import NAME, SETTINGS, Setting
from tachikoma_metrics.definitions import Family, Histogram

HERE = Path(__file__).resolve().parent
NOTICE = "<!-- Written by docs/generate.py; change the declarations instead. -->"


def metrics_page() -> str:
    """Return the reference of all families."""
    families = list(catalogue.FAMILIES.values())
    sections = {
        "Standard families": [f for f in families if f in catalogue.SPECIFIED],
        "Opt-in families": [f for f in families if f.opt_in],
        "The app's own health": [f for f in families if f.is_own_health],
    }
    return page(
        "# Metrics",
        NOTICE,
        "Labels in parentheses are optional: `LABELS` adds them, and to families that have "
        "`method` and `path` also those that `EXTRA_LABELS` defines. Opt-in families are "
        "switched on by `EXTRA_METRICS`.",
        *(part for title, group in sections.items() for part in section(title, group)),
        "## Labels",
        *(labels_of(families)),
    )


def section(title: str, families: Iterable[Family]) -> Iterator[str]:
    """Yield a section: its heading and the table of its families."""
    yield f"## {title}"
    yield table(
        ("family", "type", "labels", "one unit of its value", "recorded by"),
        (
            (f"`{f.name}`", f.type, label_list(f), meaning_of(f), f.fed_by.replace("|", "\\|"))
            for f in families
        ),
    )


def label_list(family: Family) -> str:
    """Return the labels of a family, the optional ones in parentheses."""
    standard = [f"`{label.name}`" for label in family.labels]
    return ", ".join(standard + [f"(`{label.name}`)" for label in family.optional])


def meaning_of(family: Family) -> str:
    """Return the help of a family, with the buckets of a histogram."""
    if not isinstance(family, Histogram):
        return family.help
    bounds = " ".join(f"{bound:g}" for bound in family.buckets)
    return f"{family.help} Buckets: {bounds}."


def labels_of(families: Iterable[Family]) -> Iterator[str]:
    """Yield the table of what the labels' values are."""
    used: dict[tuple[str, str], list[str]] = {}
    for family in families:
        for label in family.labels + family.optional:
            used.setdefault((label.name, label.values), []).append(f"`{family.name}`")
    yield table(
        ("label", "values", "of"),
        ((f"`{name}`", values, ", ".join(of)) for (name, values), of in used.items()),
    )


def settings_page() -> str:
    """Return the reference of all settings."""
    return page(
        "# Settings",
        NOTICE,
        f"All keys of one dictionary, `{NAME}`; every one has a default. A wrong value, an "
        "unknown key or an unknown family is an error of `manage.py check`, with the remedy. "
        "A server that starts without checks uses the default in place of a wrong value, logs "
        'it, and counts it in `tachikoma_metrics_errors_total{source="settings"}`.',
        settings_table(SETTINGS.values()),
    )


def settings_table(settings: Iterable[Setting]) -> str:
    """Return the table of some settings."""
    return table(
        ("key", "default", "should be", "meaning"),
        (
            (f"`{setting.key}`", default_of(setting), setting.rule.expectation, setting.meaning)
            for setting in settings
        ),
    )


def default_of(setting: Setting) -> str:
    """Return the default as one would write it in settings."""
    default = setting.default
    if setting.key == "GLOBAL_LABELS":
        return "`{}`"
    if isinstance(default, tuple):
        return f"`{[*default]!r}`"
    return f"`{default!r}`"


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def page(*parts: str) -> str:
    """Return a page made of its parts."""
    return "\n\n".join(parts) + "\n"


PAGES = {"metrics.md": metrics_page, "settings.md": settings_page}


def main(arguments: list[str]) -> int:
    """Write the pages, or check them; return the exit code."""
    stale = [name for name, make in PAGES.items() if current(name) != make()]
    if "--check" in arguments:
        for name in stale:
            print(f"docs/{name} is not current; run `python docs/generate.py`.", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (HERE / name).write_text(PAGES[name](), encoding="utf-8")
    return 0


def current(name: str) -> str | None:
    """Return the committed text of a page, or None if there is none."""
    path = HERE / name
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
