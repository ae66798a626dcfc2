"""The list of all events: which metrics each of them changes."""

from __future__ import annotations

from itertools import product

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.catalogue.labels import STATIC, UNMATCHED, route_template
from tachikoma_metrics.recording.error_types import ERROR_TYPES
from tachikoma_metrics.registry import Event

STATIC_ROUTE = "\0static"
"""Stands for the route of a file that a middleware served, which is in no URLconf."""

_WITHOUT_ROUTE = {None: UNMATCHED, STATIC_ROUTE: STATIC}

_SERVER_ERRORS = 500

HttpFacts = tuple[str, str | None, int, str, str, tuple[str, ...]]
"""Method, route, status, view, the language prefix of the route, and the values of those of the
scheme and ``EXTRA_LABELS`` that ``LABELS`` names."""


def _named(facts: HttpFacts) -> tuple[str, ...]:
    method, route, status, view, language, of_request = facts
    path = _WITHOUT_ROUTE.get(route) or route_template(str(route), language)
    return (method, path, str(int(status)), view, *of_request)


def _with_zero_statuses(named: tuple[str, ...]) -> list[tuple[str, ...]]:
    method, path, _, *rest = named
    return [(method, path, str(status), *rest) for status in conf.config().zero_statuses]


HTTP_REQUEST = Event(
    "http",
    ("method", "path", "status", "view", "scheme"),
    catalogue.HTTP_REQUESTS,
    catalogue.HTTP_REQUEST_DURATION,
    catalogue.HTTP_REQUEST_SIZE,
    catalogue.HTTP_RESPONSE_SIZE,
    catalogue.HTTP_RESPONSE_TIME_TO_FIRST_BYTE,
    catalogue.HTTP_REQUEST_DB_QUERIES,
    catalogue.HTTP_REQUEST_DB,
    in_progress=catalogue.HTTP_REQUESTS_IN_FLIGHT,
    named=_named,
    has_request=True,
    closed_label="status",
    variants=_with_zero_statuses,
    is_urgent=lambda facts: int(facts[2]) >= _SERVER_ERRORS,
)
"""A request: its amounts are 1, seconds, bytes in its body and in that of the response, seconds to
the first of those, database queries, and the seconds they took. ``UNKNOWN`` stands for an amount
that is not known."""

HTTP_REQUEST_QUEUED = Event("http", (), catalogue.HTTP_REQUEST_QUEUE)
"""The arrival of a request that waited in a queue: the amount is the seconds it waited."""

ExceptionFacts = tuple[str, str | None, str, str]
"""The name of the exception's class, route, view, and the language prefix of the route."""


def _named_exception(facts: ExceptionFacts) -> tuple[str, ...]:
    name, route, view, language = facts
    return (name, UNMATCHED if route is None else route_template(route, language), view)


HTTP_EXCEPTION = Event(
    "http",
    ("exception", "path", "view"),
    catalogue.HTTP_EXCEPTIONS,
    named=_named_exception,
)
"""The first exception of a request that Django answers with the status 500."""

TEMPLATE_RESPONSE = Event("http", ("template",), catalogue.HTTP_RESPONSES_BY_TEMPLATE)
"""A response that is about to be rendered with a template."""

WS_CONNECTION = Event(
    "websocket",
    (),
    catalogue.WS_CONNECTIONS,
    in_progress=catalogue.WS_CONNECTIONS_CURRENT,
)
"""A WebSocket connection that is accepted, and in progress until it is closed."""

WS_DISCONNECT = Event(
    "websocket",
    ("code",),
    catalogue.WS_DISCONNECTS,
    catalogue.WS_CONNECTION_DURATION,
)
"""The end of an accepted connection: its amounts are 1 and the seconds it was open."""

WS_REJECTION = Event("websocket", ("reason",), catalogue.WS_CONNECTIONS_REJECTED)
"""A WebSocket connection that ended before it was accepted."""

WS_MESSAGE_RECEIVED = Event("websocket", ("message_type",), catalogue.WS_MESSAGES_RECEIVED)
"""A WebSocket message that was received from a client."""

WS_MESSAGE_SENT = Event("websocket", ("message_type",), catalogue.WS_MESSAGES_SENT)
"""A WebSocket message that was sent to a client."""

