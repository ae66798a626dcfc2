"""Metrics of database queries and connections."""

from __future__ import annotations

from tachikoma_metrics.catalogue.definitions import Buckets, Counter, Gauge, Histogram, Label

QUERY_BUCKETS: Buckets = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)

DB_OPERATIONS = ("select", "insert", "update", "delete", "transaction", "ddl", "other")
"""What a query may do, as values of the label ``operation``."""

OPERATION = Label(
    "operation",
    "`select`, `insert`, `update`, `delete`, `transaction`, `ddl` or `other`.",
    is_closed=True,
)
TABLE = Label("table", "A table of an installed model, else `other`.")
ALIAS = Label("alias", "The database's key in `DATABASES`.", is_closed=True)
DB_ERROR_TYPES = (
    *("DataError", "OperationalError", "IntegrityError", "InternalError", "ProgrammingError"),
    *("NotSupportedError", "InterfaceError", "DatabaseError", "Error"),
)
"""Django's classes of database errors.

https://docs.djangoproject.com/en/stable/ref/exceptions/#database-exceptions
"""

DB_ERROR_TYPE = Label(
    "error_type",
    "The class of Django's database exceptions: "
    + ", ".join(f"`{name}`" for name in DB_ERROR_TYPES[:-1])
    + f" or `{DB_ERROR_TYPES[-1]}`.",
    is_closed=True,
)

POOL_STATE = Label(
    "state",
    "`idle`, `used`, or `unopened` for those that the pool can still open.",
    is_closed=True,
)

EVERY_DATABASE = "every database"
"""Records all of these metrics."""

_RECORDERS = f"{EVERY_DATABASE}, and `record_db_query`"

DB_QUERIES = Counter(
    "db_queries_total",
    "Database queries executed.",
    (OPERATION, TABLE),
    (ALIAS,),
    recorded_by=_RECORDERS,
)
DB_QUERY_DURATION = Histogram(
    "db_query_duration_seconds",
    "Seconds a database query took.",
    (OPERATION,),
    (ALIAS,),
    buckets=QUERY_BUCKETS,
    recorded_by=_RECORDERS,
)
DB_CONNECTIONS_CURRENT = Gauge(
    "db_connections_current", "Database connections currently open.", recorded_by=EVERY_DATABASE
)
DB_ERRORS = Counter(
    "db_errors_total",
    "Database queries and commits that failed.",
    (DB_ERROR_TYPE,),
    (ALIAS, OPERATION),
    recorded_by=EVERY_DATABASE,
)
DB_CONNECTIONS_OPENED = Counter(
    "db_connections_opened_total",
    "Database connections opened.",
    optional=(ALIAS,),
    recorded_by=EVERY_DATABASE,
)
DB_CONNECTION_ERRORS = Counter(
    "db_connection_errors_total",
    "Database connections that could not be opened.",
    optional=(ALIAS,),
    recorded_by=EVERY_DATABASE,
)
DB_ROWS = Counter(
    "db_rows_total",
    "Rows inserted, updated or deleted, according to the database.",
    (OPERATION, TABLE),
    (ALIAS,),
    opt_in=True,
    recorded_by=EVERY_DATABASE,
)

POOLS = "every psycopg pool that `OPTIONS` configures"
"""Records all of these metrics."""

DB_POOL_CONNECTIONS = Gauge(
    "db_pool_connections",
    "Database connections in the pools of live processes, including those not yet opened.",
    (ALIAS, POOL_STATE),
    opt_in=True,
    recorded_by=POOLS,
)
DB_POOL_REQUESTS_WAITING = Gauge(
    "db_pool_requests_waiting",
    "Threads currently waiting for a database connection of a pool.",
    (ALIAS,),
    opt_in=True,
    recorded_by=POOLS,
)
DB_POOL_WAIT = Counter(
    "db_pool_wait_seconds_total",
    "Seconds that threads waited for a database connection of a pool.",
    (ALIAS,),
    opt_in=True,
    recorded_by=POOLS,
)
