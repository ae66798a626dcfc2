"""Static analysis of an ASGI application: whether its WebSockets bypass the middleware.

Importing the application would start it. Instead its source is parsed, and the source of the
modules of the project that it imports.
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

_MAX_MODULES = 50
_MAX_SOURCE_BYTES = 1_000_000
_THIRD_PARTY = frozenset({"site-packages", "dist-packages"})


@dataclass
class Source:
    """What the source of a module uses and imports."""

    mentions_websockets: bool = False
    uses: set[str] = field(default_factory=set)
    imports: list[str] = field(default_factory=list)

    @property
    def routes_websockets(self) -> bool:
        """Return whether it has a router of Channels with a key for WebSockets."""
        return self.mentions_websockets and ROUTER in self.uses


def bypasses_middleware(module: str) -> bool:
    """Return whether an application in ``module`` routes WebSockets, and nothing wraps it.

    False if that is unknown: the module does not exist, or its source cannot be read.
    """
    routes = False
    for source in _sources(module):
        # Stop here: each command of manage.py waits for this.
        if WRAPPER in source.uses:
            return False
        routes |= source.routes_websockets
    return routes


def _sources(module: str) -> Iterator[Source]:
    """Yield the module and each module that it imports, directly or indirectly."""
    first = _read(module)
    # The application itself need not use a router.
    yield replace(first, uses=first.uses | {ROUTER})
    seen, waiting = {module}, list(first.imports)
    while waiting and len(seen) < _MAX_MODULES:
        name = waiting.pop(0)
        if name not in seen:
            seen.add(name)
            source = _read(name)
            yield source
            waiting += source.imports


def _read(name: str) -> Source:
    file = None if name.partition(".")[0] in sys.stdlib_module_names else _file_of(name)
    if file is None or _THIRD_PARTY & set(file.parts):
        return Source()
    try:
        if file.stat().st_size > _MAX_SOURCE_BYTES:
            return Source()
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return Source()
    is_package = file.name == "__init__.py"
    return _source(tree, name if is_package else name.rpartition(".")[0])


def _file_of(name: str) -> Path | None:
    """Return the file of a module without importing it."""
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
        found.mentions_websockets |= any(map(_is_websocket, _compared(node)))
        name = getattr(node, "id", "") or getattr(node, "attr", "")
        found.uses.add(name)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            renamed |= {one.asname: one.name for one in node.names if one.asname}
            found.imports += _imported(node, package)
    found.uses |= {renamed[name] for name in found.uses & set(renamed)}
    return found


def _compared(node: ast.AST) -> list[ast.AST | None]:
    """Return the keys of a dictionary, or the operands of a comparison or match."""
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
    # An imported name may be a module.
    yield from (f"{module}.{one.name}" for one in node.names)
