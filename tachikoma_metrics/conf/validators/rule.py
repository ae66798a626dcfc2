"""A rule: what a value must be, in words and as a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

_NOT_GIVEN = object()


class InvalidValue(ValueError):
    """Raised by a rule for a value that does not meet it.

    Where only a part of the value is invalid, ``at`` are the keys that lead to it, and
    ``expectation``, ``got`` and ``hint`` are about that part.
    """

    def __init__(
        self,
        *at: object,
        expectation: str = "",
        got: object = _NOT_GIVEN,
        hint: str = "",
    ) -> None:
        super().__init__(expectation)
        self.at = at
        self.expectation = expectation
        self.got = got
        self.hint = hint

    @property
    def is_about_a_part(self) -> bool:
        """Return whether it says which part of the value is invalid."""
        return self.got is not _NOT_GIVEN


@dataclass(frozen=True)
class Rule:
    """What a value must be.

    ``expectation`` completes "It must be …"; ``hint`` is the remedy, to which each setting adds
    an example; ``read`` returns the value in the form the code uses or raises ``InvalidValue``.
    """

    expectation: str
    hint: str
    read: Callable[[Any], Any]


def require(met: bool) -> None:
    """Raise ``InvalidValue`` unless ``met``."""
    if not met:
        raise InvalidValue


def require_part(met: bool, *at: object, must_be: str, got: object, hint: str = "") -> None:
    """Raise ``InvalidValue`` about a part of the value unless ``met``."""
    if not met:
        raise InvalidValue(*at, expectation=must_be, got=got, hint=hint)


def are_texts(values: Iterable[Any]) -> bool:
    """Return whether all values are strings, and none is empty."""
    return all(isinstance(value, str) and value for value in values)
