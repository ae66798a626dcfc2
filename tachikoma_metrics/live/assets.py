"""The files of the page, under names that change with their content.

They are served by a view of this package: no ``collectstatic``, no other host.

``uplot.js`` and ``uplot.css`` are ``dist/uPlot.iife.min.js`` and ``dist/uPlot.min.css`` of uPlot
1.6.32 (https://www.npmjs.com/package/uplot, MIT, see ``uplot-license.txt``), unchanged.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "assets"
NAMES = ("icon.svg", "live.css", "live.js", "uplot.css", "uplot.js")

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_DIGITS = 12


@dataclass(frozen=True)
class Asset:
    """A file of the page; ``name`` has a hash of its content, ``compressed`` is by gzip."""

    name: str
    content_type: str
    content: bytes
    compressed: bytes


@lru_cache(1)
def assets() -> dict[str, Asset]:
    """Return the files by the names in the package; read once."""
    return {name: _read(name) for name in NAMES}


def find(hashed_name: str) -> Asset | None:
    """Return the file of this hashed name; None if there is none."""
    return next((asset for asset in assets().values() if asset.name == hashed_name), None)


def _read(name: str) -> Asset:
    content = (FOLDER / name).read_bytes()
    stem, suffix = name.rsplit(".", 1)
    digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
    return Asset(
        f"{stem}.{digest}.{suffix}",
        _TYPES[suffix],
        content,
        gzip.compress(content, mtime=0),
    )
