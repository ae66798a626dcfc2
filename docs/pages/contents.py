"""The list of all pages, for programs that read it first: https://llmstxt.org/."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from pages import markdown

SITE = "https://tachikoma-metrics.readthedocs.io/en/stable"

_TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_DESCRIPTION = re.compile(r"\A---\n(?:.*\n)*?description: *(.+)\n(?:.*\n)*?---\n")
_INCLUDED = re.compile(r"^```\{include\} (?:\.\./)*(\S+)", re.MULTILINE)


def page(texts: Mapping[str, str]) -> str:
    """Return the list; ``texts`` are the pages, and what they include, by their paths."""
    index = texts["index.md"]
    return markdown.page(
        f"# {title(index)}",
        f"> {description(index)}",
        f"The Markdown of a page is at `{SITE}/_sources/`, followed by its path without `.html` "
        "and by `.md.txt`. "
        f"[llms-full.txt]({SITE}/llms-full.txt) is the rendered text of all pages in one file.",
        *(part for caption, names in parts(index, texts) for part in _part(caption, names, texts)),
    )


def parts(index: str, names: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the parts of the site, with the names of their pages, as the index has them."""
    rest = sorted(name for name in names if name.endswith(".md") and name != "index.md")
    for block in _TOCTREE.findall(index):
        options = dict(re.findall(r"^:(\w+): ?(.*)$", block, re.MULTILINE))
        entries = re.findall(r"^[^:\s].*$", block, re.MULTILINE)
        for entry in entries:
            if "*" not in entry:
                rest.remove(f"{entry}.md")
        found: list[str] = []
        for entry in entries:
            matching = [f"{entry}.md"]
            if "*" in entry:
                matching = [name for name in rest if _matches(name, entry)]
                rest = [name for name in rest if name not in matching]
            found += matching
        yield options["caption"], found[::-1] if "reversed" in options else found


def _matches(name: str, pattern: str) -> bool:
    is_as_deep = name.count("/") == pattern.count("/")
    return is_as_deep and fnmatchcase(name, f"{pattern}.md")


def _part(caption: str, names: list[str], texts: Mapping[str, str]) -> Iterator[str]:
    yield f"## {caption}"
    yield markdown.bullets(_link(name, texts) for name in names)


def _link(name: str, texts: Mapping[str, str]) -> str:
    text = texts[name]
    included = _INCLUDED.search(text)
    whole = text + texts[included[1]] if included else text
    url = f"{SITE}/{name.removesuffix('.md')}.html"
    return f"[{title(whole)}]({url}): {description(whole)}"


def title(text: str) -> str:
    """Return the title of a page."""
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    return found[1] if found else ""


def description(text: str) -> str:
    """Return what a page's front matter says of it, else its first sentence."""
    told = _DESCRIPTION.search(text)
    if told:
        return told[1].strip("\"'")
    first = next(markdown.prose(text), "")
    plain = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", first).replace("**", "")
    return re.split(r"(?<=[.?])\s", plain)[0].rstrip(":")
