"""What the value of each setting must be.

A rule says so in words, so that the message of a check, the settings reference and the
tests share one text, and converts a valid value into the form the code works with.
"""

from __future__ import annotations

from tachikoma_metrics.conf.validators.buckets import BUCKETS, BUCKETS_BY_METRIC, read_buckets
from tachikoma_metrics.conf.validators.business import BUSINESS_METRICS
from tachikoma_metrics.conf.validators.labels import (
    EXTRA_LABELS,
    GLOBAL_LABELS,
    LABELS_BY_METRIC,
    NAMESPACE,
)
from tachikoma_metrics.conf.validators.networks import AT_UNIX_SOCKET, NETWORKS
from tachikoma_metrics.conf.validators.rule import InvalidValue, Rule
from tachikoma_metrics.conf.validators.tasks import COMMANDS, HOST, TASK_SYSTEMS
from tachikoma_metrics.conf.validators.values import (
    AUTO,
    BOOLEAN,
    BUSINESS_STORE,
    DOTTED_PATH,
    EXEMPLARS,
    NAMES,
    NATIVE_SCHEMA,
    OPTIONAL_SECONDS,
    PATH,
    PATTERNS,
    PORT,
    POSITIVE_INTEGER,
    SECONDS,
    SECONDS_OR_ZERO,
    STATUSES,
    STORE_DIR,
    SWITCH_OR_ALIASES,
    SWITCH_OR_NAMES,
)
from tachikoma_metrics.conf.validators.views import VIEWS

__all__ = [
    "AT_UNIX_SOCKET",
    "AUTO",
    "BOOLEAN",
    "BUCKETS",
    "BUCKETS_BY_METRIC",
    "BUSINESS_METRICS",
    "BUSINESS_STORE",
    "COMMANDS",
    "DOTTED_PATH",
    "EXEMPLARS",
    "EXTRA_LABELS",
    "GLOBAL_LABELS",
    "HOST",
    "LABELS_BY_METRIC",
    "NAMES",
    "NAMESPACE",
    "NATIVE_SCHEMA",
    "NETWORKS",
    "OPTIONAL_SECONDS",
    "PATH",
    "PATTERNS",
    "PORT",
    "POSITIVE_INTEGER",
    "SECONDS",
    "SECONDS_OR_ZERO",
    "STATUSES",
    "STORE_DIR",
    "SWITCH_OR_ALIASES",
    "SWITCH_OR_NAMES",
    "TASK_SYSTEMS",
    "VIEWS",
    "InvalidValue",
    "Rule",
    "read_buckets",
]
