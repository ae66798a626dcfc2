"""Every metric, and nothing else: one module for each thing that is measured.

Names, types, labels and label order are a promise to dashboards and alerts: changing one is a
breaking change. A constant is the name of its metric without ``_total``, ``_seconds`` and
``_bytes``.

Names end in their unit, and totals in ``_total``, as Prometheus recommends; ``missions_total``
and ``specs_total`` are gauges nevertheless, because their specification says so:
https://prometheus.io/docs/practices/naming/

The module is long because it lists every name that it exports, for readers and for type checkers.
"""

from __future__ import annotations

from tachikoma_metrics.catalogue import (
    backends,
    business,
    cache,
    commands,
    database,
    http,
    llm,
    own_health,
    runtime,
    tasks,
    websocket,
)
from tachikoma_metrics.catalogue.backends import (
    BACKEND,
    BACKEND_BUCKETS,
    BACKEND_ERRORS,
    BACKEND_REQUEST_DURATION,
    BACKEND_REQUESTS,
    BACKEND_REQUESTS_IN_PROGRESS,
    ENDPOINT,
    ERROR_TYPE,
)
from tachikoma_metrics.catalogue.business import (
    BUSINESS,
    CHANGE_STATUS,
    CHANGE_TYPE,
    FILE_CHANGES,
    MIGRATIONS_APPLIED,
    MIGRATIONS_UNAPPLIED,
    MISSIONS,
    SPEC_STATUS,
    SPECS,
)
from tachikoma_metrics.catalogue.cache import (
    CACHE,
    CACHE_BUCKETS,
    CACHE_ERRORS,
    CACHE_HITS,
    CACHE_MISSES,
    CACHE_OPERATION,
    CACHE_OPERATION_DURATION,
    CACHE_OPERATIONS,
    CACHE_SIZE,
    FALLIBLE_CACHE_OPERATIONS,
)
from tachikoma_metrics.catalogue.commands import (
    COMMAND_LAST_SUCCESS_TIMESTAMP,
    COMMAND_RUN_DURATION,
    COMMAND_RUNS,
    COMMANDS,
)
from tachikoma_metrics.catalogue.database import (
    ALIAS,
    DB_CONNECTION_ERRORS,
    DB_CONNECTIONS_CURRENT,
    DB_CONNECTIONS_OPENED,
    DB_ERROR_TYPE,
    DB_ERROR_TYPES,
    DB_ERRORS,
    DB_OPERATIONS,
    DB_POOL_CONNECTIONS,
    DB_POOL_REQUESTS_WAITING,
    DB_POOL_WAIT,
    DB_QUERIES,
    DB_QUERY_DURATION,
    DB_ROWS,
    OPERATION,
    POOL_STATE,
    QUERY_BUCKETS,
    TABLE,
)
from tachikoma_metrics.catalogue.definitions import Family, Gauge
from tachikoma_metrics.catalogue.http import (
    EXCEPTION,
    HTTP_EXCEPTIONS,
    HTTP_REQUEST_DB,
    HTTP_REQUEST_DB_QUERIES,
    HTTP_REQUEST_DURATION,
    HTTP_REQUEST_QUEUE,
    HTTP_REQUEST_SIZE,
    HTTP_REQUESTS,
    HTTP_REQUESTS_IN_FLIGHT,
    HTTP_REQUESTS_LOST,
    HTTP_RESPONSE_SIZE,
    HTTP_RESPONSE_TIME_TO_FIRST_BYTE,
    HTTP_RESPONSES_BY_TEMPLATE,
    LATENCY_BUCKETS,
    METHOD,
    PATH,
    QUERY_COUNT_BUCKETS,
    SCHEME,
    SIZE_BUCKETS,
    STATUS,
    TEMPLATE,
    VIEW,
)
from tachikoma_metrics.catalogue.llm import (
    EXECUTION_BUCKETS,
    EXECUTION_COST_USD,
    EXECUTION_DURATION,
    EXECUTION_TIME_TO_FIRST_CHUNK,
    EXECUTION_TOKEN_DETAILS,
    EXECUTION_TOKENS,
    EXECUTIONS,
    EXECUTIONS_IN_PROGRESS,
    EXECUTIONS_LOST,
    MODEL,
    OUTCOME,
    OUTCOMES,
    TOKEN_DETAIL,
    TOKEN_TYPE,
)
from tachikoma_metrics.catalogue.own_health import (
    BUSINESS_REFRESH_DURATION,
    BUSINESS_REFRESH_ERRORS,
    BUSINESS_TIMESTAMP,
    BUSINESS_UP,
    CARDINALITY,
    ERRORS,
    FAMILY,
    INFO,
    OVERFLOW,
    PROCESSES,
    PUSH_LAST_SUCCESS_TIMESTAMP,
    PUSHES,
    REFUSAL,
    REFUSALS,
    SCRAPE_DURATION,
    SCRAPES_REFUSED,
    SOURCE,
    VERSION,
)
from tachikoma_metrics.catalogue.runtime import (
    ASGI_EVENT_LOOP_LAG,
    GENERATION,
    LAG_BUCKETS,
    PAUSE_BUCKETS,
    PYTHON_GC_PAUSE,
)
from tachikoma_metrics.catalogue.tasks import (
    BEAT,
    BEAT_ENTRY_OVERDUE,
    BEAT_LAST_TICK_TIMESTAMP,
    TASK_LAST_SUCCESS_TIMESTAMP,
    TASK_QUEUE_LENGTH,
    TASK_QUEUE_WAIT,
    TASK_RUN_DURATION,
    TASK_RUNS,
    TASK_RUNS_IN_PROGRESS,
    TASK_SENDS,
    TASK_SYSTEMS,
)
from tachikoma_metrics.catalogue.websocket import (
    CLOSE_CODE,
    MESSAGE_TYPE,
    REASON,
    SOCKET_BUCKETS,
    WS_CONNECTION_DURATION,
    WS_CONNECTIONS,
    WS_CONNECTIONS_CURRENT,
    WS_CONNECTIONS_REJECTED,
    WS_DISCONNECTS,
    WS_MESSAGES_RECEIVED,
    WS_MESSAGES_SENT,
)

