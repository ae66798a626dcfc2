from __future__ import annotations

from unittest import mock

import pytest

from tachikoma_metrics import track_backend_request, track_execution
from tachikoma_metrics.backends.attempts import Attempt
from tachikoma_metrics.llm.executions import Execution
from tachikoma_metrics.testing import samples


@pytest.mark.parametrize(
    ("block", "begun", "source"),
    [(track_execution, Execution, "execution"), (track_backend_request, Attempt, "backend")],
)
def test_an_error_at_the_end_of_a_block_is_counted_under_its_source(block, begun, source):
    raising = mock.patch.object(begun, "end", side_effect=RuntimeError("on purpose"))

    with raising, block("openai", "gpt-5"):
        pass

    errors = {labels: v for (name, labels), v in samples().items() if "_errors_total" in name and v}
    assert errors == {frozenset({("source", source)}): 1}
