"""What is in progress after its owner is gone, so that no code is left to end it.

Examples are the body of a response that a server dropped unread, and a block that an exception
from outside left before ``__exit__`` began. A finaliser would not do: it also runs for everything
that ends normally, and the interpreter swallows an exception from outside that arrives in it.
"""

from __future__ import annotations

import weakref
from typing import Any, Protocol


class Droppable(Protocol):
    """An object that can be in progress."""

    def drop(self) -> None:
        """End soon, but not within this call, which may interrupt any other code of any thread."""


class _Owner(weakref.ref[Any]):
    __slots__ = ("begun",)

    begun: Droppable


_owners: dict[int, _Owner] = {}
"""The owner of each object that is in progress, by the id of that object."""


def watch(owner: object, begun: Droppable) -> None:
    """Drop ``begun`` when ``owner`` is gone, unless it is forgotten before."""
    reference = _Owner(owner, _drop)
    reference.begun = begun
    _owners[id(begun)] = reference


def forget(begun: Droppable) -> None:
    """Stop watching ``begun``, which has ended."""
    _owners.pop(id(begun), None)


def _drop(owner: _Owner) -> None:
    if _owners.pop(id(owner.begun), None) is not None:
        owner.begun.drop()
