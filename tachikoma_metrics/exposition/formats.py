"""What a format of the exposition is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from prometheus_client import Metric

from tachikoma_metrics.exposition.families import OnError

Exposition = TypeVar("Exposition", str, bytes)


class Format(ABC, Generic[Exposition]):
    """Render families in the format that a content type names, as text or as bytes."""

    content_type: str

    @abstractmethod
    def render(
        self,
        families: Iterable[Metric],
        on_error: OnError,
        global_labels: Mapping[str, str],
    ) -> Exposition:
        """Return the exposition; text is such as UTF-8 can encode.

        Global labels are added to every sample; a label of the sample with the same name takes
        precedence. ``on_error`` is called with what is omitted.
        """

    @abstractmethod
    def alone(self, name: str, documentation: str, value: float) -> Exposition:
        """Return an exposition of one counter of errors, those of exposition."""
