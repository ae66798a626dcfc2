"""Protocol Buffers' wire format: numbers, texts and messages as bytes.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

_DOUBLE = struct.Struct("<d")
_VARINT, _FIXED_64, _LENGTH_DELIMITED = 0, 1, 2
_LARGEST = 1 << 64
_MICROSECONDS = 1_000_000
_LATEST = 253_402_300_800.0
"""The first Unix time that a timestamp message must not have: the year 10000."""


def varint(value: float) -> bytes:
    """Return the bytes of a whole number.

    Raises ``ValueError`` or ``OverflowError`` for what is no unsigned integer of 64 bits.
    """
    rest = int(value)
    if not 0 <= rest == value < _LARGEST:
        raise ValueError(f"It must be a whole number from 0 to 2^64 - 1; got {value}.")
    encoded = bytearray()
    while rest > 0x7F:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)


def tag(number: int, wire_type: int) -> bytes:
    """Return what precedes the value of a field."""
    return varint(number << 3 | wire_type)


def integer(number: int, value: float) -> bytes:
    """Return a field of a type that is unsigned, or an enumeration."""
    return tag(number, _VARINT) + varint(value)


def signed(number: int, value: int) -> bytes:
    """Return a field of the type ``int64``."""
    return tag(number, _VARINT) + varint(value % _LARGEST)


def double(number: int, value: float) -> bytes:
    """Return a field of the type ``double``."""
    return tag(number, _FIXED_64) + _DOUBLE.pack(value)


def text(number: int, value: str) -> bytes:
    """Return a field of the type ``string``, with a mark for each lone surrogate."""
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        encoded = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
    return message(number, encoded)


def message(number: int, content: bytes) -> bytes:
    """Return a field that is a message, given the fields of that."""
    return tag(number, _LENGTH_DELIMITED) + delimited(content)


def delimited(content: bytes) -> bytes:
    """Return a message after its length."""
    return varint(len(content)) + content


def timestamp(number: int, seconds: float) -> bytes:
    """Return a field of the type ``google.protobuf.Timestamp``, to the microsecond.

    https://protobuf.dev/reference/protobuf/google.protobuf/#timestamp

    Raises ``ValueError`` for a time before 1970 or after the year 9999.
    """
    if not 0 <= seconds < _LATEST:
        raise ValueError(f"A timestamp must be a Unix time; got {seconds}.")
    whole, microseconds = divmod(round(seconds * _MICROSECONDS), _MICROSECONDS)
    return message(number, integer(1, whole) + integer(2, microseconds * 1000))


WORD = 8
"""Bytes of a word, which has room for the seven times eight bits of a varint of eight bytes."""

_WORDS = 256
"""Numbers that are encoded at a time."""


def _in_each_word(bits: int) -> int:
    return int.from_bytes(struct.pack("<Q", bits) * _WORDS, "little")


# Each half of a number, and by how many bits the upper one moves up: in the end, one bit is free
# above each seven.
_HALVES = [
    (_in_each_word(0x000000000FFFFFFF), _in_each_word(0x00FFFFFFF0000000), 4),
    (_in_each_word(0x00003FFF00003FFF), _in_each_word(0x0FFFC0000FFFC000), 2),
    (_in_each_word(0x007F007F007F007F), _in_each_word(0x3F803F803F803F80), 1),
]
_CONTINUATIONS = [
    _in_each_word(0x8080808080808080 & (1 << 8 * (width - 1)) - 1) for width in range(1, WORD + 1)
]
"""The bits of all bytes but the last, by the number of bytes less one."""


def varint_width(largest: float) -> int:
    """Return how many bytes the varint of a number has.

    Raises ``ValueError`` or ``OverflowError`` if it does not fit into a word.
    """
    width = max(1, -(-int(largest).bit_length() // 7))
    if width > WORD:
        raise ValueError(f"It must have at most 56 bits; got {largest}.")
    return width


def varints(values: Sequence[float], width: int) -> bytes:
    """Return many whole numbers as varints of ``width`` bytes, each in a word.

    All of them are equally long, as a varint may be longer than its number needs; and many of
    them are encoded at a time, as one large integer. So this takes a tenth of the time that it
    takes to encode each of them alone.

    Raises ``ValueError`` or ``OverflowError`` for what is no unsigned integer.
    """
    whole = list(map(int, values))
    if whole != list(values) or min(whole, default=0) < 0:
        raise ValueError("Counts must be whole numbers of at least 0.")
    packed = struct.pack(f"<{len(whole)}Q", *whole)
    size = _WORDS * WORD
    parts = (packed[at : at + size] for at in range(0, len(packed), size))
    return b"".join(_spread(part, width) for part in parts)


def _spread(packed: bytes, width: int) -> bytes:
    bits = int.from_bytes(packed, "little")
    for lower, upper, distance in _HALVES:
        bits = bits & lower | (bits & upper) << distance
    return (bits | _CONTINUATIONS[width - 1]).to_bytes(_WORDS * WORD, "little")[: len(packed)]
