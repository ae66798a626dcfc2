"""Backends: clients whose every request to an API is measured, in place.

What is measured is one HTTP attempt: a request that an SDK sends again after a ``429`` is two,
one of them a ``rate_limit`` error. The clients themselves, their proxies and mounts, and what
they send, get and raise stay what they are.

https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#http-client
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from tachikoma_metrics.attempts import track_backend_request
from tachikoma_metrics.conf import config
from tachikoma_metrics.endpoints import Endpoints
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.transports import (
    Backend,
    MeasuredAdapter,
    MeasuredTransport,
    is_measured,
    measure_client,
)

__all__ = ["instrument_client", "track_backend_request"]

Client = TypeVar("Client")

_MOST_HOLDERS = 4


def instrument_client(client: Client, backend: str, *, endpoints: Iterable[str] = ()) -> Client:
    """Have every request of ``client`` measured from now on; return ``client``.

    ``client`` is an ``httpx`` or ``httpx2`` client, sync or async, an object of OpenAI's or
    Anthropic's SDK, or a ``requests.Session``. ``backend`` is the label value, such as
    ``openai``. ``endpoints`` are path templates, such as ``/items/:id``, that the backend
    has beside those of OpenAI and Anthropic. A client that is instrumented stays as it is.

    The seconds run to the last byte of an answer's body, or until nobody reads it any more.
    ``error_type`` is told by the status (``invalid_request``, ``authentication``,
    ``permission``, ``not_found``, ``timeout``, ``conflict``, ``too_large``,
    ``unprocessable``, ``rate_limit``, ``overloaded``, ``client_error``, ``server_error``) or
    by what was raised (``timeout``, ``connection``, ``protocol``, ``cancelled``, ``other``).

    Raises TypeError for a client of another kind, ValueError for a template that does not
    start with a slash.
    """
    holders = list(_holders(client))
    measured = Backend(backend, Endpoints(_base_path(holders), endpoints))
    sender = holders[-1]
    is_session = _is_session(sender)
    if not is_session and not _is_transport(getattr(sender, "_transport", None)):
        raise TypeError(
            "A client should be a client of httpx or httpx2, an object of OpenAI's or Anthropic's "
            f"SDK that holds one, or a requests.Session; got {type(client).__qualname__}. Measure "
            "other clients' requests with tachikoma_metrics.track_backend_request."
        )
    if _is_enabled() and not measure_client(sender, measured):
        _wrap_senders(sender, measured, is_session)
    return client


def _is_enabled() -> bool:
    try:
        return config().enabled
    except Exception as error:
        # A client may be made where no settings can be read yet.
        METRICS.fault("backend", error)
        return True


def _wrap_senders(sender: Any, measured: Backend, is_session: bool) -> None:
    if is_session:
        _wrap_values(sender.adapters, MeasuredAdapter, measured)
    else:
        sender._transport = _wrapped(sender._transport, MeasuredTransport, measured)
        _wrap_values(getattr(sender, "_mounts", {}), MeasuredTransport, measured)


def _holders(client: Any) -> Iterable[Any]:
    """Yield a client, the one that it holds, and so on to the one that sends."""
    for _ in range(_MOST_HOLDERS):
        yield client
        held = _attribute(client, "_client")
        client = _attribute(client, "client") if held is None else held
        if client is None:
            return


def _attribute(holder: Any, name: str) -> Any:
    return None if isinstance(holder, type) else getattr(holder, name, None)


def _base_path(holders: Iterable[Any]) -> str:
    """Return the path below which a client's backend has its operations."""
    paths = (getattr(_attribute(one, "base_url"), "path", "") for one in holders)
    return next((path for path in paths if isinstance(path, str) and path.strip("/")), "")


def _is_session(sender: Any) -> bool:
    adapters = getattr(sender, "adapters", None)
    return isinstance(adapters, Mapping) and all(hasattr(a, "send") for a in adapters.values())


def _is_transport(sender: Any) -> bool:
    names = ("handle_request", "handle_async_request")
    return any(callable(getattr(sender, name, None)) for name in names)


def _wrap_values(senders: Any, kind: Callable[[Any, Backend], Any], backend: Backend) -> None:
    for key, sender in senders.items():
        # httpx has None for what goes by no proxy.
        if sender is not None:
            senders[key] = _wrapped(sender, kind, backend)


def _wrapped(sender: Any, kind: Callable[[Any, Backend], Any], backend: Backend) -> Any:
    return sender if is_measured(sender) else kind(sender, backend)
