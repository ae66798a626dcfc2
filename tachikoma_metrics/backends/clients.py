"""``instrument_client``: measures every request of an HTTP client.

Each HTTP attempt is measured: a request that an SDK repeats after a ``429`` counts as two, one of
them a ``rate_limit`` error. The clients, their proxies and mounts, and what they send, return and
raise are unchanged.

https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#http-client
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from tachikoma_metrics.backends.announced import announce
from tachikoma_metrics.backends.attempts import track_backend_request
from tachikoma_metrics.backends.backend import Backend
from tachikoma_metrics.backends.client_classes import measure_client
from tachikoma_metrics.backends.client_search import ClientSearch, is_session
from tachikoma_metrics.backends.endpoints import Endpoints
from tachikoma_metrics.backends.transports import MeasuredAdapter, MeasuredTransport, is_measured
from tachikoma_metrics.conf import config
from tachikoma_metrics.registry import METRICS

__all__ = ["instrument_client", "track_backend_request"]

Client = TypeVar("Client")


def instrument_client(client: Client, backend: str, *, endpoints: Iterable[str] = ()) -> Client:
    """Measure every later request of ``client``; return ``client``.

    ``client`` is an ``httpx`` or ``httpx2`` client, sync or async, a ``requests.Session``, an
    object of OpenAI's or Anthropic's SDK, or an object that holds such clients, as LangChain's
    ``ChatOpenAI`` does: all of them are measured. ``backend`` is the label value, such as
    ``openai``. ``endpoints`` are path templates of the upstream API, such as ``/items/:id``, in
    addition to those of OpenAI and Anthropic. Instrumenting a client again changes nothing.

    The duration ends with the last byte of the response body, or when the body is closed or
    garbage-collected. ``error_type`` comes from the status (``invalid_request``,
    ``authentication``, ``permission``, ``not_found``, ``timeout``, ``conflict``, ``too_large``,
    ``unprocessable``, ``rate_limit``, ``overloaded``, ``client_error``, ``server_error``) or
    from the exception (``timeout``, ``connection``, ``protocol``, ``cancelled``, ``other``).

    Raises TypeError for a client of another type, or for an object that holds a sync and an async
    client of which one is of another type; ValueError for a template that does not start with a
    slash.
    """
    templates = list(endpoints)
    for http_client, path in _clients_in(client):
        _measure(http_client, Backend(backend, Endpoints(path, templates)))
    announce(backend)
    return client


def _clients_in(client: Any) -> list[tuple[Any, str]]:
    search = ClientSearch()
    search.visit(client)
    if not search.clients:
        raise TypeError(
            "A client should be a client of httpx or httpx2, an object of OpenAI's or Anthropic's "
            f"SDK that holds one, or a requests.Session; got {type(client).__qualname__}. Measure "
            "requests of other clients with tachikoma_metrics.track_backend_request."
        )
    if search.unsupported:
        raise TypeError(
            f"{type(client).__qualname__} should hold clients of known types only; got "
            f"{', '.join(search.unsupported)}. Instrument the other clients one by one, and "
            "measure the requests of this one with tachikoma_metrics.track_backend_request."
        )
    return search.clients if _is_enabled() else []


def _is_enabled() -> bool:
    try:
        return config().enabled
    except Exception as error:
        # A client may be created before the settings can be read.
        METRICS.count_error("backend", error)
        return True


def _measure(client: Any, backend: Backend) -> None:
    if measure_client(client, backend):
        return
    if is_session(client):
        _wrap_values(client.adapters, MeasuredAdapter, backend)
    else:
        client._transport = _wrapped(client._transport, MeasuredTransport, backend)
        _wrap_values(getattr(client, "_mounts", {}), MeasuredTransport, backend)


def _wrap_values(transports: Any, kind: Callable[[Any, Backend], Any], backend: Backend) -> None:
    for key, transport in transports.items():
        # httpx has None for URLs that use no proxy.
        if transport is not None:
            transports[key] = _wrapped(transport, kind, backend)


def _wrapped(transport: Any, kind: Callable[[Any, Backend], Any], backend: Backend) -> Any:
    return transport if is_measured(transport) else kind(transport, backend)
