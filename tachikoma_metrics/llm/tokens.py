"""The token usage in an LLM's response, in the formats of the providers.

OpenAI's chat completions and responses, Anthropic's messages, LangChain's messages, chunks and
events of their streams and of the SDKs' helpers, raw responses of the SDKs, and dictionaries with
the same keys. Usage that a response does not contain is not estimated.

https://platform.openai.com/docs/api-reference/chat/object#usage
https://platform.openai.com/docs/api-reference/responses/object#usage
https://docs.claude.com/en/api/messages#response-usage
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

PROMPT, COMPLETION = "prompt", "completion"

_PROMPT_NAMES = ("prompt_tokens", "input_tokens")
_COMPLETION_NAMES = ("completion_tokens", "output_tokens")

_READ_FROM_CACHE = "cache_read_input_tokens"
_WRITTEN_TO_CACHE = "cache_creation_input_tokens"

_OF_PROMPT = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OF_COMPLETION = ("completion_tokens_details", "output_tokens_details", "output_token_details")


def _paths(details: tuple[str, ...], *names: str) -> tuple[tuple[str, ...], ...]:
    return tuple((detail, name) for detail in details for name in names)


# The short names are LangChain's.
_DETAILS = {
    "cache_read": (
        (_READ_FROM_CACHE,),
        *_paths(_OF_PROMPT, "cached_tokens", "cache_read"),
    ),
    "cache_write": (
        (_WRITTEN_TO_CACHE,),
        *_paths(_OF_PROMPT, "cache_write_tokens", "cache_creation"),
    ),
    "reasoning": _paths(_OF_COMPLETION, "reasoning_tokens", "reasoning"),
    "audio_prompt": _paths(_OF_PROMPT, "audio_tokens", "audio"),
    "audio_completion": _paths(_OF_COMPLETION, "audio_tokens", "audio"),
}
"""The detailed types of tokens, and the paths under which a usage may contain their numbers."""

_NAMES = (*_PROMPT_NAMES, *_COMPLETION_NAMES)
_NESTED = (*_OF_PROMPT, *_OF_COMPLETION)
_USAGE_PATHS = tuple(path for paths in _DETAILS.values() for path in paths)

_USAGES = ("usage", "usage_metadata", "model_usage")
_HOLDERS = ("message", "response", "chunk", "data", "result")
_SNAPSHOTS = ("current_message_snapshot", "current_completion_snapshot", "current_run")
"""The attributes with the usage: of a response, of a stream's event, of a helper's stream."""

Lookup = Callable[[str], Any]
"""Returns the value of an attribute or of a key; None if it is missing."""

_PENDING = ("__next__", "__anext__", "__await__", "__enter__", "__aenter__")
"""Methods of streams, coroutines and context managers, which contain no response yet."""


class Tokens:
    """The token usage of a response, or of the chunks or events of a streamed response.

    A number in a later chunk replaces the earlier number: streams report running totals.
    """

    def __init__(self) -> None:
        self._reported: dict[str, int] = {}
        self._id: str | None = None

    def take(self, part: object) -> None:
        """Take the usage from ``part``, if it contains any.

        Raises TypeError for a stream, a coroutine or a context manager without usage, and any
        exception of a raw response whose body was not read.
        """
        is_found = False
        for id, usage in _usages(part):
            self._take(id, _numbers(usage))
            is_found = True
        if not is_found and _is_pending(_kind(part)):
            self._take_pending(part)

    def _take(self, id: object, numbers: Mapping[str, int]) -> None:
        if isinstance(id, str) and any(numbers.get(name) for name in _PROMPT_NAMES):
            if self._id not in (None, id):
                # Another response, which may lack details that the last one had.
                self._reported.clear()
            self._id = id
        for name, number in numbers.items():
            # Some gateways send zero in later chunks in place of the number.
            if number or name not in self._reported:
                self._reported[name] = number

    def _take_pending(self, part: object) -> None:
        for name in _SNAPSHOTS:
            snapshot = getattr(part, name, None)
            if snapshot is not None:
                for id, usage in _usages(snapshot):
                    self._take(id, _numbers(usage))
                return
        raise _not_a_response(part)

    @property
    def prompt(self) -> int | None:
        """Return the tokens of the prompt, cached ones included; None if unknown."""
        name = self._best(_PROMPT_NAMES)
        if name is None:
            return None
        if name == _PROMPT_NAMES[0]:
            # OpenAI includes the cached tokens, and litellm does so for Anthropic as well.
            return self._reported[name]
        # Anthropic excludes the tokens that were read from its cache or written to it.
        cached = (self._reported.get(_READ_FROM_CACHE, 0), self._reported.get(_WRITTEN_TO_CACHE, 0))
        return self._reported[name] + sum(cached)

    @property
    def completion(self) -> int | None:
        """Return the tokens of the completion; None if unknown."""
        name = self._best(_COMPLETION_NAMES)
        return None if name is None else self._reported[name]

    def details(self) -> Iterator[tuple[str, int]]:
        """Yield the detailed types of tokens that were reported, and their numbers."""
        for kind, paths in _DETAILS.items():
            for path in paths:
                number = self._reported.get(".".join(path))
                if number:
                    yield kind, number
                    break

    def _best(self, names: tuple[str, ...]) -> str | None:
        """Return the first name with a number above zero, else the first name with a number."""
        reported = [name for name in names if name in self._reported]
        return next((n for n in reported if self._reported[n]), reported[0] if reported else None)


def _not_a_response(part: object) -> TypeError:
    return TypeError(
        "`usage` expects a response, or each chunk or event of a stream; got "
        f"{type(part).__qualname__}."
    )


def _usages(part: object) -> Iterator[tuple[object, Any]]:
    """Yield each usage in ``part`` with the id of its response."""
    get = _reader(_content(part))
    yield from _usage(get)
    for name in _HOLDERS:
        inner = get(name)
        # These types are the most frequent ones, and have none of the attributes.
        if inner is not None and not isinstance(inner, (str, list)):
            get_inner = _reader(inner)
            yield from _usage(get_inner)
            if name == "result":
                yield from _usage(_reader(get_inner("message")))
    if any(get(name) is not None for name in _NAMES):
        yield None, get


def _content(part: object) -> Any:
    """Return the decoded body of a raw response, or ``part`` if it is no raw response."""
    raw: Any = part if _is_http_response(_kind(part)) else _reader(part)("http_response")
    if raw is None:
        return part
    content_type = str(raw.headers.get("content-type"))
    if "text/event-stream" in content_type:
        raise _not_a_response(part)
    # The response's parse() might read the body, which only the application may do.
    return json.loads(raw.content) if "json" in content_type else None


def _usage(get: Lookup) -> Iterator[tuple[object, Any]]:
    for name in _USAGES:
        usage = get(name)
        if usage is not None:
            yield get("id"), _reader(usage)
            return


def _numbers(get: Lookup) -> dict[str, int]:
    nested = {name: _reader(inner) for name in _NESTED if (inner := get(name)) is not None}
    found = {name: get(name) for name in _NAMES}
    for path in _USAGE_PATHS:
        if len(path) == 1:
            found[path[0]] = get(path[0])
        elif path[0] in nested:
            found[".".join(path)] = nested[path[0]](path[1])
    return {name: number for name, number in found.items() if _is_number(number)}


def _reader(holder: object) -> Lookup:
    if isinstance(holder, Mapping):
        return holder.get
    if _is_plain_model(_kind(holder)):
        # For pydantic's models, each lookup of a missing attribute takes microseconds.
        extra = getattr(holder, "__pydantic_extra__", None)
        return {**extra, **vars(holder)}.get if extra else vars(holder).get
    return lambda name: getattr(holder, name, None)


def _kind(value: object) -> Any:
    # mypy regards type[object] as unhashable.
    return type(value)


@lru_cache(maxsize=512)
def _is_plain_model(kind: type) -> bool:
    """Return whether objects are pydantic models that keep all names read here in ``__dict__``."""
    names = {*_USAGES, *_HOLDERS, *_NAMES, *_NESTED, "id", "http_response", "__getattribute__"}
    namespaces = [vars(base) for base in kind.__mro__ if base is not object]
    is_model = any("__pydantic_fields__" in namespace for namespace in namespaces)
    return is_model and not any(names & namespace.keys() for namespace in namespaces)


@lru_cache(maxsize=512)
def _is_http_response(kind: type) -> bool:
    return hasattr(kind, "num_bytes_downloaded")


@lru_cache(maxsize=512)
def _is_pending(kind: type) -> bool:
    return any(hasattr(kind, name) for name in _PENDING)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
