"""What the setting ``EXEMPLARS`` may name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

calls: list[None] = []
"""One for each call."""

returned: list[Any] = []
"""What a call returns, the last of them."""


def exemplar() -> Any:
    calls.append(None)
    answer = returned[-1] if returned else None
    return answer() if callable(answer) else answer


def fail() -> Mapping[str, str]:
    raise LookupError("failed on purpose")


async def coroutine() -> None:
    pass


def with_argument(request: object) -> None:
    pass