__all__ = [
    "ALIAS",
    "ASGI_EVENT_LOOP_LAG",
    "BACKEND",
    "BACKEND_BUCKETS",
    "BACKEND_ERRORS",
    "BACKEND_REQUESTS",
    "BACKEND_REQUESTS_IN_PROGRESS",
    "BACKEND_REQUEST_DURATION",
    "BEAT",
    "BEAT_ENTRY_OVERDUE",
    "BEAT_LAST_TICK_TIMESTAMP",
    "BUSINESS",
    "BUSINESS_REFRESH_DURATION",
    "BUSINESS_REFRESH_ERRORS",
    "BUSINESS_TIMESTAMP",
    "BUSINESS_UP",
    "CACHE",
    "CACHE_BUCKETS",
    "CACHE_ERRORS",
    "CACHE_HITS",
    "CACHE_MISSES",
    "CACHE_OPERATION",
    "CACHE_OPERATIONS",
    "CACHE_OPERATION_DURATION",
    "CACHE_SIZE",
    "CARDINALITY",
    "CHANGE_STATUS",
    "CHANGE_TYPE",
    "CLOSE_CODE",
    "COMMANDS",
    "COMMAND_LAST_SUCCESS_TIMESTAMP",
    "COMMAND_RUNS",
    "COMMAND_RUN_DURATION",
    "DB_CONNECTIONS_CURRENT",
    "DB_CONNECTIONS_OPENED",
    "DB_CONNECTION_ERRORS",
    "DB_ERRORS",
    "DB_ERROR_TYPE",
    "DB_ERROR_TYPES",
    "DB_OPERATIONS",
    "DB_POOL_CONNECTIONS",
    "DB_POOL_REQUESTS_WAITING",
    "DB_POOL_WAIT",
    "DB_QUERIES",
    "DB_QUERY_DURATION",
    "DB_ROWS",
    "ENDPOINT",
    "ERRORS",
    "ERROR_TYPE",
    "EXCEPTION",
    "EXECUTIONS",
    "EXECUTIONS_IN_PROGRESS",
    "EXECUTIONS_LOST",
    "EXECUTION_BUCKETS",
    "EXECUTION_COST_USD",
    "EXECUTION_DURATION",
    "EXECUTION_TIME_TO_FIRST_CHUNK",
    "EXECUTION_TOKENS",
    "EXECUTION_TOKEN_DETAILS",
    "FALLIBLE_CACHE_OPERATIONS",
    "FAMILIES",
    "FAMILY",
    "FILE_CHANGES",
    "GENERATION",
    "HTTP_EXCEPTIONS",
    "HTTP_REQUESTS",
    "HTTP_REQUESTS_IN_FLIGHT",
    "HTTP_REQUESTS_LOST",
    "HTTP_REQUEST_DB",
    "HTTP_REQUEST_DB_QUERIES",
    "HTTP_REQUEST_DURATION",
    "HTTP_REQUEST_QUEUE",
    "HTTP_REQUEST_SIZE",
    "HTTP_RESPONSES_BY_TEMPLATE",
    "HTTP_RESPONSE_SIZE",
    "HTTP_RESPONSE_TIME_TO_FIRST_BYTE",
    "INFO",
    "LAG_BUCKETS",
    "LATENCY_BUCKETS",
    "MESSAGE_TYPE",
    "METHOD",
    "MIGRATIONS_APPLIED",
    "MIGRATIONS_UNAPPLIED",
    "MISSIONS",
    "MODEL",
    "OPERATION",
    "OUTCOME",
    "OUTCOMES",
    "OVERFLOW",
    "PATH",
    "PAUSE_BUCKETS",
    "POOL_STATE",
    "PROCESSES",
    "PUSHES",
    "PUSH_LAST_SUCCESS_TIMESTAMP",
    "PYTHON_GC_PAUSE",
    "QUERY_BUCKETS",
    "QUERY_COUNT_BUCKETS",
    "REASON",
    "RECORDED_BY_BACKENDS",
    "RECORDED_BY_BEAT",
    "RECORDED_BY_CACHES",
    "RECORDED_BY_COMMANDS",
    "RECORDED_BY_DATABASES",
    "RECORDED_BY_EXECUTIONS",
    "RECORDED_BY_MIDDLEWARE",
    "RECORDED_BY_REQUESTS",
    "RECORDED_BY_TASK_SYSTEMS",
    "RECORDED_BY_WEBSOCKETS",
    "REFUSAL",
    "REFUSALS",
    "SCHEME",
    "SCRAPES_REFUSED",
    "SCRAPE_DURATION",
    "SIZE_BUCKETS",
    "SOCKET_BUCKETS",
    "SOURCE",
    "SPECIFIED",
    "SPECS",
    "SPEC_STATUS",
    "STATUS",
    "TABLE",
    "TASK_LAST_SUCCESS_TIMESTAMP",
    "TASK_QUEUE_LENGTH",
    "TASK_QUEUE_WAIT",
    "TASK_RUNS",
    "TASK_RUNS_IN_PROGRESS",
    "TASK_RUN_DURATION",
    "TASK_SENDS",
    "TASK_SYSTEMS",
    "TEMPLATE",
    "TOKEN_DETAIL",
    "TOKEN_TYPE",
    "VERSION",
    "VIEW",
    "WS_CONNECTIONS",
    "WS_CONNECTIONS_CURRENT",
    "WS_CONNECTIONS_REJECTED",
    "WS_CONNECTION_DURATION",
    "WS_DISCONNECTS",
    "WS_MESSAGES_RECEIVED",
    "WS_MESSAGES_SENT",
]

