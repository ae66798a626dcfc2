"""Every key of ``TACHIKOMA_METRICS``: its type, default, rule, example and meaning.

Each key is a field; the reference of settings and the checks of values are made from it. The
module is long because it is that list: a reader finds all settings in one place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tachikoma_metrics import catalogue
from tachikoma_metrics.conf import validators
from tachikoma_metrics.conf.setting import setting

ENDPOINT = "Metrics endpoint"
ACCESS = "Access"
METRICS = "Metrics and labels"
HTTP = "HTTP requests"
PROCESSES = "Shared memory"
DATABASES = "Databases and caches"
WEBSOCKETS = "WebSockets"
LLM = "LLM calls"
BUSINESS = "Business metrics"
CELERY = "Celery"
TASKS = "Tasks and commands"
PUSH = "Push"


@dataclass(frozen=True)
class Declarations:
    """Hold the value of every setting, in the form the code works with."""

    enabled: bool = setting(
        ENDPOINT,
        True,
        validators.BOOLEAN,
        "E101",
        "False",
        "Master switch: `False` turns off all measuring and the metrics endpoint.",
    )
    path: str | None = setting(
        ENDPOINT,
        "/metrics",
        validators.PATH,
        "E102",
        '"/internal/metrics"',
        "The path at which the middleware itself serves the metrics, before host validation, "
        "redirects and login. With `None`, only a route of the URLconf serves them.",
    )
    include_process_metrics: bool = setting(
        ENDPOINT,
        True,
        validators.BOOLEAN,
        "E103",
        "False",
        "Whether the metrics endpoint exposes `process_*` and `python_*` metrics.",
    )
    allowed_networks: tuple[str, ...] = setting(
        ACCESS,
        ("private",),
        validators.NETWORKS,
        "E124",
        '["private", "192.0.2.0/24"]',
        "Networks that may read the metrics: `private` for loopback, private and link-local "
        "addresses, `*` for all, or networks such as `192.0.2.0/24`. The peer and every address "
        "in a proxy's header must be in one of them. `unix:X-Forwarded-For` names the header that "
        "the proxy in front of a Unix socket sets; if it is the only entry, `private` is implied. "
        "With `TOKENS`, the default is all networks.",
    )
    tokens: tuple[str, ...] = setting(
        ACCESS,
        (),
        validators.NAMES,
        "E125",
        '["file:/run/secrets/metrics"]',
        "Bearer tokens, one of which is required to read the metrics. `file:/run/secrets/metrics` "
        "stands for the lines of a file, which may change while the service runs.",
    )
    permission: str | None = setting(
        ACCESS,
        None,
        validators.DOTTED_PATH,
        "E126",
        '"shop.metrics.may_read"',
        "Dotted path of a callable that takes the request and returns `True` if the client may "
        "read the metrics. Evaluated last.",
    )
    namespace: str = setting(
        METRICS,
        "",
        validators.NAMESPACE,
        "E107",
        '"shop"',
        "Prefix of metric names: `shop` makes `shop_http_requests_total`. Metrics about "
        "the instrumentation itself, `tachikoma_metrics_*`, keep their names, and so do those that "
        "`BUSINESS_METRICS` adds.",
    )
    global_labels: tuple[tuple[str, str], ...] = setting(
        METRICS,
        (),
        validators.GLOBAL_LABELS,
        "E104",
        '{"region": "eu"}',
        "Labels added to every sample of the metrics endpoint: a mapping or a list of pairs.",
    )
    labels: Mapping[str, tuple[str, ...]] = setting(
        METRICS,
        {},
        validators.LABELS_BY_METRIC,
        "E109",
        '{"http_requests_total": ["method", "status"]}',
        "Labels by metric, in order: leave out default ones, add optional ones or those of "
        "`EXTRA_LABELS`.",
    )
    buckets: Mapping[str, tuple[float, ...]] = setting(
        METRICS,
        {},
        validators.BUCKETS_BY_METRIC,
        "E108",
        '{"http_request_duration_seconds": [0.1, 0.5, 1]}',
        "Upper bounds by histogram. They take precedence over defaults, `LATENCY_BUCKETS` and "
        "`SIZE_BUCKETS`.",
    )
    native_histograms: bool | tuple[str, ...] = setting(
        METRICS,
        False,
        validators.SWITCH_OR_NAMES,
        "E150",
        '["http_request_duration_seconds"]',
        "Histograms that count in native buckets as well: all, none, or the listed ones, which "
        "may be the project's own. Only a Prometheus server that requests native histograms gets "
        "them; it then drops the classic buckets unless its scrape configuration keeps them. See "
        "[Native histograms](../guides/native-histograms.md).",
    )
    native_histogram_schema: int = setting(
        METRICS,
        3,
        validators.NATIVE_SCHEMA,
        "E151",
        "4",
        "The resolution of native buckets: a power of two has `2 ** schema` of them. With 3, each "
        "is 9 % wider than the one before. After a change, these histograms start at zero.",
    )
    extra_metrics: tuple[str, ...] = setting(
        METRICS,
        (),
        validators.NAMES,
        "E111",
        '["http_request_db_queries", "http_request_db_seconds"]',
        "Opt-in metrics to turn on; [the reference of metrics](metrics.md) marks them.",
    )
    disabled_metrics: tuple[str, ...] = setting(
        METRICS,
        (),
        validators.NAMES,
        "E112",
        '["http_request_size_bytes"]',
        "Metrics to turn off.",
    )
    views: tuple[str, ...] = setting(
        METRICS,
        (),
        validators.VIEWS,
        "E133",
        '["django-prometheus"]',
        "Packages under whose metric names the values are exposed a second time: "
        "`django-prometheus`, or `opentelemetry` for its stable semantic conventions. They are "
        "derived at each scrape, and nothing is counted twice; see [Views](views.md).",
    )
    exemplars: str | None = setting(
        METRICS,
        None,
        validators.EXEMPLARS,
        "E160",
        '"auto"',
        "Source of the exemplars that link durations and `http_requests_total` to a trace: `auto` "
        "for the sampled span of OpenTelemetry or Sentry, else the sampled `traceparent` of the "
        "request; or the dotted path of a callable that takes no arguments and returns a mapping "
        "of labels, or `None`. The callable is called at most once every 7 seconds for each bucket "
        "and for each status 5xx, and must not block. See [Exemplars](../guides/exemplars.md).",
    )
    cardinality_limit: int = setting(
        METRICS,
        2000,
        validators.POSITIVE_INTEGER,
        "E114",
        "5000",
        "Maximum number of label sets of a metric, in each process and in all processes together. "
        "Above it, the open labels of a new label set, such as `path`, become `overflow`. Closed "
        "labels, whose values are a short list, such as `method` and `status`, keep their values, "
        "in at most 200 additional label sets.",
    )
    latency_buckets: tuple[float, ...] = setting(
        HTTP,
        catalogue.LATENCY_BUCKETS,
        validators.BUCKETS,
        "E105",
        "[0.1, 0.5, 1]",
        "Upper bounds, in seconds, of the histograms of HTTP durations.",
    )
    size_buckets: tuple[float, ...] = setting(
        HTTP,
        catalogue.SIZE_BUCKETS,
        validators.BUCKETS,
        "E106",
        "[1000, 1_000_000]",
        "Upper bounds, in bytes, of the histograms of HTTP body sizes.",
    )
    zero_statuses: tuple[int, ...] = setting(
        HTTP,
        (500,),
        validators.STATUSES,
        "E132",
        "[500, 503]",
        "Statuses whose series start at zero: the first request to a method and path creates a "
        "series for each of these statuses, so that `increase()` and `rate()` count the first "
        "error. Series at zero displace no others within `CARDINALITY_LIMIT`. With `[]`, no series "
        "starts at zero.",
    )
    exclude_paths: tuple[re.Pattern[str], ...] = setting(
        HTTP,
        (),
        validators.PATTERNS,
        "E113",
        '[r"^/health$"]',
        "Regular expressions that are searched for in the path of the URL. Matching requests are "
        "not measured, and neither are scrapes.",
    )
    extra_labels: Mapping[str, str] = setting(
        HTTP,
        {},
        validators.EXTRA_LABELS,
        "E110",
        '{"tenant": "shop.metrics.tenant"}',
        "Custom labels of HTTP metrics: the name of the label, and the dotted path of a callable "
        "that takes the request and returns the value. It is called once per request, after the "
        "view, and must not block. `LABELS` adds the label to metrics.",
    )
    store_dir: str | None = setting(
        PROCESSES,
        "auto",
        validators.STORE_DIR,
        "E115",
        '"/run/shop/metrics"',
        "The directory in which the processes of a service share values: `auto` for a private "
        "one, named after the user and the settings module, in `/dev/shm`, `XDG_RUNTIME_DIR` or "
        "the temporary directory; an absolute path; or `None`, with which each process serves only "
        "its own values. In a test run, `auto` means `None`.",
    )
    keep_totals: float = setting(
        PROCESSES,
        600.0,
        validators.SECONDS_OR_ZERO,
        "E128",
        "3600",
        "Seconds for which the totals of a stopped service are kept on its host. If it starts "
        "again within that time, counters continue, so that they survive a deployment. After "
        "that, or with 0, counters start at zero.",
    )
    instrument_databases: bool | tuple[str, ...] = setting(
        DATABASES,
        True,
        validators.SWITCH_OR_ALIASES,
        "E116",
        '["default"]',
        "Databases to measure: all, none, or the listed aliases.",
    )
    instrument_caches: bool | tuple[str, ...] = setting(
        DATABASES,
        True,
        validators.SWITCH_OR_ALIASES,
        "E117",
        '["default"]',
        "Caches to measure: all, none, or the listed aliases.",
    )
    ws_message_types: tuple[str, ...] = setting(
        WEBSOCKETS,
        (),
        validators.NAMES,
        "E118",
        '["chat.message", "chat.typing"]',
        "JSON `type` values of WebSocket messages to report separately. If it is empty, messages "
        "are not parsed.",
    )
    llm_models: tuple[str, ...] = setting(
        LLM,
        (),
        validators.NAMES,
        "E119",
        '["gpt-4o", "claude-sonnet-4-5"]',
        "Values of the label `model`; all other models are `other`. If it is empty, the first 50 "
        "models of each process are used.",
    )
    business_metrics: Mapping[str, Mapping[str, Any]] = setting(
        BUSINESS,
        {},
        validators.BUSINESS_METRICS,
        "E120",
        '{"orders": {"model": "shop.Order", "labels": {"status": "status"}}}',
        "Gauges that count rows of models or come from callables, by metric name. Each has either "
        "`model`, such as `shop.Order`, with an optional `filter`, or `callable`, a dotted path; "
        "`labels` and `help` are optional. See [Business metrics](../guides/business.md).",
    )
    business_interval: float = setting(
        BUSINESS,
        30,
        validators.SECONDS,
        "E121",
        "60",
        "Seconds between two refreshes of the business metrics.",
    )
    business_max_age: float | None = setting(
        BUSINESS,
        None,
        validators.OPTIONAL_SECONDS,
        "E122",
        "300",
        "Seconds after which business metrics are stale and removed from the metrics endpoint. "
        "The default is ten intervals.",
    )
    business_store: str = setting(
        BUSINESS,
        "database",
        validators.BUSINESS_STORE,
        "E123",
        '"cache"',
        "Where the snapshot of the business metrics is stored: `database` or `cache`.",
    )
    worker_port: int | None = setting(
        CELERY,
        None,
        validators.PORT,
        "E127",
        "9100",
        "The port on which a Celery worker serves the metrics of its host.",
    )
    worker_host: str = setting(
        CELERY,
        "",
        validators.HOST,
        "E129",
        '"127.0.0.1"',
        "The address at which a Celery worker serves the metrics of its host; all addresses "
        "unless set.",
    )
    tasks: bool | tuple[str, ...] = setting(
        TASKS,
        True,
        validators.TASK_SYSTEMS,
        "E130",
        '["celery"]',
        "Task systems to measure: all that are in use, none, or those listed of `celery` and "
        "`django`.",
    )
    commands: tuple[str, ...] = setting(
        TASKS,
        (),
        validators.COMMANDS,
        "E131",
        '["send_*", "!send_test"]',
        "Management commands to measure, as patterns such as `send_*`; `!` before a pattern "
        "leaves commands out.",
    )
    otlp: bool = setting(
        PUSH,
        False,
        validators.BOOLEAN,
        "E180",
        "True",
        "Whether one of the server's processes pushes the metrics of all processes by OTLP, to the "
        "endpoint in the environment variables `OTEL_EXPORTER_OTLP_*`. Requires the extra `otlp`; "
        "see [Push](../guides/push.md).",
    )
