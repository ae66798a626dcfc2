"""The tokens of a language model's answer, in the shapes in which providers tell them.

OpenAI's chat completions and responses, Anthropic's messages, chunks and events of
their streams, and dictionaries of the same shapes. Nothing is guessed: what an answer does
not say is not counted.

https://platform.openai.com/docs/api-reference/chat/object#usage
https://platform.openai.com/docs/api-reference/responses/object#usage
https://docs.claude.com/en/api/messages#response-usage
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

PROMPT, COMPLETION = "prompt", "completion"

_PROMPT_NAMES = ("prompt_tokens", "input_tokens")
_COMPLETION_NAMES = ("completion_tokens", "output_tokens")

_READ_FROM_CACHE = "cache_read_input_tokens"
_WRITTEN_TO_CACHE = "cache_creation_input_tokens"

_DETAILS = {
    "cache_read": (
        (_READ_FROM_CACHE,),
        ("prompt_tokens_details", "cached_tokens"),
        ("input_tokens_details", "cached_tokens"),
    ),
    "cache_write": ((_WRITTEN_TO_CACHE,),),
    "reasoning": (
        ("completion_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "reasoning_tokens"),
    ),
    "audio_prompt": (("prompt_tokens_details", "audio_tokens"),),
    "audio_completion": (("completion_tokens_details", "audio_tokens"),),
}
"""The finer kinds of tokens, and where an answer may tell their number."""


class Tokens:
    """Add up what an answer, or the parts of one that is streamed, tell.

    A later part replaces what an earlier one told: streams tell totals so far.
    """

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def take(self, part: Any) -> None:
        """Take note of what ``part`` tells; of one that tells nothing, nothing."""
        for usage in _usages(part):
            self._told.update(_numbers(usage))

    @property
    def prompt(self) -> int | None:
        """Return the tokens of the prompt, cached ones included; None if nobody told."""
        told = self._first(_PROMPT_NAMES)
        if told is None:
            return None
        if _PROMPT_NAMES[0] in self._told:
            # OpenAI's way, which litellm has for Anthropic, too: with what was in the cache.
            return told
        # Anthropic's leave out what came from its cache, and what went there.
        return told + self._told.get(_READ_FROM_CACHE, 0) + self._told.get(_WRITTEN_TO_CACHE, 0)

    @property
    def completion(self) -> int | None:
        """Return the tokens of the completion; None if nobody told."""
        return self._first(_COMPLETION_NAMES)

    def details(self) -> Iterator[tuple[str, int]]:
        """Yield the finer kinds that were told, and their numbers."""
        for kind, places in _DETAILS.items():
            for place in places:
                number = self._told.get(".".join(place))
                if number:
                    yield kind, number
                    break

    def _first(self, names: tuple[str, ...]) -> int | None:
        return next((self._told[name] for name in names if name in self._told), None)


def _usages(part: Any) -> Iterator[Any]:
    """Yield the usages in an answer, in an event of a stream, or ``part`` if it is one."""
    for holder in (part, _item(part, "message"), _item(part, "response")):
        usage = _item(holder, "usage")
        if usage is not None:
            yield usage
    if any(_item(part, name) is not None for name in (*_PROMPT_NAMES, *_COMPLETION_NAMES)):
        yield part


def _numbers(usage: Any) -> dict[str, int]:
    places = [(name,) for name in (*_PROMPT_NAMES, *_COMPLETION_NAMES)]
    places += [place for kind in _DETAILS.values() for place in kind]  # type: ignore[misc]  # Of one or two.
    found = {".".join(place): _at(usage, place) for place in places}
    return {name: number for name, number in found.items() if _is_number(number)}


def _at(usage: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        usage = _item(usage, name)
    return usage


def _item(holder: Any, name: str) -> Any:
    if isinstance(holder, Mapping):
        return holder.get(name)
    return getattr(holder, name, None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
