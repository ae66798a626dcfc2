"""Write the rendered text of all pages into one file, for programs that read the whole site.

python docs/full_text.py FILE [DOCTREES]

The name ``llms-full.txt`` is that of https://llmstxt.org/. Unlike the sources, the text has
what Sphinx takes from elsewhere: included files, and the reference of the API. ``DOCTREES`` is
where an earlier build left the pages as it read them, so that they are not read again.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sphinx.cmd.build import build_main

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from pages import contents  # noqa: E402  # It is found beside this file.


def main(arguments: list[str]) -> int:
    """Write the file; return the exit code of Sphinx."""
    target, *doctrees = arguments
    with tempfile.TemporaryDirectory() as folder:
        options = ["-d", *doctrees] if doctrees else []
        code: int = build_main(["-b", "text", "-q", *options, str(HERE), folder])
        Path(target).write_text("\n\n".join(_texts(Path(folder))), encoding="utf-8")
    return code


def _texts(folder: Path) -> Iterator[str]:
    """Yield the text of each page after its address, in the order of the site."""
    sources = {path.relative_to(HERE).as_posix(): "" for path in HERE.rglob("*.md")}
    index = (HERE / "index.md").read_text(encoding="utf-8")
    names = ["index.md"]
    for _, part in contents.parts(index, sources):
        names += part
    for name in names:
        stem = name.removesuffix(".md")
        text = (folder / f"{stem}.txt").read_text(encoding="utf-8")
        yield f"<{contents.SITE}/{stem}.html>\n\n{text.strip()}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
