"""Label values, which are valid and bounded whatever a client sends.

A label value that this module returns is valid UTF-8, short, and one of a bounded number: routes
instead of URLs, nine methods, ``overflow`` once a metric is full. Closed labels, such as
``status``, keep their values then, so that errors are still counted as errors.

https://prometheus.io/docs/practices/instrumentation/#do-not-overuse-labels
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache

MAX_LENGTH = 256
OTHER = "other"
OVERFLOW = "overflow"
UNMATCHED = "<unmatched>"
STATIC = "<static>"

STANDARD_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
)
"""The methods of HTTP, and PATCH.

https://www.rfc-editor.org/rfc/rfc9110#name-methods
https://www.rfc-editor.org/rfc/rfc5789
"""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_CONVERTER = re.compile(r"<(?:(?P<converter>[^<>:]+):)?(?P<name>[^<>:]+)>")
_REGEX_SYNTAX = re.compile(r"[\\^$()\[\]]")
_TOKEN = re.compile(
    r"""
    (?P<opening>
        (?P<is_capturing> \(\?P<(?P<name>\w+)> | \((?!\?) )
      | (?P<is_transparent> \(\?(?:[a-zA-Z-]*: | > | \(\w+\)) )
      | \(\?<?[=!]
    )
  | (?P<closing> \) )
  | (?: \(\?[a-zA-Z]+\) | \(\?\#[^)]*\) | \\[AZbB] | [?*+^$] | \{\d*,?\d*\} )
  | \[(?P<one>[^\]^\\])\]
  | (?P<any> \[\^?\]?(?:\\.|[^\]\\])*\] | \\[dDsSwW1-9] | \(\?P=\w+\) | \.(?=[*+{]) )
  | \\(?P<escaped> [^\w\s] )
  | (?P<literal> \\. | . )
    """,
    re.VERBOSE | re.DOTALL,
)
"""A token of a regular expression; operators without a name leave no trace in a label."""

_FORMAT_SUFFIX = re.compile(r"\\\.\(\?P<\w+>(?:\[a-z0-9\]\+|\w+|\([\w|]+\))\)/\?\$$")
_FORMAT_CONVERTER = "drf_format_suffix"
"""How Django REST framework ends the second route of a view, for ``users.json``.

https://www.django-rest-framework.org/api-guide/format-suffixes/
"""


def clean(value: object) -> str:
    """Return ``value`` as text that an exposition can contain.

    Lone surrogates, which UTF-8 cannot encode, become U+FFFD; text of more than
    256 characters is cut and ends in an ellipsis. Raises what ``str(value)`` raises.
    """
    # The text of a member of a str enumeration is its value, however it prints.
    text = str.__str__(value) if isinstance(value, str) else str(value)
    if len(text) > MAX_LENGTH:
        text = text[: MAX_LENGTH - 1] + "…"
    if text.isascii():
        return text
    # A pair of surrogates is one character, whose halves were decoded separately.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def method_name(method: str | None) -> str:
    """Return ``method`` if it is a standard one, else ``other``."""
    return method if method in STANDARD_METHODS else OTHER


def normalize_path(path: str) -> str:
    """Return ``path`` with every UUID in it replaced by ``:id``.

    For paths that are in no URLconf, such as those of an upstream API. Requests to Django are
    labelled with their route, which is bounded by construction.
    """
    return _UUID.sub(":id", path)


@lru_cache(maxsize=4096)
def route_template(route: str, language: str = "") -> str:
    """Return a route of Django's as a template that starts with a slash.

    ``<uuid:anything>`` becomes ``:id``, any other ``<converter:name>`` and any
    regex group ``:name``. A part of a regular expression that is variable and has no name becomes
    ``:path`` if it may have a slash in it, else ``:var``. A leading ``language`` prefix, as
    ``i18n_patterns`` adds it, becomes ``:language``; a format suffix of Django REST
    framework's is left out.
    """
    if language and route.startswith(f"{language}/"):
        route = route.replace(language, "<language>", 1)
    route = _FORMAT_SUFFIX.sub("/", route)
    template = _CONVERTER.sub(_placeholder, _without_regex(route))
    return clean("/" + template.lstrip("/"))


def _without_regex(route: str) -> str:
    """Return a route with its capturing groups named and its operators dropped.

    The content of a non-capturing group stays: two routes may differ in nothing else.
    """
    if not _REGEX_SYNTAX.search(route):
        return route
    template = _Template()
    for token in _TOKEN.finditer(route):
        template.add(token)
    return "".join(template.written)


class _Template:
    """Build a template from the tokens of a regular expression."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self._hidden_depth = 0
        self._is_hidden: list[bool] = []
        self._is_nameless = False

    def add(self, token: re.Match[str]) -> None:
        if token["opening"]:
            self._open(token)
        elif token["closing"]:
            self._hidden_depth -= self._is_hidden.pop() if self._is_hidden else False
        elif token["any"] and not self._hidden_depth:
            self._add_nameless(_may_have_slash(token["any"]))
        elif not self._hidden_depth:
            self.written.append(token["one"] or token["escaped"] or token["literal"] or "")
        elif self._is_nameless and _may_have_slash(token[0]):
            self.written[-1] = _NAMELESS_PATH

    def _open(self, token: re.Match[str]) -> None:
        if not self._hidden_depth:
            self._is_nameless = bool(token["is_capturing"]) and not token["name"]
            if token["name"]:
                self.written.append(f":{token['name']}")
            elif token["is_capturing"]:
                self.written.append(_NAMELESS)
        is_hidden = not token["is_transparent"]
        self._is_hidden.append(is_hidden)
        self._hidden_depth += is_hidden

    def _add_nameless(self, may_have_slash: bool) -> None:
        name = _NAMELESS_PATH if may_have_slash else _NAMELESS
        last = "".join(self.written[-1:])
        if last in (_NAMELESS, _NAMELESS_PATH):
            self.written[-1] = max(last, name, key=_NAMELESS_PATH.__eq__)
        else:
            self.written.append(name)


_NAMELESS = ":var"
_NAMELESS_PATH = ":path"


def _may_have_slash(token: str) -> bool:
    """Return whether a token of a regular expression may match a slash."""
    if token.startswith("[^"):
        return "/" not in token
    return "/" in token or token in (".", r"\D", r"\S", r"\W")


def _placeholder(found: re.Match[str]) -> str:
    converter = found["converter"] or ""
    if converter.startswith(_FORMAT_CONVERTER):
        return "/"
    return ":id" if converter == "uuid" else f":{found['name']}"


MOST_OVERFLOWED = 200
"""The label sets a metric may have beyond its limit, so that closed labels keep their values."""


def fits(values: tuple[str, ...], known: Collection[Sequence[str]], limit: float) -> bool:
    """Return whether a metric with the ``known`` label sets may have ``values``, too.

    One of ``limit`` is reserved for the overflow label set, so that a metric never has more than
    ``limit`` of them.
    """
    return values in known or len(known) < limit - 1 or values == overflow(len(values))


@lru_cache(maxsize=64)
def overflow(size: int) -> tuple[str, ...]:
    """Return the label set that replaces those above the limit."""
    return (OVERFLOW,) * size


def overflowed(values: Sequence[str], is_closed: Sequence[bool]) -> tuple[str, ...]:
    """Return the label set that replaces ``values``, in which closed labels keep theirs."""
    return tuple(
        value if is_kept else OVERFLOW for value, is_kept in zip(values, is_closed, strict=True)
    )
