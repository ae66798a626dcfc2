"""The ``OTEL_*`` variables that say where values are sent, how often, and as what.

Those with credentials, certificates, timeouts and compression are read by OpenTelemetry's exporter.
https://opentelemetry.io/docs/specs/otel/protocol/exporter/
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
import socket
import uuid
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

from tachikoma_metrics import conf
from tachikoma_metrics.interruptions import suppress

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
METRICS_ENDPOINT = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
PROTOCOLS = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HEADERS = ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
TIMEOUTS = ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
HTTP_PROTOBUF = "http/protobuf"

DEFAULT_INTERVAL = 15.0
SHORTEST_INTERVAL = 1.0
LONGEST_TIMEOUT = 60.0
"""In other languages the variable is in milliseconds: of 10000, a thread would wait for hours."""
_DEFAULT_ENDPOINT = "http://localhost:4318"
_PATH = "/v1/metrics"
_HEADER = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
"""The name of a header. https://www.rfc-editor.org/rfc/rfc9110#name-tokens"""
_SPACE = re.compile(r"\s")

_IDENTITIES = uuid.UUID("5a7e5b3c-8a36-5d0e-9a0b-3f1d6a0c7c11")
"""The namespace of the identities, which are UUIDs made from names."""


def is_installed() -> bool:
    """Return whether the extra ``otlp`` is installed; imports nothing of it."""
    with suppress(ImportError, ValueError):
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    return False


def has_endpoint() -> bool:
    """Return whether a variable names the receiver."""
    return bool(os.environ.get(METRICS_ENDPOINT) or os.environ.get(ENDPOINT))


def name_of_endpoint() -> str:
    """Return the name of the variable that decides where values are sent."""
    return METRICS_ENDPOINT if os.environ.get(METRICS_ENDPOINT) else ENDPOINT


def endpoint() -> str:
    """Return the URL that values are sent to."""
    given = os.environ.get(METRICS_ENDPOINT)
    return given or (os.environ.get(ENDPOINT) or _DEFAULT_ENDPOINT).removesuffix("/") + _PATH


def is_url(text: str) -> bool:
    """Return whether a text is an absolute URL of HTTP."""
    with suppress(ValueError):
        parts = urlsplit("" if _SPACE.search(text) else text)
        # An invalid port raises only when it is read.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    return False


def shown(url: str) -> str:
    """Return a URL without what may be a password in it; also one that is invalid."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an invalid URL"
    if not parts.netloc:
        return url.partition("?")[0].rpartition("@")[2]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def shown_endpoint() -> str:
    """Return the URL that values are sent to, without what may be a password in it."""
    return shown(endpoint())


def path_in_doubt() -> str:
    """Return why a receiver is not likely to have the path of the URL; "" if it may have it."""
    if os.environ.get(METRICS_ENDPOINT):
        is_root = urlsplit(endpoint()).path in ("", "/")
        return f"{METRICS_ENDPOINT} is used as it is, and has no path" if is_root else ""
    given = urlsplit(os.environ.get(ENDPOINT, ""))
    if given.query or given.fragment:
        return f"{_PATH} is appended to {ENDPOINT}, which has a query"
    if given.path.rstrip("/").endswith(_PATH):
        return f"{_PATH} is appended to {ENDPOINT}, which ends with it already"
    return ""


def is_public_without_tls(url: str) -> bool:
    """Return whether a URL leads out of private networks, unencrypted; asks no name server.

    A name without a dot, and one that is not for the public Internet, counts as private.
    https://www.iana.org/assignments/special-use-domain-names/
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme != "http":
        return False
    with suppress(ValueError):
        address = ipaddress.ip_address(host.partition("%")[0])
        return not (address.is_private or address.is_loopback or address.is_link_local)
    private = (".cluster.local", ".home.arpa", ".internal", ".local", ".localhost", ".svc", ".test")
    return "." in host and not f".{host}".endswith(private)


def protocol() -> str:
    """Return the protocol that is asked for; only ``http/protobuf`` is spoken."""
    return next(filter(None, map(os.environ.get, PROTOCOLS)), HTTP_PROTOBUF)


def interval() -> float | None:
    """Return the seconds between two pushes; None for a value that is no such number."""
    given = os.environ.get(INTERVAL)
    if not given:
        return DEFAULT_INTERVAL
    with suppress(ValueError):
        seconds = float(given) / 1000
        if 0 < seconds < math.inf:
            return seconds
    return None


def invalid_headers() -> str:
    """Return the name of the variable with headers that are no ``name=value``; "" if all are."""
    name = next(filter(os.environ.get, HEADERS), "")
    pairs = [pair.partition("=") for pair in os.environ.get(name, "").split(",") if pair.strip()]
    is_valid = all(equals and _HEADER.fullmatch(key.strip()) for key, equals, _ in pairs)
    return "" if is_valid else name


def invalid_timeout() -> str:
    """Return the name of the variable with a timeout that is none in seconds; "" if it is one."""
    name = next(filter(os.environ.get, TIMEOUTS), "")
    with suppress(ValueError):
        if not name or 0 < float(os.environ[name]) <= LONGEST_TIMEOUT:
            return ""
    return name


def resource(directory: str | None) -> Mapping[str, str]:
    """Return the attributes of the resource: the service, and the host's instance of it.

    ``directory`` is where the processes of the service share values. The identity is the same for
    all of them, before and after a restart. Without a directory, it is that of this process.
    """
    place = directory or f"process {os.getpid()}"
    module = conf.settings_module() or ""
    found = {
        "service.name": module.partition(".")[0] or "unknown_service",
        "service.instance.id": str(uuid.uuid5(_IDENTITIES, f"{socket.gethostname()}:{place}")),
        **_attributes(os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")),
    }
    name = os.environ.get("OTEL_SERVICE_NAME")
    return {**found, "service.name": name} if name else found


def _attributes(text: str) -> Mapping[str, str]:
    """Return the pairs of a text such as ``a=b,c=d``, without what is none."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    return {
        unquote(name.strip()): unquote(value.strip())
        for name, equals, value in pairs
        if name.strip() and equals
    }
