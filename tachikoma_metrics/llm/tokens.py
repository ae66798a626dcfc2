"""The tokens of a language model's answer, in the shapes in which providers tell them.

OpenAI's chat completions and responses, Anthropic's messages, LangChain's messages, chunks and
events of their streams and of the SDKs' helpers, raw responses of the SDKs, and dictionaries of
the same shapes. Nothing is guessed: what an answer does not say is not counted.

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


def _among(details: tuple[str, ...], *names: str) -> tuple[tuple[str, ...], ...]:
    return tuple((detail, name) for detail in details for name in names)


# The short names are LangChain's.
_DETAILS = {
    "cache_read": (
        (_READ_FROM_CACHE,),
        *_among(_OF_PROMPT, "cached_tokens", "cache_read"),
    ),
    "cache_write": (
        (_WRITTEN_TO_CACHE,),
        *_among(_OF_PROMPT, "cache_write_tokens", "cache_creation"),
    ),
    "reasoning": _among(_OF_COMPLETION, "reasoning_tokens", "reasoning"),
    "audio_prompt": _among(_OF_PROMPT, "audio_tokens", "audio"),
    "audio_completion": _among(_OF_COMPLETION, "audio_tokens", "audio"),
}
"""The finer kinds of tokens, and where an answer may tell their number."""

_NAMES = (*_PROMPT_NAMES, *_COMPLETION_NAMES)
_NESTED = (*_OF_PROMPT, *_OF_COMPLETION)
_PLACES = tuple(place for places in _DETAILS.values() for place in places)

_USAGES = ("usage", "usage_metadata", "model_usage")
_HOLDERS = ("message", "response", "chunk", "data", "result")
_SNAPSHOTS = ("current_message_snapshot", "current_completion_snapshot", "current_run")
"""What an answer, an event of a stream, and the stream of a helper have their usage in."""

Look = Callable[[str], Any]
"""Returns an attribute, or the value of a key; None if there is none."""

_PENDING = ("__next__", "__anext__", "__await__", "__enter__", "__aenter__")
"""What only has the answer later, or only hands out its parts, has one of these."""


class Tokens:
    """Add up what an answer, or the parts of one that is streamed, tell.

    A later part replaces what an earlier one told: streams tell totals so far.
    """

    def __init__(self) -> None:
        self._told: dict[str, int] = {}
        self._id: str | None = None

    def take(self, part: object) -> None:
        """Take note of what ``part`` tells; of one that tells nothing, nothing.

        Raises TypeError for what has no usage because it is a stream, or is awaited or entered
        first, and whatever a raw response raises whose body was not read.
        """
        is_told = False
        for id, usage in _usages(part):
            self._take(id, _numbers(usage))
            is_told = True
        if not is_told and _is_pending(_kind(part)):
            self._take_pending(part)

    def _take(self, id: object, numbers: Mapping[str, int]) -> None:
        if isinstance(id, str) and any(numbers.get(name) for name in _PROMPT_NAMES):
            if self._id not in (None, id):
                # Another answer, which need not have all the details of the last one.
                self._told.clear()
            self._id = id
        for name, number in numbers.items():
            # Gateways repeat a number as zero where they do not know it any more.
            if number or name not in self._told:
                self._told[name] = number

    def _take_pending(self, part: object) -> None:
        for name in _SNAPSHOTS:
            snapshot = getattr(part, name, None)
            if snapshot is not None:
                for id, usage in _usages(snapshot):
                    self._take(id, _numbers(usage))
                return
        raise _not_an_answer(part)

    @property
    def prompt(self) -> int | None:
        """Return the tokens of the prompt, cached ones included; None if nobody told."""
        name = self._best(_PROMPT_NAMES)
        if name is None:
            return None
        if name == _PROMPT_NAMES[0]:
            # OpenAI's way, which litellm has for Anthropic, too: with what was in the cache.
            return self._told[name]
        # Anthropic's leave out what came from its cache, and what went there.
        cached = (self._told.get(_READ_FROM_CACHE, 0), self._told.get(_WRITTEN_TO_CACHE, 0))
        return self._told[name] + sum(cached)

    @property
    def completion(self) -> int | None:
        """Return the tokens of the completion; None if nobody told."""
        name = self._best(_COMPLETION_NAMES)
        return None if name is None else self._told[name]

    def details(self) -> Iterator[tuple[str, int]]:
        """Yield the finer kinds that were told, and their numbers."""
        for kind, places in _DETAILS.items():
            for place in places:
                number = self._told.get(".".join(place))
                if number:
                    yield kind, number
                    break

    def _best(self, names: tuple[str, ...]) -> str | None:
        """Return the first name that has a number, rather one that is not zero."""
        told = [name for name in names if name in self._told]
        return next((name for name in told if self._told[name]), told[0] if told else None)


def _not_an_answer(part: object) -> TypeError:
    return TypeError(
        "`usage` should be given an answer, or each chunk or event of a stream; got "
        f"{type(part).__qualname__}."
    )


def _usages(part: object) -> Iterator[tuple[object, Any]]:
    """Yield the usages that ``part`` has or is, and the ids of the answers that they are of."""
    look = _reader(_content(part))
    yield from _usage(look)
    for name in _HOLDERS:
        held = look(name)
        # What is told most often instead, and has no attributes to look for.
        if held is not None and not isinstance(held, (str, list)):
            look_there = _reader(held)
            yield from _usage(look_there)
            if name == "result":
                yield from _usage(_reader(look_there("message")))
    if any(look(name) is not None for name in _NAMES):
        yield None, look


def _content(part: object) -> Any:
    """Return what the body of a raw response says; of anything else, itself."""
    raw: Any = part if _is_http_response(_kind(part)) else _reader(part)("http_response")
    if raw is None:
        return part
    content_type = str(raw.headers.get("content-type"))
    if "text/event-stream" in content_type:
        raise _not_an_answer(part)
    # Not by its own parse(), which may read the body, and is the application's to call.
    return json.loads(raw.content) if "json" in content_type else None


def _usage(look: Look) -> Iterator[tuple[object, Any]]:
    for name in _USAGES:
        usage = look(name)
        if usage is not None:
            yield look("id"), _reader(usage)
            return


def _numbers(look: Look) -> dict[str, int]:
    nested = {name: _reader(held) for name in _NESTED if (held := look(name)) is not None}
    found = {name: look(name) for name in _NAMES}
    for place in _PLACES:
        if len(place) == 1:
            found[place[0]] = look(place[0])
        elif place[0] in nested:
            found[".".join(place)] = nested[place[0]](place[1])
    return {name: number for name, number in found.items() if _is_number(number)}


def _reader(holder: object) -> Look:
    if isinstance(holder, Mapping):
        return holder.get
    if _is_plain_model(_kind(holder)):
        # To be told that a model has no such attribute takes microseconds each time.
        extra = getattr(holder, "__pydantic_extra__", None)
        return {**extra, **vars(holder)}.get if extra else vars(holder).get
    return lambda name: getattr(holder, name, None)


def _kind(of: object) -> Any:
    # Of any type, for to mypy a class of ``object`` has no hash.
    return type(of)


@lru_cache(maxsize=512)
def _is_plain_model(kind: type) -> bool:
    """Tell whether objects are models of pydantic's, with nothing we look for as a property."""
    names = {*_USAGES, *_HOLDERS, *_NAMES, *_NESTED, "id", "http_response", "__getattribute__"}
    own = [vars(base) for base in kind.__mro__ if base is not object]
    is_model = any("__pydantic_fields__" in one for one in own)
    return is_model and not any(names & one.keys() for one in own)


@lru_cache(maxsize=512)
def _is_http_response(kind: type) -> bool:
    return hasattr(kind, "num_bytes_downloaded")


@lru_cache(maxsize=512)
def _is_pending(kind: type) -> bool:
    return any(hasattr(kind, name) for name in _PENDING)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
