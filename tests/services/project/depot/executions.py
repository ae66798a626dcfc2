from __future__ import annotations

import os
import time
from pathlib import Path

from tachikoma_metrics import track_execution

ANSWER = {
    "object": "chat.completion",
    "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
}


def execute() -> None:
    """Execute something, as if a language model had answered."""
    with track_execution("openai", "gpt-5") as execution:
        execution.usage(ANSWER)


def execute_slowly() -> None:
    """Tell the file ``waiting`` who executes, and wait for it to go."""
    waiting = Path("waiting")
    with track_execution("openai", "gpt-5"):
        waiting.write_text(str(os.getpid()))
        while waiting.exists():
            time.sleep(0.01)
