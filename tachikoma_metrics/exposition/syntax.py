"""The syntax that the formats share: numbers, labels and timestamps."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.samples import Timestamp
from prometheus_client.utils import floatToGoString

from tachikoma_metrics.exposition.names import label_name

SMALLEST_WITH_EXPONENT = 1e6
"""From here on Go, whose number format the expositions use, writes an exponent."""

_LATEST = 2**63 / 1000
"""The first seconds whose milliseconds overflow the integer that Prometheus parses."""


def number(value: float) -> str:
    """Format a number as the formats require it, which is as Go does.

    https://prometheus.io/docs/specs/om/open_metrics_spec/#considerations-canonical-numbers
    """
    if 0 <= value < SMALLEST_WITH_EXPONENT:
        return repr(value)
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]  # It has no types.


def valid_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels by their valid names, sorted by these.

    Raises ``ValueError`` for names that are equal once they are valid, that are empty, or that
    are reserved: Prometheus would reject the whole exposition for one of them.
    """
    valid: dict[str, str] = {}
    for legal, name in sorted((label_name(name), name) for name in labels):
        if not legal or legal in valid or legal.startswith("__"):
            raise ValueError(
                f"Label names must differ, not be empty and not begin with `__`; "
                f"got {list(labels)}."
            )
        valid[legal] = str(labels[name])
    return valid


def label_pairs(labels: Mapping[str, str]) -> dict[str, str]:
    """Format labels, by their valid names, sorted by name; raise as ``valid_labels`` does."""
    return {name: f'{name}="{escape(value)}"' for name, value in valid_labels(labels).items()}


def escape(text: str) -> str:
    """Escape text for quotes."""
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def timestamp_text(timestamp: object) -> str:
    """Format a time in seconds, as OpenMetrics and strict parsers require it: without exponent.

    Raises ``ValueError`` or ``TypeError`` for another value.
    """
    seconds = float(timestamp)  # type: ignore[arg-type]  # Other values raise.
    if not abs(seconds) < _LATEST:
        raise ValueError(f"A timestamp must be a time in seconds; got {timestamp!r}.")
    if isinstance(timestamp, Timestamp) and timestamp.sec > 0:
        return str(timestamp)
    if isinstance(timestamp, int):
        return str(int(timestamp))
    text = repr(seconds)
    return f"{seconds:.9f}" if "e" in text else text
