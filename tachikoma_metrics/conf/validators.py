"""What the value of a setting should be.

A rule says its expectation in words, so that the message of a check, the
settings reference and the test are one text, and turns a legal value into the
form the code works with.
"""

from __future__ import annotations

import ipaddress
import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tachikoma_metrics.catalogue.definitions import is_legal_label

_NOT_GIVEN = object()


class Unmet(ValueError):
    """Raised by a rule for a value that does not meet its expectation.

    Where only a part of the value is wrong, ``at`` are the keys that lead to it, and
    ``expectation``, ``got`` and ``hint`` are about that part.
    """

    def __init__(
        self,
        *at: object,
        expectation: str = "",
        got: object = _NOT_GIVEN,
        hint: str = "",
    ) -> None:
        super().__init__(expectation)
        self.at = at
        self.expectation = expectation
        self.got = got
        self.hint = hint

    @property
    def is_about_a_part(self) -> bool:
        """Tell whether it says which part of the value is wrong."""
        return self.got is not _NOT_GIVEN


@dataclass(frozen=True)
class Rule:
    """Say in words what a value should be, how to get there, and read it.

    ``expectation`` completes "The setting should be …"; ``hint`` is the remedy;
    ``read`` returns the value in the form the code uses or raises ``Unmet``.
    """

    expectation: str
    hint: str
    read: Callable[[Any], Any]


def require(met: bool) -> None:
    """Raise ``Unmet`` unless ``met``."""
    if not met:
        raise Unmet


def require_part(met: bool, *at: object, should_be: str, got: object, hint: str = "") -> None:
    """Raise ``Unmet`` about a part of the value unless ``met``."""
    if not met:
        raise Unmet(*at, expectation=should_be, got=got, hint=hint)


def _strings(value: Any) -> tuple[str, ...]:
    require(isinstance(value, (list, tuple, set, frozenset)))
    require(all(isinstance(item, str) and item for item in value))
    return tuple(value)


