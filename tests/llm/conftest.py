from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.llm.recorded import (
    in_progress,
)


@pytest.fixture(autouse=True)
def _nothing_stays_in_progress() -> Iterator[None]:
    yield
    assert in_progress() in (0, None)