_MODULES = (
    http,
    websocket,
    llm,
    database,
    cache,
    backends,
    tasks,
    commands,
    runtime,
    business,
    own_health,
)

FAMILIES: dict[str, Family] = {
    declared.name: declared
    for module in _MODULES
    for declared in vars(module).values()
    if isinstance(declared, Family)
}
"""Every metric by its name, in the order in which they are declared."""

_OF_LOST = frozenset(
    family.lost.name for family in FAMILIES.values() if isinstance(family, Gauge) and family.lost
)

_ADDED = (
    *vars(tasks).values(),
    *vars(commands).values(),
    HTTP_EXCEPTIONS,
    DB_ERRORS,
    DB_CONNECTIONS_OPENED,
    DB_CONNECTION_ERRORS,
    CACHE_ERRORS,
)
"""Metrics that are on by default though the specification does not have them."""

SPECIFIED: tuple[Family, ...] = tuple(
    family
    for family in FAMILIES.values()
    if not family.opt_in
    and not family.is_own_health
    and family.name not in _OF_LOST
    and family not in _ADDED
)
"""The 25 metrics of the specification."""

RECORDED_BY_REQUESTS: frozenset[str] = frozenset(
    name for name, family in FAMILIES.items() if http.METHOD in family.labels
)
"""Names of the metrics that are recorded with the request at hand, and so can carry
``EXTRA_LABELS``."""


def _recorded_by(recorder: str) -> frozenset[str]:
    return frozenset(
        name for name, family in FAMILIES.items() if family.recorded_by.startswith(recorder)
    )


RECORDED_BY_MIDDLEWARE = _recorded_by(http.MIDDLEWARE)
RECORDED_BY_WEBSOCKETS = _recorded_by(websocket.MIDDLEWARE)
RECORDED_BY_DATABASES = _recorded_by(database.EVERY_DATABASE)
RECORDED_BY_CACHES = _recorded_by(cache.EVERY_CACHE)
RECORDED_BY_BACKENDS = _recorded_by(backends.CLIENTS)
RECORDED_BY_EXECUTIONS = _recorded_by(llm.TRACKER)
RECORDED_BY_TASK_SYSTEMS = _recorded_by(TASK_SYSTEMS)
RECORDED_BY_BEAT = _recorded_by(BEAT)
RECORDED_BY_COMMANDS = _recorded_by(COMMANDS)
"""Names of the metrics that are exposed as soon as these are in use."""
