"""What was begun, and has nobody left who could end it.

The body of an answer that a server dropped unread, a block that an exception from outside left
before ``__exit__`` began. A finaliser would be no remedy: it runs for all that end well, too,
and of an exception from outside that comes meanwhile the interpreter tells nobody.
"""

from __future__ import annotations

import weakref
from typing import Any, Protocol


class Droppable(Protocol):
    """What can be in progress."""

    def drop(self) -> None:
        """Be over, a little later. Called while anything may be under way, by any thread."""


class _Owner(weakref.ref[Any]):
    __slots__ = ("begun",)

    begun: Droppable


_owners: dict[int, _Owner] = {}
"""Those of what is in progress, by its id."""


def watch(owner: object, begun: Droppable) -> None:
    """Have ``begun`` dropped when ``owner`` is gone, unless it is forgotten before."""
    reference = _Owner(owner, _drop)
    reference.begun = begun
    _owners[id(begun)] = reference


def forget(begun: Droppable) -> None:
    """Know that ``begun`` is over."""
    _owners.pop(id(begun), None)


def _drop(owner: _Owner) -> None:
    if _owners.pop(id(owner.begun), None) is not None:
        owner.begun.drop()
