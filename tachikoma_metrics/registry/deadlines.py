"""What has to be asked of others for a page, and may take them too long.

Each question is asked in a thread of its own, for which nobody waits longer than a
second, or some. Whoever did not answer in time is not waited for again until he has.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, Generic, TypeVar

Answer = TypeVar("Answer")

TIMEOUT_SECONDS = 1.0

_SECONDS_TO_GIVE_UP = 30.0
_MOST_GIVEN_UP = 3


class TimedCall(Generic[Answer]):
    """Ask, from now on; ``seconds_to_wait`` is how long the page waits for the answer.

    Who takes longer than ``seconds_to_answer`` was slow.

    ``on_error`` is told, once, that there was none: of the exception that was raised, or
    of a ``TimeoutError`` that says ``when_late``.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[], Answer],
        on_error: Callable[[Exception], object],
        when_late: str,
        seconds_to_wait: float,
        seconds_to_answer: float = TIMEOUT_SECONDS,
    ) -> None:
        self._seconds_to_answer = seconds_to_answer
        self.answer: Answer | None = None
        self.took = 0.0
        self.began_at = monotonic()
        self._ask = ask
        self._on_error: Callable[[Exception], object] | None = on_error
        self._when_late = when_late
        self._give_up_at = self.began_at + seconds_to_wait
        self._is_waited_for = seconds_to_wait > 0
        self._is_over = threading.Event()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    @property
    def is_over(self) -> bool:
        """Tell whether there was an answer or a failure."""
        return self._is_over.is_set()

    @property
    def was_slow(self) -> bool:
        """Tell whether to wait was, or would have been, in vain."""
        return self.took > self._seconds_to_answer

    def wait(self, at_most: float = math.inf) -> Answer | None:
        """Return the answer; None if there is none in time, or in ``at_most`` seconds."""
        seconds = min(self._give_up_at - monotonic(), at_most)
        if self._is_over.wait(max(0.0, seconds)):
            return None if self.was_slow else self.answer
        # Whoever is not waited for is late if he takes too long, which he tells himself.
        if self._is_waited_for:
            self._fail(TimeoutError(self._when_late))
        return None

    def _run(self) -> None:
        try:
            self.answer = self._ask()
        except Exception as error:
            self._fail(error)
        except BaseException as error:
            # Of gevent's timeouts some are none, and nobody above is waiting for this.
            self._fail(RuntimeError(repr(error)))
        finally:
            self.took = monotonic() - self.began_at
            try:
                if self.was_slow:
                    self._fail(TimeoutError(self._when_late))
            finally:
                self._is_over.set()

    def _fail(self, error: Exception) -> None:
        # One that is late and then fails is one fault.
        on_error, self._on_error = self._on_error, None
        if on_error is not None:
            on_error(error)


class TimedCalls:
    """Remember, by name, what was asked last, so that nobody is asked twice at a time."""

    def __init__(self, seconds_to_answer: float = TIMEOUT_SECONDS) -> None:
        self._seconds_to_answer = seconds_to_answer
        self.forget()

    def forget(self) -> None:
        """Forget the threads, in a forked child: they are the parent's."""
        self._lock = threading.Lock()
        self._asked: dict[str, TimedCall[Any]] = {}
        self._given_up: list[TimedCall[Any]] = []

    def put(
        self,
        name: str,
        ask: Callable[[], Answer],
        on_error: Callable[[Exception], object],
        when_late: str,
    ) -> TimedCall[Answer]:
        """Return the question that is being asked, or ask it now."""
        with self._lock:
            question = self._asked.get(name)
            if question is None or question.is_over or self._gives_up(question):
                # Whoever was slow has to answer in time once before the page waits again.
                is_patient = question is None or (question.is_over and not question.was_slow)
                seconds = self._seconds_to_answer if is_patient else 0.0
                question = TimedCall(
                    name, ask, on_error, when_late, seconds, self._seconds_to_answer
                )
                self._asked[name] = question
            return question

    def drop(self, name: str) -> None:
        """Forget a question that was answered in time."""
        with self._lock:
            self._asked.pop(name, None)

    def _gives_up(self, question: TimedCall[Any]) -> bool:
        """Tell whether to ask again, for the answer may never come: it hangs in the network."""
        if monotonic() - question.began_at < _SECONDS_TO_GIVE_UP:
            return False
        self._given_up = [one for one in self._given_up if not one.is_over]
        if len(self._given_up) >= _MOST_GIVEN_UP:
            return False
        self._given_up.append(question)
        return True