def _boolean(value: Any) -> bool:
    require(isinstance(value, bool))
    return bool(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def read_buckets(value: Any) -> tuple[float, ...]:
    """Return bucket boundaries as a tuple; raise ``Unmet`` unless they rise."""
    require(isinstance(value, Sequence) and not isinstance(value, (str, bytes)))
    require(len(value) > 0 and all(_is_number(bound) for bound in value))
    bounds = tuple(float(bound) for bound in value)
    require(all(0 < bound < math.inf for bound in bounds))
    require(all(low < high for low, high in itertools.pairwise(bounds)))
    return bounds


def _buckets_by_family(value: Any) -> dict[str, tuple[float, ...]]:
    require(isinstance(value, Mapping))
    require(all(isinstance(name, str) for name in value))
    return {name: _buckets_of(name, bounds) for name, bounds in value.items()}


def _buckets_of(name: str, bounds: Any) -> tuple[float, ...]:
    try:
        return read_buckets(bounds)
    except Unmet as error:
        raise Unmet(name, expectation="a sorted list of positive numbers", got=bounds) from error


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    require(isinstance(value, Iterable) and not isinstance(value, (str, bytes)))
    pairs = [pair if isinstance(pair, (list, tuple)) else () for pair in value]
    require(all(len(pair) == 2 for pair in pairs))
    return [(first, second) for first, second in pairs]


def _global_labels(value: Any) -> tuple[tuple[str, str], ...]:
    pairs = _pairs(value)
    require(all(isinstance(name, str) and is_legal_label(name) for name, _ in pairs))
    require(all(isinstance(text, str) for _, text in pairs))
    require(len({name for name, _ in pairs}) == len(pairs))
    return tuple(pairs)


def _labels_by_family(value: Any) -> dict[str, tuple[str, ...]]:
    require(isinstance(value, Mapping))
    require(all(isinstance(family, str) for family in value))
    for family, names in value.items():
        is_list = isinstance(names, (list, tuple)) and all(isinstance(one, str) for one in names)
        is_met = is_list and len(set(names)) == len(names)
        require_part(is_met, family, should_be="a list of different label names", got=names)
    return {family: tuple(names) for family, names in value.items()}


def _extra_labels(value: Any) -> dict[str, str]:
    require(isinstance(value, Mapping))
    for name, dotted_path in value.items():
        _legal_label(name)
        is_path = isinstance(dotted_path, str) and "." in dotted_path
        require_part(is_path, name, should_be="the dotted path of a callable", got=dotted_path)
    return dict(value)


_LEGAL_LABELS = (
    "A label name has letters, digits and underscores, does not start with a digit or two "
    "underscores, and is neither `le` nor `quantile`."
)


def _legal_label(name: Any) -> None:
    is_legal = isinstance(name, str) and is_legal_label(name)
    require_part(is_legal, name, should_be="under a legal label name", got=name, hint=_LEGAL_LABELS)


def _path(value: Any) -> str | None:
    if value is None:
        return None
    require(isinstance(value, str) and value.startswith("/"))
    require(not set("?#") & set(value) and value.isprintable() and " " not in value)
    return str(value)


def _namespace(value: Any) -> str:
    require(isinstance(value, str))
    require(not value or re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", value) is not None)
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
        should_be = "a valid regular expression"
        hint = f"Python's `re` says of it: {error}. {PATTERNS.hint}"
        raise Unmet(place, expectation=should_be, got=item, hint=hint) from error


def _host(value: Any) -> str:
    require(isinstance(value, str))
    try:
        return str(ipaddress.ip_address(value)) if value else ""
    except ValueError as error:
        raise Unmet from error


def _task_systems(value: Any) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    systems = _strings(value)
    require(set(systems) <= {"celery", "django"})
    return systems


def _commands(value: Any) -> tuple[str, ...]:
    patterns = _strings(value)
    for place, pattern in enumerate(patterns):
        should_be = "a pattern of command names"
        require_part(pattern != "!", place, should_be=should_be, got=pattern)
    return patterns


def _positive_integer(value: Any) -> int:
    require(isinstance(value, int) and not isinstance(value, bool))
    # Python's floats, and its ways to write a number down, have an end.
    require(0 < value < 2**63)
    return int(value)


def _store_dir(value: Any) -> str | None:
    if value is None:
        return None
    require(isinstance(value, str) or hasattr(value, "__fspath__"))
    require(str(value) == "auto" or str(value).startswith("/"))
    return str(value)


def _switch_or_aliases(value: Any) -> bool | tuple[str, ...]:
    return value if isinstance(value, bool) else _strings(value)


def _business_metrics(value: Any) -> dict[str, Mapping[str, Any]]:
    require(isinstance(value, Mapping))
    for name, declaration in value.items():
        _business_declaration(name, declaration)
    return dict(value)


_BUSINESS_KEYS = ("model", "callable", "filter", "labels", "help")


def _business_declaration(name: Any, declaration: Any) -> None:
    require_part(isinstance(name, str), name, should_be="under a name that is a string", got=name)
    require_part(
        isinstance(declaration, Mapping),
        name,
        should_be="a dictionary with `model` or `callable`",
        got=declaration,
        hint=f'Write it like {{"{name}": {{"model": "shop.Order"}}}}.',
    )
    for key in declaration:
        known = key in _BUSINESS_KEYS
        hint = f"Its keys may be {', '.join(f'`{one}`' for one in _BUSINESS_KEYS)}."
        require_part(known, name, should_be="a dictionary of known keys", got=key, hint=hint)
    _business_source(name, declaration)
    filter = declaration.get("filter")
    is_filter = filter is None or isinstance(filter, Mapping)
    should_be = "a dictionary of what is given to `.filter()`"
    hint = 'Write it like {"filter": {"closed_at": None}}.'
    require_part(is_filter, name, "filter", should_be=should_be, got=filter, hint=hint)
    _business_labels(name, declaration)


def _business_source(name: str, declaration: Mapping[str, Any]) -> None:
    sources = [key for key in ("model", "callable") if key in declaration]
    require_part(
        len(sources) == 1,
        name,
        should_be="a dictionary with either `model` or `callable`",
        got=dict(declaration),
        hint='`"model": "shop.Order"` counts rows; `"callable": "shop.metrics.open_orders"` '
        "returns numbers.",
    )
    source = declaration[sources[0]]
    should_be = "the label of a model, as text" if sources == ["model"] else "a dotted path"
    example = "shop.Order" if sources == ["model"] else "shop.metrics.open_orders"
    hint = f'Write it like "{example}".'
    is_text = isinstance(source, str)
    require_part(is_text, name, sources[0], should_be=should_be, got=source, hint=hint)


def _business_labels(name: str, declaration: Mapping[str, Any]) -> None:
    labels = declaration.get("labels")
    if labels is None or labels in ({}, [], ()):
        return
    if "model" in declaration:
        is_met = isinstance(labels, Mapping) and _are_texts([*labels, *labels.values()])
        should_be = "a dictionary of label names to fields or look-ups of the model"
        example = next((one for one in _listed(labels) if isinstance(one, str)), "status")
        hint = f'Write it like {{"labels": {{"{example}": "{example}"}}}}.'
    else:
        is_met = isinstance(labels, (list, tuple, set, frozenset)) and _are_texts(labels)
        should_be = "a list of label names, as the callable returns their values"
        names = [one for one in _listed(labels) if isinstance(one, str)] or ["status"]
        hint = f'Write it like {{"labels": [{", ".join(map(_quoted, names))}]}}.'
    require_part(is_met, name, "labels", should_be=should_be, got=labels, hint=hint)


def _quoted(name: str) -> str:
    return f'"{name}"'


def _listed(labels: Any) -> list[Any]:
    return list(labels) if isinstance(labels, (list, tuple, set, Mapping)) else [labels]


def _are_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) and value for value in values)


