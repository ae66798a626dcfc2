"""Options of the store, which the package sets: the store does not read the settings."""

from __future__ import annotations

from collections.abc import Callable

OnError = Callable[[Exception, object], None]
"""Called with an exception, and with what it is about."""


class Options:
    """Where the store may be, and for how long totals are kept.

    ``where`` returns the directories that may be used, the best first; without any, the values
    stay in memory. ``prepare`` is called with one of them before it is used, and returns the one
    to use. ``seconds_to_keep`` returns for how long totals are kept after the last process ends,
    and ``keeps_unchanged`` whether label sets stay that no process changes any more.
    """

    def __init__(self, where: Callable[[], tuple[str, ...]] = tuple) -> None:
        self.where = where
        self.prepare: Callable[[str], str] = str
        self.seconds_to_keep: Callable[[], float] = lambda: 0.0
        self.keeps_unchanged: Callable[[], bool] = lambda: False
        self.on_error: OnError = lambda error, about: None
