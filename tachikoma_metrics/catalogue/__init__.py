"""Every metric family, and nothing else.

Names, types, labels and label order are a promise to dashboards and alerts:
changing one is a breaking change. A constant is the name of its metric without
``_total``, ``_seconds`` and ``_bytes``.

Names end in their unit, and totals in ``_total``, as Prometheus has it; ``missions_total`` and
``specs_total`` are gauges all the same, for their specification says so:
https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from tachikoma_metrics.catalogue.commands import (
    COMMAND_LAST_SUCCESS_TIMESTAMP as COMMAND_LAST_SUCCESS_TIMESTAMP,
)
from tachikoma_metrics.catalogue.commands import (
    COMMAND_RUN_DURATION as COMMAND_RUN_DURATION,
)
from tachikoma_metrics.catalogue.commands import (
    COMMAND_RUNS as COMMAND_RUNS,
)
from tachikoma_metrics.catalogue.commands import (
    COMMANDS as COMMANDS,
)
from tachikoma_metrics.catalogue.definitions import (
    Buckets,
    Counter,
    Family,
    Gauge,
    Histogram,
    Label,
)
from tachikoma_metrics.catalogue.tasks import (
    BEAT as BEAT,
)
from tachikoma_metrics.catalogue.tasks import (
    BEAT_ENTRY_OVERDUE as BEAT_ENTRY_OVERDUE,
)
from tachikoma_metrics.catalogue.tasks import (
    BEAT_LAST_TICK_TIMESTAMP as BEAT_LAST_TICK_TIMESTAMP,
)
from tachikoma_metrics.catalogue.tasks import (
    TASK_LAST_SUCCESS_TIMESTAMP as TASK_LAST_SUCCESS_TIMESTAMP,
)
from tachikoma_metrics.catalogue.tasks import (
    TASK_QUEUE_LENGTH as TASK_QUEUE_LENGTH,
)
from tachikoma_metrics.catalogue.tasks import (
    TASK_QUEUE_WAIT as TASK_QUEUE_WAIT,
)
from tachikoma_metrics.catalogue.tasks import (
    TASK_RUN_DURATION as TASK_RUN_DURATION,
)
from tachikoma_metrics.catalogue.tasks import (
    TASK_RUNS as TASK_RUNS,
)
from tachikoma_metrics.catalogue.tasks import (
    TASK_RUNS_IN_PROGRESS as TASK_RUNS_IN_PROGRESS,
)
from tachikoma_metrics.catalogue.tasks import (
    TASK_SENDS as TASK_SENDS,
)
from tachikoma_metrics.catalogue.tasks import (
    TASK_SYSTEMS as TASK_SYSTEMS,
)

LATENCY_BUCKETS: Buckets = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SIZE_BUCKETS: Buckets = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
EXECUTION_BUCKETS: Buckets = (0.5, 1, 2.5, 5, 10, 30, 60, 120)
QUERY_BUCKETS: Buckets = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
BACKEND_BUCKETS: Buckets = (0.1, 0.5, 1, 2.5, 5, 10, 30)
QUERY_COUNT_BUCKETS: Buckets = (1, 2, 5, 10, 20, 50, 100, 200, 500)
SOCKET_BUCKETS: Buckets = (1, 5, 15, 60, 300, 900, 3600, 14400)

# --- labels -----------------------------------------------------------------
#
# Closed are those whose values are a short list, of a standard, of this app or of the settings.

METHOD = Label("method", "One of the nine standard HTTP methods, else `other`.", is_closed=True)
PATH = Label(
    "path",
    "The matched route as a template; without one `<static>` for a file below `STATIC_URL` or "
    "`MEDIA_URL` that a middleware served, else `<unmatched>`.",
)
STATUS = Label("status", "The status code; `499` when the client left early.", is_closed=True)
VIEW = Label("view", "The name of the route, else of the view function.")
SCHEME = Label("scheme", "`http` or `https`.", is_closed=True)
MESSAGE_TYPE = Label(
    "message_type",
    "`text`, `binary`, a type of `WS_MESSAGE_TYPES`, `other`, `invalid`.",
    is_closed=True,
)
BACKEND = Label("backend", "The service that was called, such as `openai`.")
MODEL = Label("model", "A model of `LLM_MODELS`, or one of the first 50; else `other`.")
OUTCOME = Label("status", "`success`, `error`, `timeout` or `cancelled`.", is_closed=True)
TOKEN_TYPE = Label("type", "`prompt` or `completion`.", is_closed=True)
TOKEN_DETAIL = Label(
    "type",
    "`cache_read`, `cache_write`, `reasoning`, `audio_prompt` or `audio_completion`.",
    is_closed=True,
)
OPERATION = Label(
    "operation",
    "`select`, `insert`, `update`, `delete`, `transaction`, `ddl` or `other`.",
    is_closed=True,
)
TABLE = Label("table", "A table of an installed model, else `other`.")
ALIAS = Label("alias", "The database's key in `DATABASES`.", is_closed=True)
CACHE = Label("cache", "The cache's key in `CACHES`.", is_closed=True)
ENDPOINT = Label("endpoint", "The called API operation, else `other`.")
ERROR_TYPE = Label("error_type", "The kind of failure, such as `rate_limit`.", is_closed=True)
SPEC_STATUS = Label("status", "The status of the spec.")
CHANGE_TYPE = Label("change_type", "`create`, `modify`, `delete` and the like.")
CHANGE_STATUS = Label("status", "What became of the change, such as `applied`.")
REASON = Label(
    "reason", "`closed` or `denied` by the app, `left` by the client, or `error`.", is_closed=True
)
CLOSE_CODE = Label(
    "code", "The close code if it is one of `1000` to `1015`, else `other`.", is_closed=True
)
REFUSALS = (
    "address",
    "browser",
    "busy",
    "error",
    "permission",
    "proxy",
    "server",
    "settings",
    "token",
    "unix_socket",
)
"""Every reason for which a scrape is refused."""
REFUSAL = Label(
    "reason",
    "`address`: the client's is not in `ALLOWED_NETWORKS`; `proxy`: a proxy names no client; "
    "`server`: the server removes what a proxy says; `unix_socket`: no header names the client; "
    "`browser`: a page under a host that is not in `ALLOWED_HOSTS`; `token`, `permission`: "
    "`TOKENS` or `PERMISSION`; `settings`: one of these is invalid; `busy`: too many connections "
    "to `WORKER_PORT`; `error`: the rule could not be applied.",
    is_closed=True,
)
SOURCE = Label("source", "The part of tachikoma_metrics that met the fault.")
FAMILY = Label("family", "The metric family, without the namespace.")
VERSION = Label("version", "The version of tachikoma_metrics.")

_REQUEST_EXTRAS = (VIEW, SCHEME)
_TIMED_EXTRAS = (STATUS, VIEW, SCHEME)

_MIDDLEWARE = "`MetricsMiddleware`"
_WEBSOCKET = "`WebSocketMetricsMiddleware`"
_EXECUTION = "`track_execution`, `record_execution`"
_TRACKED = "`track_execution`"
_DATABASE = "every database, and `record_db_query`"
_BACKEND = "`instrument_client`, `track_backend_request`, `record_backend_request`"
_ATTEMPTED = "`instrument_client`, `track_backend_request`"
_OURSELVES = "tachikoma_metrics itself"

BUSINESS = "`BUSINESS_METRICS`"
"""Feeds the families that a refresh of business counts sets."""

# --- HTTP -------------------------------------------------------------------

HTTP_REQUESTS = Counter(
    "http_requests_total",
    "HTTP requests answered.",
    (METHOD, PATH, STATUS),
    _REQUEST_EXTRAS,
    recorded_by=_MIDDLEWARE,
)
HTTP_REQUEST_DURATION = Histogram(
    "http_request_duration_seconds",
    "Seconds from the arrival of an HTTP request to the last byte of its answer.",
    (METHOD, PATH),
    _TIMED_EXTRAS,
    buckets=LATENCY_BUCKETS,
    bucket_setting="LATENCY_BUCKETS",
    recorded_by=_MIDDLEWARE,
)
HTTP_REQUEST_SIZE = Histogram(
    "http_request_size_bytes",
    "Bytes in the body of an HTTP request, as its Content-Length says.",
    (METHOD, PATH),
    _TIMED_EXTRAS,
    buckets=SIZE_BUCKETS,
    bucket_setting="SIZE_BUCKETS",
    recorded_by=_MIDDLEWARE,
)
HTTP_RESPONSE_SIZE = Histogram(
    "http_response_size_bytes",
    "Bytes in the body of an HTTP response, streamed ones included.",
    (METHOD, PATH),
    _TIMED_EXTRAS,
    buckets=SIZE_BUCKETS,
    bucket_setting="SIZE_BUCKETS",
    recorded_by=_MIDDLEWARE,
)
HTTP_REQUESTS_LOST = Counter(
    "http_requests_lost_total",
    "HTTP requests that were in progress when their process died.",
    recorded_by=_MIDDLEWARE,
)
HTTP_REQUESTS_IN_FLIGHT = Gauge(
    "http_requests_in_flight",
    "HTTP requests being answered now.",
    lost=HTTP_REQUESTS_LOST,
    recorded_by=_MIDDLEWARE,
)
HTTP_RESPONSE_TIME_TO_FIRST_BYTE = Histogram(
    "http_response_time_to_first_byte_seconds",
    "Seconds from the arrival of an HTTP request to the first byte of its answer.",
    (METHOD, PATH),
    _TIMED_EXTRAS,
    buckets=LATENCY_BUCKETS,
    bucket_setting="LATENCY_BUCKETS",
    opt_in=True,
    recorded_by=_MIDDLEWARE,
)
HTTP_REQUEST_DB_QUERIES = Histogram(
    "http_request_db_queries",
    "Database queries one HTTP request took.",
    (METHOD, PATH),
    _REQUEST_EXTRAS,
    buckets=QUERY_COUNT_BUCKETS,
    opt_in=True,
    recorded_by=_MIDDLEWARE,
)
HTTP_REQUEST_DB = Histogram(
    "http_request_db_seconds",
    "Seconds one HTTP request spent in the database.",
    (METHOD, PATH),
    _REQUEST_EXTRAS,
    buckets=LATENCY_BUCKETS,
    bucket_setting="LATENCY_BUCKETS",
    opt_in=True,
    recorded_by=_MIDDLEWARE,
)

# --- WebSocket --------------------------------------------------------------

WS_CONNECTIONS = Counter(
    "ws_connections_total", "WebSocket connections accepted.", recorded_by=_WEBSOCKET
)
WS_CONNECTIONS_CURRENT = Gauge(
    "ws_connections_current", "WebSocket connections open now.", recorded_by=_WEBSOCKET
)
WS_MESSAGES_RECEIVED = Counter(
    "ws_messages_received_total",
    "WebSocket messages received from clients.",
    (MESSAGE_TYPE,),
    recorded_by=_WEBSOCKET,
)
WS_MESSAGES_SENT = Counter(
    "ws_messages_sent_total",
    "WebSocket messages sent to clients.",
    (MESSAGE_TYPE,),
    recorded_by=_WEBSOCKET,
)
WS_CONNECTION_DURATION = Histogram(
    "ws_connection_duration_seconds",
    "Seconds a WebSocket connection stayed open.",
    buckets=SOCKET_BUCKETS,
    opt_in=True,
    recorded_by=_WEBSOCKET,
)
WS_CONNECTIONS_REJECTED = Counter(
    "ws_connections_rejected_total",
    "WebSocket connections refused before they were accepted.",
    (REASON,),
    opt_in=True,
    recorded_by=_WEBSOCKET,
)
WS_DISCONNECTS = Counter(
    "ws_disconnects_total",
    "WebSocket connections that ended.",
    (CLOSE_CODE,),
    opt_in=True,
    recorded_by=_WEBSOCKET,
)

# --- executions -------------------------------------------------------------

EXECUTIONS = Counter(
    "executions_total",
    "Executions of a language model that ended.",
    (BACKEND, MODEL, OUTCOME),
    recorded_by=_EXECUTION,
)
EXECUTION_DURATION = Histogram(
    "execution_duration_seconds",
    "Seconds an execution of a language model took.",
    (BACKEND, MODEL),
    buckets=EXECUTION_BUCKETS,
    recorded_by=_EXECUTION,
)
EXECUTION_TOKENS = Counter(
    "execution_tokens_total",
    "Tokens that executions used.",
    (BACKEND, MODEL, TOKEN_TYPE),
    recorded_by=_EXECUTION,
)
EXECUTIONS_LOST = Counter(
    "executions_lost_total",
    "Executions of a language model that were in progress when their process died.",
    recorded_by=_TRACKED,
)
EXECUTIONS_IN_PROGRESS = Gauge(
    "executions_in_progress",
    "Executions of a language model under way now.",
    lost=EXECUTIONS_LOST,
    recorded_by=_TRACKED,
)
EXECUTION_TIME_TO_FIRST_CHUNK = Histogram(
    "execution_time_to_first_chunk_seconds",
    "Seconds until the first chunk of an execution's answer arrived.",
    (BACKEND, MODEL),
    buckets=EXECUTION_BUCKETS,
    opt_in=True,
    recorded_by=_TRACKED,
)
EXECUTION_TOKEN_DETAILS = Counter(
    "execution_token_details_total",
    "Tokens that executions used, by the provider's finer kinds.",
    (TOKEN_DETAIL,),
    (BACKEND, MODEL),
    opt_in=True,
    recorded_by=_TRACKED,
)
EXECUTION_COST_USD = Counter(
    "execution_cost_usd_total",
    "US dollars that executions cost.",
    optional=(BACKEND, MODEL),
    opt_in=True,
    recorded_by=_TRACKED,
)

# --- database ---------------------------------------------------------------

DB_QUERIES = Counter(
    "db_queries_total",
    "Database queries executed.",
    (OPERATION, TABLE),
    (ALIAS,),
    recorded_by=_DATABASE,
)
DB_QUERY_DURATION = Histogram(
    "db_query_duration_seconds",
    "Seconds a database query took.",
    (OPERATION,),
    (ALIAS,),
    buckets=QUERY_BUCKETS,
    recorded_by=_DATABASE,
)
DB_CONNECTIONS_CURRENT = Gauge(
    "db_connections_current", "Database connections open now.", recorded_by="every database"
)

# --- cache ------------------------------------------------------------------

CACHE_HITS = Counter(
    "cache_hits_total",
    "Cache look-ups that found their key.",
    optional=(CACHE,),
    recorded_by="every cache, and `record_cache_hit`",
)
CACHE_MISSES = Counter(
    "cache_misses_total",
    "Cache look-ups that did not find their key.",
    optional=(CACHE,),
    recorded_by="every cache, and `record_cache_miss`",
)
CACHE_SIZE = Gauge(
    "cache_size",
    "Entries in the caches that can tell.",
    optional=(CACHE,),
    starts_unset=True,
    recorded_by="every cache, when the page is asked for",
)

# --- backends ---------------------------------------------------------------

BACKEND_REQUESTS = Counter(
    "backend_requests_total",
    "Requests sent to a backend's API, retries included.",
    (BACKEND, ENDPOINT),
    recorded_by=_BACKEND,
)
BACKEND_REQUEST_DURATION = Histogram(
    "backend_request_duration_seconds",
    "Seconds a request to a backend's API took.",
    (BACKEND,),
    buckets=BACKEND_BUCKETS,
    recorded_by=_BACKEND,
)
BACKEND_ERRORS = Counter(
    "backend_errors_total",
    "Requests to a backend's API that failed.",
    (BACKEND, ERROR_TYPE),
    recorded_by="`instrument_client`, `track_backend_request`, `record_backend_error`",
)
BACKEND_REQUESTS_IN_PROGRESS = Gauge(
    "backend_requests_in_progress",
    "Requests to backends' APIs under way now.",
    opt_in=True,
    recorded_by=_ATTEMPTED,
)

# --- business ---------------------------------------------------------------

MISSIONS = Gauge("missions_total", "Missions that exist.", latest_wins=True, recorded_by=BUSINESS)
SPECS = Gauge(
    "specs_total",
    "Specs that exist.",
    (SPEC_STATUS,),
    latest_wins=True,
    recorded_by=BUSINESS,
)
FILE_CHANGES = Counter(
    "file_changes_total",
    "Changes made to files.",
    (CHANGE_TYPE, CHANGE_STATUS),
    recorded_by="`record_file_change`",
)

# --- the app's own health ---------------------------------------------------

INFO = Gauge(
    "tachikoma_metrics_info",
    "The installed tachikoma_metrics; always 1.",
    (VERSION,),
    latest_wins=True,
    is_about_the_page=True,
    recorded_by=_OURSELVES,
)
ERRORS = Counter(
    "tachikoma_metrics_errors_total",
    "Faults met while measuring or serving; what was measured may be incomplete.",
    (SOURCE,),
    recorded_by=_OURSELVES,
)
OVERFLOW = Counter(
    "tachikoma_metrics_overflow_total",
    "Look-ups of a label set for which CARDINALITY_LIMIT had no place.",
    (FAMILY,),
    recorded_by=_OURSELVES,
)
PROCESSES = Gauge(
    "tachikoma_metrics_processes",
    "Living processes whose values the page shows.",
    latest_wins=True,
    is_about_the_page=True,
    recorded_by=_OURSELVES,
)
BUSINESS_TIMESTAMP = Gauge(
    "tachikoma_metrics_business_timestamp_seconds",
    "Unix time at which the refresh began that the business counts are of.",
    latest_wins=True,
    recorded_by=BUSINESS,
)
BUSINESS_UP = Gauge(
    "tachikoma_metrics_business_up",
    "Whether the business counts could be read: 1, or 0 if the page shows the last copy.",
    latest_wins=True,
    recorded_by=BUSINESS,
)
BUSINESS_REFRESH_DURATION = Gauge(
    "tachikoma_metrics_business_refresh_duration_seconds",
    "Seconds the last refresh of the business counts took.",
    latest_wins=True,
    recorded_by=BUSINESS,
)
BUSINESS_REFRESH_ERRORS = Gauge(
    "tachikoma_metrics_business_refresh_errors",
    "Families that the last refresh of the business counts could not count.",
    latest_wins=True,
    recorded_by=BUSINESS,
)
CARDINALITY = Gauge(
    "tachikoma_metrics_cardinality",
    "Label sets of a metric, of all processes together; from CARDINALITY_LIMIT on, new ones are "
    "`overflow`.",
    (FAMILY,),
    latest_wins=True,
    is_about_the_page=True,
    recorded_by=_OURSELVES,
)
SCRAPES_REFUSED = Counter(
    "tachikoma_metrics_scrapes_refused_total",
    "Requests to the metrics endpoint that access control refused.",
    (REFUSAL,),
    recorded_by=_OURSELVES,
)
SCRAPE_DURATION = Gauge(
    "tachikoma_metrics_scrape_duration_seconds",
    "Seconds the previous scrape took to gather and render.",
    latest_wins=True,
    recorded_by=_OURSELVES,
)

_OF_TASKS_AND_COMMANDS = (
    TASK_SENDS,
    TASK_RUNS,
    TASK_RUN_DURATION,
    TASK_QUEUE_WAIT,
    TASK_RUNS_IN_PROGRESS,
    TASK_QUEUE_LENGTH,
    TASK_LAST_SUCCESS_TIMESTAMP,
    BEAT_LAST_TICK_TIMESTAMP,
    BEAT_ENTRY_OVERDUE,
    COMMAND_RUNS,
    COMMAND_RUN_DURATION,
    COMMAND_LAST_SUCCESS_TIMESTAMP,
)

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        *(one for one in list(globals().values()) if isinstance(one, Family)),
        *_OF_TASKS_AND_COMMANDS,
    )
}
"""Every family by its name, in the order in which they are declared."""

_OF_LOST = frozenset(
    family.lost.name for family in FAMILIES.values() if isinstance(family, Gauge) and family.lost
)

SPECIFIED: tuple[Family, ...] = tuple(
    family
    for family in FAMILIES.values()
    if not family.opt_in
    and not family.is_own_health
    and family.name not in _OF_LOST
    and family not in _OF_TASKS_AND_COMMANDS
)
"""The 25 families of the specification."""

RECORDED_BY_REQUESTS: frozenset[str] = frozenset(
    name for name, family in FAMILIES.items() if METHOD in family.labels
)
"""Names of the families that know the request, and so can carry ``EXTRA_LABELS``."""


def _fed_by(feeder: str) -> frozenset[str]:
    return frozenset(name for name, one in FAMILIES.items() if one.recorded_by.startswith(feeder))


RECORDED_BY_MIDDLEWARE = _fed_by(_MIDDLEWARE)
RECORDED_BY_WEBSOCKETS = _fed_by(_WEBSOCKET)
RECORDED_BY_DATABASES = _fed_by("every database")
RECORDED_BY_CACHES = _fed_by("every cache")
RECORDED_BY_TASK_SYSTEMS = _fed_by(TASK_SYSTEMS)
RECORDED_BY_BEAT = _fed_by(BEAT)
RECORDED_BY_COMMANDS = _fed_by(COMMANDS)
"""Names of the families that are on the page from when these are in use."""
