"""The exposition as a text file, for node_exporter, and to a Pushgateway.

https://github.com/prometheus/node_exporter#textfile-collector
https://github.com/prometheus/pushgateway
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Metric, push_to_gateway
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tachikoma_metrics.exposition import TEXT_WITHOUT_TIMESTAMPS
from tachikoma_metrics.interruptions import suppress
from tachikoma_metrics.registry import METRICS

_MODE = 0o644
_SECONDS = 30


def write_textfile(path: str) -> int:
    """Write the exposition to a file that is replaced at once; return its length in bytes.

    It has no timestamps, which the collector rejects. Raises ``OSError`` if it cannot be written;
    then the file is as it was. Raises ``Incomplete`` as ``METRICS.expose`` does.
    """
    content = METRICS.expose(TEXT_WITHOUT_TIMESTAMPS).encode()
    folder, name = os.path.split(os.path.abspath(path))
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a directory")
    # The collector reads files named `*.prom` alone.
    descriptor, unfinished = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            # It is read by another user's process.
            os.fchmod(descriptor, _mode_of(path))
            os.fsync(descriptor)
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished)
        raise
    return len(content)


def _mode_of(path: str) -> int:
    """Return the permissions that the file has; those of a new one are for everybody to read."""
    with suppress(OSError):
        return stat.S_IMODE(os.stat(path).st_mode)
    return _MODE


class _Merged(Collector):
    """Collect the values of all processes, as they are exposed."""

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of the exposition, without timestamps: a Pushgateway rejects them."""
        text = METRICS.expose(TEXT_WITHOUT_TIMESTAMPS)
        return text_string_to_metric_families(text)


def push_to(url: str, job: str, grouping_key: Mapping[str, str]) -> None:
    """Replace the values of a group at a Pushgateway; raise ``OSError`` if that fails."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Merged())
    push_to_gateway(url, job, registry, dict(grouping_key), timeout=_SECONDS)
