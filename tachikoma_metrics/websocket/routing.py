"""Whether the ASGI application routes WebSockets past our middleware, by its source.

To import the application would be to start it: the source is read, and that of the project's
modules it imports from. Nothing is imported, run or opened for writing.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

WEBSOCKET = "websocket"
WRAPPER = "WebSocketMetricsMiddleware"
ROUTER = "ProtocolTypeRouter"

_MOST_MODULES = 50
_LONGEST_SOURCE = 1_000_000
_OF_OTHERS = frozenset({"site-packages", "dist-packages"})


@dataclass
class Source:
    """Tell what the source of a module says of WebSockets, and what it imports."""

    names_websockets: bool = False
    uses: set[str] = field(default_factory=set)
    imports: list[str] = field(default_factory=list)

    @property
    def routes(self) -> bool:
        """Tell whether it has a router of Channels, with a place for WebSockets."""
        return self.names_websockets and ROUTER in self.uses


def unmeasured(module: str) -> bool:
    """Tell whether an application in ``module`` routes WebSockets, and nothing wraps it.

    False where nothing can be known: no such module, or none whose source can be read.
    """
    routes = False
    for source in _sources(module):
        # No more has to be read, which takes its time at each command.
        if WRAPPER in source.uses:
            return False
        routes |= source.routes
    return routes


def _sources(module: str) -> Iterator[Source]:
    """Yield what the module says, and each that it imports, directly or not."""
    first = _read(module)
    # The application itself need not use a router.
    yield replace(first, uses=first.uses | {ROUTER})
    seen, waiting = {module}, list(first.imports)
    while waiting and len(seen) < _MOST_MODULES:
        name = waiting.pop(0)
        if name not in seen:
            seen.add(name)
            source = _read(name)
            yield source
            waiting += source.imports


def _read(name: str) -> Source:
    file = None if name.partition(".")[0] in sys.stdlib_module_names else _file_of(name)
    if file is None or _OF_OTHERS & set(file.parts):
        return Source()
    try:
        if file.stat().st_size > _LONGEST_SOURCE:
            return Source()
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return Source()
    is_package = file.name == "__init__.py"
    return _source(tree, name if is_package else name.rpartition(".")[0])


def _file_of(name: str) -> Path | None:
    """Return the file of a module that may not have been imported."""
    folders: list[str] | None = None
    spec = None
    for depth in range(1, name.count(".") + 2):
        part = ".".join(name.split(".")[:depth])
        try:
            spec = _spec_of(part, folders)
        except Exception:
            return None
        if spec is None:
            return None
        folders = list(spec.submodule_search_locations or ())
    is_source = spec is not None and str(spec.origin).endswith(".py")
    return Path(str(spec.origin)) if spec is not None and is_source else None


def _spec_of(name: str, folders: list[str] | None) -> ModuleSpec | None:
    loaded = getattr(sys.modules.get(name), "__spec__", None)
    return loaded or PathFinder.find_spec(name, folders)


def _source(tree: ast.Module, package: str) -> Source:
    found = Source()
    renamed: dict[str, str] = {}
    for node in ast.walk(tree):
        found.names_websockets |= any(map(_is_websocket, _compared(node)))
        name = getattr(node, "id", "") or getattr(node, "attr", "")
        found.uses.add(name)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            renamed |= {one.asname: one.name for one in node.names if one.asname}
            found.imports += _imported(node, package)
    found.uses |= {renamed[name] for name in found.uses & set(renamed)}
    return found


def _compared(node: ast.AST) -> list[ast.AST | None]:
    """Return what a piece of source has as keys, or compares something with."""
    if isinstance(node, ast.Dict):
        return list(node.keys)
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.MatchValue):
        return [node.value]
    return []


def _is_websocket(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value == WEBSOCKET


def _imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (one.name for one in node.names)
        return
    above = package.split(".")
    start = ".".join(above[: len(above) - node.level + 1]) if node.level else ""
    module = ".".join(filter(None, (start, node.module)))
    yield module
    # What is imported may be a module itself.
    yield from (f"{module}.{one.name}" for one in node.names)
