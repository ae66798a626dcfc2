"""A Celery broker that is a folder, with a file for each message: kombu's, for several processes.

kombu creates a file under its final name and then writes it, so a worker may read an
incomplete one.

https://docs.celeryq.dev/projects/kombu/en/stable/reference/kombu.transport.filesystem.html
"""

from __future__ import annotations

import contextlib
import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """Give a file its name once it is complete."""

    def _queue_bind(self, exchange: str, *binding: Any) -> None:
        self.control_folder.mkdir(exist_ok=True)
        complete = self.control_folder / f"{uuid.uuid4()}.incomplete"
        complete.write_text("[]")
        with contextlib.suppress(FileExistsError):
            (self.control_folder / f"{exchange}.exchange").hardlink_to(complete)
        complete.unlink()
        super()._queue_bind(exchange, *binding)  # type: ignore[no-untyped-call]

    # The classes of kombu disagree on the second name.
    def _put(  # type: ignore[override]
        self, queue: str, payload: Any, **kwargs: Any
    ) -> None:
        folder = Path(self.data_folder_out)
        name = f"{time.monotonic_ns() // 1_000_000}_{uuid.uuid4()}"
        incomplete = folder / f"{name}.incomplete"
        incomplete.write_text(dumps(payload))  # type: ignore[no-untyped-call]
        incomplete.rename(folder / f"{name}.{queue}.msg")


class Transport(filesystem.Transport):
    """The transport of kombu, with these channels."""

    Channel = Channel
