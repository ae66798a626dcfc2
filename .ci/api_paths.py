"""Write the paths of OpenAI's and Anthropic's APIs, as the sources of their SDKs have them.

    make api-paths

    python .ci/api_paths.py FOLDER...            say what has changed; exit 1 if anything has
    python .ci/api_paths.py --write FOLDER...    write tachikoma_metrics/backends/api_paths.py
    python .ci/api_paths.py --missing FOLDER...  say which paths the vocabulary lacks

Each folder holds the packages ``openai`` and ``anthropic``. Their sources are read, not run.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULE = ROOT / "tachikoma_metrics" / "backends" / "api_paths.py"
SDKS = ("anthropic", "openai")
# What the resources of both SDKs send their requests with.
VERBS = {"_get", "_post", "_put", "_patch", "_delete", "_get_api_list"}
# What the clients of Anthropic's models at other providers put in a path's place.
REPLACED = {"path", "url"}

# What the sources do not spell out: the API tells where results are, and older SDKs had more.
UNWRITTEN = frozenset({"/complete", "/messages/batches/:id/results"})

BEGINNING = '''\
"""The operations of OpenAI's and Anthropic's APIs, as path templates below ``/v1``.

Written by `make api-paths` from the sources of the SDKs that the tests run with.

https://platform.openai.com/docs/api-reference
https://docs.claude.com/en/api/overview
"""

from __future__ import annotations

API_PATHS: tuple[str, ...] = (
'''
END = ''')
"""Paths, in which ``:id`` stands for any one part."""
'''


def paths_of(folder: Path) -> set[str]:
    """Return the templates of all paths in the SDKs of a folder.

    Raises ``FileNotFoundError`` for an SDK that is not there, and ``ValueError`` for one that
    shows no paths, as it would if its sources were written in another way.
    """
    found: set[str] = set()
    for sdk in SDKS:
        package = folder / sdk
        if not package.is_dir():
            raise FileNotFoundError(f"{folder} should hold the package {sdk}.")
        paths = set(_paths_of_package(package))
        if len(paths) < 30:
            raise ValueError(f"{package} should have paths; found {sorted(paths)}.")
        found |= paths
    return found


def _paths_of_package(package: Path) -> Iterator[str]:
    for file in (package / "resources").rglob("*.py"):
        yield from map(template, filter(None, map(_requested, _nodes(file))))
    for file in (package / "lib").glob("*/_client.py"):
        yield from map(template, filter(None, map(_assigned, _nodes(file))))


def _nodes(file: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(file.read_text()))


def _requested(node: ast.AST) -> str:
    """Return the path that a call of a verb has; "" for anything else."""
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in VERBS and node.args:
        return _path(node.args[0])
    return ""


def _assigned(node: ast.AST) -> str:
    """Return the path that is assigned in place of another; "" for anything else."""
    if not isinstance(node, ast.Assign):
        return ""
    targets = {getattr(target, "attr", getattr(target, "id", "")) for target in node.targets}
    return _path(node.value) if targets & REPLACED else ""


def _path(node: ast.expr) -> str:
    written = _written(node).partition("?")[0]
    return written if written.startswith("/") else ""


def _written(node: ast.expr) -> str:
    if isinstance(node, ast.Call) and node.args:
        return _written(node.args[0])
    if isinstance(node, ast.JoinedStr):
        return "".join(_written(part) or "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def template(path: str) -> str:
    """Return a path below ``/v1``, with ``:id`` for every part that an SDK fills in."""
    parts = path.removeprefix("/v1").split("/")
    return "/".join(":id" if re.search(r"\{[^}]*\}", part) else part for part in parts)


def module_with(paths: Iterable[str]) -> str:
    """Return the source of the module that has these paths."""
    return BEGINNING + "".join(f'    "{path}",\n' for path in sorted(paths)) + END


def known() -> set[str]:
    """Return the paths that the module has; none if there is no module."""
    if not MODULE.exists():
        return set()
    return set(re.findall(r'^    "(/.*)",$', MODULE.read_text(), flags=re.MULTILINE))


def report(found: frozenset[str], *, newer_alone: bool) -> int:
    """Print how the module differs from what was found; return 1 if it does."""
    added = [f"+ {path}" for path in sorted(found - known())]
    gone = [] if newer_alone else [f"- {path}" for path in sorted(known() - found)]
    print("\n".join(added + gone) or "The vocabulary of API paths is current.")
    return 1 if added or gone else 0


def main(arguments: list[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the module")
    parser.add_argument("--missing", action="store_true", help="paths that went are no change")
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    chosen = parser.parse_args(arguments)
    found = UNWRITTEN.union(*map(paths_of, chosen.folders))
    if chosen.write:
        MODULE.write_text(module_with(found))
        return 0
    return report(found, newer_alone=chosen.missing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
