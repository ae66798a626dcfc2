"""The exposition as a text file, for node_exporter, and to a Pushgateway.

https://github.com/prometheus/node_exporter#textfile-collector
https://github.com/prometheus/pushgateway
"""

from __future__ import annotations

import base64
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit

from prometheus_client import CollectorRegistry, Metric, push_to_gateway
from prometheus_client.exposition import default_handler
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tachikoma_metrics.exposition import TEXT_WITHOUT_TIMESTAMPS, Format, OnError
from tachikoma_metrics.interruptions import suppress
from tachikoma_metrics.registry import METRICS

USERNAME, PASSWORD, TOKEN = "PUSHGATEWAY_USERNAME", "PUSHGATEWAY_PASSWORD", "PUSHGATEWAY_TOKEN"
"""Variables with credentials, which a list of processes does not show."""

_MODE = 0o644
_SECONDS = 30
_MOST_CHARACTERS = 200
_OF_NODE_EXPORTER = "process_"


class _TextfileFormat(Format[str]):
    """Text without timestamps, which the collector rejects, and without metrics of processes.

    node_exporter exposes metrics of these names about itself: it would drop those of the file, and
    log an error with each scrape.
    """

    content_type = TEXT_WITHOUT_TIMESTAMPS.content_type

    def render(
        self, families: Iterable[Metric], on_error: OnError, global_labels: Mapping[str, str]
    ) -> str:
        """Return the text of the families that node_exporter does not have itself."""
        kept = (one for one in families if not one.name.startswith(_OF_NODE_EXPORTER))
        return TEXT_WITHOUT_TIMESTAMPS.render(kept, on_error, global_labels)

    def alone(self, name: str, documentation: str, value: float) -> str:
        """Return an exposition of one counter of errors, those of exposition."""
        return TEXT_WITHOUT_TIMESTAMPS.alone(name, documentation, value)


_TEXTFILE = _TextfileFormat()


def write_textfile(path: str) -> int:
    """Write the exposition to a file that is replaced at once; return its length in bytes.

    A symbolic link stays one. Raises ``OSError`` if the file cannot be written, or is no regular
    one, such as a device; then it is as it was. Raises ``Incomplete`` as ``METRICS.expose`` does.
    """
    path = os.path.realpath(path)
    # A rename would replace a device or a named pipe.
    if os.path.isdir(path):
        raise IsADirectoryError("it is a directory")
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError("it is not a regular file")
    content = METRICS.expose(_TEXTFILE).encode()
    folder, name = os.path.split(path)
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
    """Replace the values of a group at a Pushgateway; raise ``OSError`` if that fails.

    Credentials are those of the URL, or of the variables ``PUSHGATEWAY_*``.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Merged())
    address, authorization = _without_credentials(url)

    def handler(
        url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
    ) -> Callable[[], None]:
        more = [("Authorization", authorization)] if authorization else []
        return default_handler(url, method, timeout, [*headers, *more], data)

    try:
        push_to_gateway(address, job, registry, dict(grouping_key), _SECONDS, handler)
    except HTTPError as error:
        raise OSError(_answer_of(error)) from error
    except URLError as error:
        reason = error.reason
        raise OSError(getattr(reason, "strerror", None) or str(reason)) from error
    except (HTTPException, UnicodeError) as error:
        # What answers does not speak HTTP, or the host cannot be a name.
        raise OSError(f"{type(error).__name__}: {error}") from error


def _without_credentials(url: str) -> tuple[str, str]:
    """Return the URL, and the header ``Authorization``; "" without credentials."""
    parts = urlsplit(url)
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    username = unquote(parts.username or "") or os.environ.get(USERNAME, "")
    password = unquote(parts.password or "") or os.environ.get(PASSWORD, "")
    if username or password:
        pair = base64.b64encode(f"{username}:{password}".encode()).decode()
        return address, f"Basic {pair}"
    token = os.environ.get(TOKEN, "").strip()
    return address, f"Bearer {token}" if token else ""


def _answer_of(error: HTTPError) -> str:
    """Return the status, and the text that a Pushgateway answers with."""
    text = ""
    with error, suppress(OSError, HTTPException):
        text = " ".join(error.read(_MOST_CHARACTERS).decode(errors="replace").split())
    status = f"status {error.code} {error.reason}".rstrip()
    return f"{status}: {text}" if text else status
