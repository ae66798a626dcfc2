"""Write what the documentation says that the code says already.

python docs/generate.py          writes the pages below, and parts of others
python docs/generate.py --check  says whether they are current, and writes nothing
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from pages import project  # noqa: E402  # It is found beside this file.

# Some of what is documented needs loaded apps.
project.set_up()

from pages import (  # noqa: E402
    checks,
    commands,
    contents,
    figures,
    markdown,
    metrics,
    monitoring,
    series,
    settings,
    summary,
    views,
)

Texts = dict[str, str]

PAGES: dict[str, Callable[[], str]] = {
    "monitoring/dashboard.json": monitoring.dashboard,
    "monitoring/rules.yml": monitoring.rules,
    "reference/alerts.md": monitoring.runbook,
    "reference/checks.md": checks.page,
    "reference/commands.md": commands.page,
    "reference/metrics.md": metrics.page,
    "reference/settings.md": settings.page,
    "reference/views.md": views.page,
}
"""Files of which every word is derived."""

PARTS: dict[str, dict[str, Callable[[Texts], str]]] = {
    "benchmarks.md": {"summary": lambda texts: summary.table(texts["benchmarks.md"])},
    "explanation/cost.md": {
        "figures": lambda texts: figures.table(texts["benchmarks.md"]),
        "scrapes": lambda texts: figures.scrapes(texts["benchmarks.md"]),
    },
    "explanation/scaling.md": {
        "series": lambda texts: series.table(),
        "background": lambda texts: series.background_table(),
        "savings": lambda texts: series.savings(),
        "hosts": lambda texts: series.hosts(),
    },
}
"""Pages with derived parts, which stand between marks."""


def derived(committed: Texts) -> Texts:
    """Return the files that are derived, in whole or in part, as they should be."""
    made = {name: make() for name, make in PAGES.items()}
    for name, makers in PARTS.items():
        made[name] = committed[name]
        for part, make in makers.items():
            made[name] = markdown.replaced(made[name], part, make(committed))
    made["benchmarks.svg"] = summary.chart(committed["benchmarks.md"])
    made["llms.txt"] = contents.page(committed | made)
    return made


def committed_texts() -> Texts:
    """Return the pages as they are, and the files beside ``docs`` that some include."""
    folders = (HERE, *(path for path in HERE.iterdir() if path.is_dir()))
    paths = [path for folder in folders for path in folder.glob("*.md")]
    texts = {path.relative_to(HERE).as_posix(): _text(path) for path in paths}
    included = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "example_project/README.md")
    texts |= {name: _text(HERE.parent / name) for name in included}
    others = (name for name in ("benchmarks.svg", "llms.txt", *PAGES) if (HERE / name).exists())
    return texts | {name: _text(HERE / name) for name in others}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Write the files, or check them; return the exit code."""
    committed = committed_texts()
    stale = {name: text for name, text in derived(committed).items() if committed.get(name) != text}
    if "--check" in arguments:
        for name in stale:
            print(f"docs/{name} is not current; run `python docs/generate.py`.", file=sys.stderr)
        return 1 if stale else 0
    for name, text in stale.items():
        (HERE / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
