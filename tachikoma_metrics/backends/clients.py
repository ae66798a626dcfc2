"""Backends: clients whose every request to an API is measured, in place.

What is measured is one HTTP attempt: a request that an SDK sends again after a ``429`` is two,
one of them a ``rate_limit`` error. The clients themselves, their proxies and mounts, and what
they send, get and raise stay what they are.

https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#http-client
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, TypeVar

from tachikoma_metrics.backends.attempts import track_backend_request
from tachikoma_metrics.backends.base_paths import base_path
from tachikoma_metrics.backends.endpoints import Endpoints
from tachikoma_metrics.backends.transports import (
    Backend,
    MeasuredAdapter,
    MeasuredTransport,
    is_measured,
    measure_client,
)
from tachikoma_metrics.conf import config
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.registry import METRICS

__all__ = ["instrument_client", "track_backend_request"]

Client = TypeVar("Client")

_MOST_HOLDERS = 5

_HELD = ("_client", "client", "_async_client", "async_client")
"""Attributes that may make the client that they hold when they are asked for."""

_HALF = re.compile("sync|^_?aclient")
"""Names of attributes beside which there is another client, for the other kind of code."""


def instrument_client(client: Client, backend: str, *, endpoints: Iterable[str] = ()) -> Client:
    """Have every request of ``client`` measured from now on; return ``client``.

    ``client`` is an ``httpx`` or ``httpx2`` client, sync or async, an object of OpenAI's or
    Anthropic's SDK, what holds such clients, as LangChain's ``ChatOpenAI`` does, all of which are
    measured, or a ``requests.Session``. ``backend`` is the label value, such as
    ``openai``. ``endpoints`` are path templates, such as ``/items/:id``, that the backend
    has beside those of OpenAI and Anthropic. A client that is instrumented stays as it is.

    The seconds run to the last byte of an answer's body, or until nobody reads it any more.
    ``error_type`` is told by the status (``invalid_request``, ``authentication``,
    ``permission``, ``not_found``, ``timeout``, ``conflict``, ``too_large``,
    ``unprocessable``, ``rate_limit``, ``overloaded``, ``client_error``, ``server_error``) or
    by what was raised (``timeout``, ``connection``, ``protocol``, ``cancelled``, ``other``).

    Raises TypeError for a client of another kind, or that holds one for sync and one for async code
    of which one is of another kind; ValueError for a template that does not
    start with a slash.
    """
    templates = list(endpoints)
    found = Found()
    found.look_at(client)
    if not found.senders:
        raise TypeError(
            "A client should be a client of httpx or httpx2, an object of OpenAI's or Anthropic's "
            f"SDK that holds one, or a requests.Session; got {type(client).__qualname__}. Measure "
            "other clients' requests with tachikoma_metrics.track_backend_request."
        )
    if found.strange:
        raise TypeError(
            f"All clients that {type(client).__qualname__} holds should be of a known kind; got "
            f"{', '.join(found.strange)}. Instrument the others one by one, and measure its "
            "requests with tachikoma_metrics.track_backend_request."
        )
    if _is_enabled():
        for sender, path in found.senders:
            _measure(sender, Backend(backend, Endpoints(path, templates)))
    return client


class Found:
    """The clients that send, in a client that may hold several of them, sync and async."""

    def __init__(self) -> None:
        self.senders: list[tuple[Any, str]] = []
        """Each with the path of the base URL of what holds it."""

        self.strange: list[str] = []
        """The names of attributes that hold a sync or async client of an unknown kind."""

        # With the clients, for an id is one as long as its object lives.
        self._leads: dict[int, tuple[bool, Any]] = {}

    def look_at(self, client: Any, path: str = "", depth: int = 0) -> bool:
        """Look for what sends in ``client``; return whether there is any."""
        if depth > _MOST_HOLDERS or isinstance(client, (type, ModuleType)):
            return False
        if id(client) not in self._leads:
            self._leads[id(client)] = False, client
            is_one = self._look_into(client, path or base_path(client), depth)
            self._leads[id(client)] = is_one, client
        return self._leads[id(client)][0]

    def _look_into(self, client: Any, path: str, depth: int) -> bool:
        if _is_session(client) or _is_transport(getattr(client, "_transport", None)):
            self.senders.append((client, path))
            return True
        leads = {name: self.look_at(held, path, depth + 1) for name, held in _held(client).items()}
        if any(leads.values()):
            self.strange += [
                f"{name}, a {type(_attribute(client, name)).__qualname__}"
                for name, is_one in leads.items()
                if not is_one and _HALF.search(name)
            ]
        return any(leads.values())


def _held(client: Any) -> dict[str, Any]:
    """Return the clients that a client may hold, by the names of its attributes."""
    own = [name for name in getattr(client, "__dict__", ()) if str(name).endswith("client")]
    found = {name: _attribute(client, name) for name in dict.fromkeys((*_HELD, *own))}
    return {name: held for name, held in found.items() if held is not None}


def _attribute(holder: Any, name: str) -> Any:
    try:
        return getattr(holder, name, None)
    except Exception as error:
        pass_on(error)
        # A client that cannot be made sends nothing.
        return None


def _is_enabled() -> bool:
    try:
        return config().enabled
    except Exception as error:
        # A client may be made where no settings can be read yet.
        METRICS.count_error("backend", error)
        return True


def _measure(sender: Any, backend: Backend) -> None:
    if not measure_client(sender, backend):
        _wrap_senders(sender, backend)


def _wrap_senders(sender: Any, backend: Backend) -> None:
    if _is_session(sender):
        _wrap_values(sender.adapters, MeasuredAdapter, backend)
    else:
        sender._transport = _wrapped(sender._transport, MeasuredTransport, backend)
        _wrap_values(getattr(sender, "_mounts", {}), MeasuredTransport, backend)


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