EXECUTION = Event(
    "execution",
    ("backend", "model", "status"),
    catalogue.EXECUTIONS,
    catalogue.EXECUTION_DURATION,
    in_progress=catalogue.EXECUTIONS_IN_PROGRESS,
    closed_label="status",
    variants=lambda known: [(*known[:2], outcome) for outcome in catalogue.OUTCOMES],
)
"""An LLM call: its amounts are 1 and seconds. Backend and model are known when it starts."""

EXECUTION_TOKENS = Event("execution", ("backend", "model", "type"), catalogue.EXECUTION_TOKENS)
FIRST_CHUNK = Event("execution", ("backend", "model"), catalogue.EXECUTION_TIME_TO_FIRST_CHUNK)
TOKEN_DETAILS = Event("execution", ("type", "backend", "model"), catalogue.EXECUTION_TOKEN_DETAILS)
EXECUTION_COST = Event("execution", ("backend", "model"), catalogue.EXECUTION_COST_USD)

DB_QUERY = Event(
    "database",
    ("operation", "table", "alias"),
    catalogue.DB_QUERIES,
    catalogue.DB_QUERY_DURATION,
)
"""A database query: its amounts are 1 and seconds."""

DB_ROWS = Event("database", ("operation", "table", "alias"), catalogue.DB_ROWS)
"""A statement that changed rows: the amount is their number."""

DB_CONNECTION = Event("database", (), in_progress=catalogue.DB_CONNECTIONS_CURRENT)
"""A database connection, in progress from when it is opened until it is closed."""

DB_POOL_WAIT = Event("database", ("alias",), catalogue.DB_POOL_WAIT)
"""Waits for a connection of a pool: the amount is seconds."""

EVENT_LOOP_PROBE = Event("event_loop", (), catalogue.ASGI_EVENT_LOOP_LAG)
"""A probe of an event loop: the amount is the seconds by which it ran late."""

GC_RUN = Event("gc", ("generation",), catalogue.PYTHON_GC_PAUSE)
"""A run of the garbage collector: the amount is seconds."""

DB_CONNECTION_OPENED = Event("database", ("alias",), catalogue.DB_CONNECTIONS_OPENED)
DB_CONNECTION_ERROR = Event(
    "database",
    ("alias",),
    catalogue.DB_CONNECTION_ERRORS,
    closed_label="alias",
    variants=lambda known: [known[:1]],
)

DB_ERROR = Event(
    "database",
    ("alias", "error_type", "operation"),
    catalogue.DB_ERRORS,
    closed_label="error_type",
    variants=lambda known: product(known[:1], catalogue.DB_ERROR_TYPES, catalogue.DB_OPERATIONS),
)
"""A query, the reading of its rows, or a commit that failed. The alias is known when the first
connection is opened."""

CACHE_HIT = Event("cache", ("cache",), catalogue.CACHE_HITS)
"""Lookups that found their key: the amount is the number of keys."""

CACHE_MISS = Event("cache", ("cache",), catalogue.CACHE_MISSES)
"""Lookups that did not find their key: the amount is the number of keys."""

CACHE_ERROR = Event(
    "cache",
    ("cache", "operation"),
    catalogue.CACHE_ERRORS,
    closed_label="operation",
    variants=lambda known: product(known[:1], catalogue.FALLIBLE_CACHE_OPERATIONS),
)
"""A call of a cache's method that raised an exception. The cache is known when it is made."""

CACHE_OPERATION = Event(
    "cache",
    ("operation", "cache"),
    catalogue.CACHE_OPERATIONS,
    catalogue.CACHE_OPERATION_DURATION,
)
"""A call of a cache's method: its amounts are 1 and seconds."""

BACKEND_REQUEST = Event(
    "backend",
    ("backend", "endpoint"),
    catalogue.BACKEND_REQUESTS,
    catalogue.BACKEND_REQUEST_DURATION,
    in_progress=catalogue.BACKEND_REQUESTS_IN_PROGRESS,
)
"""A request to an upstream API: its amounts are 1 and seconds."""

BACKEND_ERROR = Event(
    "backend",
    ("backend", "error_type"),
    catalogue.BACKEND_ERRORS,
    closed_label="error_type",
    variants=lambda known: [(known[0], error_type) for error_type in sorted(ERROR_TYPES)],
)
"""The failure of a request to an upstream API, which is known when the first request starts."""

FILE_CHANGE = Event("file_change", ("change_type", "status"), catalogue.FILE_CHANGES)
