"""Rules for single values and lists: switches, numbers, texts, paths."""

from __future__ import annotations

import math
import re
from typing import Any

from tachikoma_metrics.conf.validators.rule import InvalidValue, Rule, are_texts, require


def _boolean(value: Any) -> bool:
    require(isinstance(value, bool))
    return bool(value)


def strings(value: Any) -> tuple[str, ...]:
    """Return a list of strings as a tuple; raise ``InvalidValue`` for anything else."""
    require(isinstance(value, (list, tuple, set, frozenset)) and are_texts(value))
    return tuple(value)


def is_number(value: Any) -> bool:
    """Return whether a value is a number; ``True`` and ``False`` are none here."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _positive_integer(value: Any) -> int:
    require(isinstance(value, int) and not isinstance(value, bool))
    # Larger ones overflow Python's floats, and its conversion to text.
    require(0 < value < 2**63)
    return int(value)


def _native_schema(value: Any) -> int:
    require(isinstance(value, int) and not isinstance(value, bool))
    require(0 <= value <= 5)
    return int(value)


def _switch_or_names(value: Any) -> bool | tuple[str, ...]:
    return value if isinstance(value, bool) else strings(value)


def _seconds(value: Any) -> float:
    require(is_number(value) and 0 < value < math.inf)
    return float(value)


def _seconds_or_zero(value: Any) -> float:
    require(is_number(value) and 0 <= value < math.inf)
    return float(value)


def _optional_seconds(value: Any) -> float | None:
    return None if value is None else _seconds(value)


def _path(value: Any) -> str | None:
    if value is None:
        return None
    require(isinstance(value, str) and value.startswith("/"))
    require(not set("?#") & set(value) and value.isprintable() and " " not in value)
    return str(value)


def _patterns(value: Any) -> tuple[re.Pattern[str], ...]:
    require(isinstance(value, (list, tuple)))
    require(all(isinstance(item, (str, re.Pattern)) for item in value))
    patterns = tuple(_pattern(place, item) for place, item in enumerate(value))
    require(all(isinstance(pattern.pattern, str) for pattern in patterns))
    return patterns


def _pattern(place: int, item: Any) -> re.Pattern[str]:
    try:
        return re.compile(item)
    except (re.error, RecursionError, OverflowError) as error:
        must_be = "a valid regular expression"
        hint = f'Python\'s re module reports: {error}. Example: [r"^/health$"]'
        raise InvalidValue(place, expectation=must_be, got=item, hint=hint) from error


def _store_dir(value: Any) -> str | None:
    if value is None:
        return None
    require(isinstance(value, str) or hasattr(value, "__fspath__"))
    require(str(value) == "auto" or str(value).startswith("/"))
    return str(value)


def _switch_or_aliases(value: Any) -> bool | tuple[str, ...]:
    return value if isinstance(value, bool) else strings(value)


def _business_store(value: Any) -> str:
    require(value in ("database", "cache"))
    return str(value)


def _dotted_path(value: Any) -> str | None:
    if value is None:
        return None
    require(isinstance(value, str) and "." in value)
    return str(value)


def _exemplars(value: Any) -> str | None:
    return AUTO if value == AUTO else _dotted_path(value)


def _port(value: Any) -> int | None:
    if value is None:
        return None
    require(_positive_integer(value) < 65536)
    return int(value)


def _statuses(value: Any) -> tuple[int, ...]:
    require(isinstance(value, (list, tuple, set, frozenset)))
    for status in value:
        require(isinstance(status, int) and not isinstance(status, bool))
        require(100 <= status < 600)
    return tuple(sorted({int(status) for status in value}))


AUTO = "auto"
"""In ``EXEMPLARS``: whichever tracing the process has."""

BOOLEAN = Rule("True or False", "", _boolean)
NAMES = Rule("a list of strings", "", strings)
POSITIVE_INTEGER = Rule("a whole number of at least 1, and below 2**63", "", _positive_integer)
SECONDS = Rule("a positive number of seconds", "", _seconds)
SECONDS_OR_ZERO = Rule(
    "a number of seconds, at least 0",
    "With 0, counters start at zero each time the service starts.",
    _seconds_or_zero,
)
OPTIONAL_SECONDS = Rule(
    "a positive number of seconds, or None",
    "None means ten times BUSINESS_INTERVAL.",
    _optional_seconds,
)
PATH = Rule(
    'a path that starts with "/", without a query, or None',
    "With None, only a route of the URLconf serves the metrics.",
    _path,
)
PATTERNS = Rule(
    "a list of valid regular expressions",
    "Each is searched for in the path of the URL.",
    _patterns,
)
STORE_DIR = Rule(
    '"auto", an absolute path, or None',
    'Leave it at "auto" unless two services share a user and a project.',
    _store_dir,
)
SWITCH_OR_ALIASES = Rule("True, False, or a list of aliases", "", _switch_or_aliases)
SWITCH_OR_NAMES = Rule("True, False, or a list of names of histograms", "", _switch_or_names)
NATIVE_SCHEMA = Rule(
    "a whole number from 0 to 5",
    "With 3, a bucket is 9 % wide; each step halves that, and doubles the number of buckets.",
    _native_schema,
)
BUSINESS_STORE = Rule('"database" or "cache"', "", _business_store)
DOTTED_PATH = Rule("the dotted path of a callable, or None", "", _dotted_path)
EXEMPLARS = Rule(
    '"auto", the dotted path of a callable, or None',
    "With None, there are no exemplars but those that the project sets.",
    _exemplars,
)
STATUSES = Rule(
    "a list of HTTP status codes from 100 to 599",
    "With an empty list, no series starts at zero.",
    _statuses,
)
PORT = Rule("a port number, or None", "Choose a number from 1 to 65535.", _port)