def _seconds(value: Any) -> float:
    require(_is_number(value) and 0 < value < math.inf)
    return float(value)


def _seconds_or_zero(value: Any) -> float:
    require(_is_number(value) and 0 <= value < math.inf)
    return float(value)


def _optional_seconds(value: Any) -> float | None:
    return None if value is None else _seconds(value)


def _business_store(value: Any) -> str:
    require(value in ("database", "cache"))
    return str(value)


AT_UNIX_SOCKET = "unix:"
"""Begins an entry of ``ALLOWED_NETWORKS`` that names the header of a proxy."""

# https://www.rfc-editor.org/rfc/rfc9110#name-field-names, of which servers drop those with
# an underscore.
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


def _networks(value: Any) -> tuple[str, ...]:
    networks = _strings(value)
    for place, network in enumerate(networks):
        if network.startswith(AT_UNIX_SOCKET):
            require(_HEADER.fullmatch(network.removeprefix(AT_UNIX_SOCKET)) is not None)
        elif network not in ("private", "*"):
            _network(place, network)
    return networks


def _network(place: int, text: str) -> None:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        should_be = '"private", "*" or a network in CIDR notation'
        raise Unmet(place, expectation=should_be, got=text, hint=_remedy_for(text)) from error


def _remedy_for(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return ""
    return f'Write "{network}": host bits must be zero.'


def _dotted_path(value: Any) -> str | None:
    if value is None:
        return None
    require(isinstance(value, str) and "." in value)
    return str(value)


def _port(value: Any) -> int | None:
    if value is None:
        return None
    require(_positive_integer(value) < 65536)
    return int(value)


BOOLEAN = Rule("True or False", "Set it to True or False.", _boolean)
PATH = Rule(
    'a path that starts with "/", or None',
    'Write it like "/metrics"; None leaves the page to your URLconf.',
    _path,
)
GLOBAL_LABELS = Rule(
    "a mapping, or a list of pairs, of legal and different label names to strings",
    "A label name has letters, digits and underscores, does not start with a digit or "
    "two underscores, and is neither `le` nor `quantile`; wrap other values in str().",
    _global_labels,
)
BUCKETS = Rule(
    "a sorted list of positive numbers",
    "Sort it, and leave out duplicates, zero, NaN and infinity: the last bucket, "
    "+Inf, is added for you.",
    read_buckets,
)
BUCKETS_BY_FAMILY = Rule(
    "a mapping of histogram names to sorted lists of positive numbers",
    "Sort each list, and leave out duplicates, zero, NaN and infinity.",
    _buckets_by_family,
)
NAMESPACE = Rule(
    "a legal beginning of a metric name, or an empty string",
    "Use letters, digits and underscores, not starting with a digit; the underscore "
    "before the metric's name is added for you.",
    _namespace,
)
LABELS_BY_FAMILY = Rule(
    "a mapping of family names to lists of different label names",
    'Write it like {"http_requests_total": ["method", "status"]}.',
    _labels_by_family,
)
EXTRA_LABELS = Rule(
    "a mapping of legal label names to dotted paths of callables",
    'Write it like {"tenant": "shop.metrics.tenant"}.',
    _extra_labels,
)
NAMES = Rule("a list of strings", 'Write it like ["one", "two"].', _strings)
PATTERNS = Rule(
    "a list of valid regular expressions",
    r'Write it like [r"^/health$"]; each is searched for in the path of the URL.',
    _patterns,
)
POSITIVE_INTEGER = Rule(
    "a whole number of at least 1, and below 2**63",
    "Set it to a number such as 1000.",
    _positive_integer,
)
STORE_DIR = Rule(
    '"auto", an absolute path, or None',
    'Leave it at "auto" unless two services share a user and a project.',
    _store_dir,
)
SWITCH_OR_ALIASES = Rule(
    "True, False, or a list of aliases",
    'Write it like ["default"].',
    _switch_or_aliases,
)
BUSINESS_METRICS = Rule(
    "a mapping of family names to mappings with either `model` or `callable`, and `labels`, "
    "`filter` and `help` as needed",
    'Write it like {"orders": {"model": "shop.Order", "labels": {"status": "status"}}}; '
    "`labels` of a callable is a list of their names.",
    _business_metrics,
)
SECONDS_OR_ZERO = Rule(
    "a number of seconds, at least 0",
    "Set it to a number such as 600, or to 0 to have each start begin at zero.",
    _seconds_or_zero,
)
SECONDS = Rule("a positive number of seconds", "Set it to a number such as 30.", _seconds)
OPTIONAL_SECONDS = Rule(
    "a positive number of seconds, or None",
    "None stands for ten times BUSINESS_INTERVAL.",
    _optional_seconds,
)
BUSINESS_STORE = Rule('"database" or "cache"', "Choose where the counts are kept.", _business_store)
NETWORKS = Rule(
    'a list of "private", "*", networks in CIDR notation and "unix:" with the name of a header',
    'Write it like ["private", "192.0.2.0/24"], with host bits zero, or '
    '["unix:X-Forwarded-For"] behind a Unix socket.',
    _networks,
)
DOTTED_PATH = Rule(
    "the dotted path of a callable, or None",
    'Write it like "shop.metrics.may_read".',
    _dotted_path,
)
HOST = Rule(
    "an IP address, or an empty string for all addresses",
    'Write an address of this host, such as "127.0.0.1" or "::1"; names of hosts are not resolved.',
    _host,
)
TASK_SYSTEMS = Rule(
    'True, False, or a list of "celery" and "django"',
    'Write True for all that are in use, False for none, or a list such as ["celery"].',
    _task_systems,
)
COMMANDS = Rule(
    "a list of patterns of command names",
    'Write it like ["send_*", "!send_test"]; `*` stands for any characters.',
    _commands,
)
PORT = Rule("a port number, or None", "Choose a number from 1 to 65535.", _port)
