"""Protocol Buffers' wire format: numbers, texts and messages as bytes.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct

_DOUBLE = struct.Struct("<d")
_VARINT, _FIXED_64, _LENGTH_DELIMITED = 0, 1, 2
_LARGEST = 1 << 64
_MOST_REMEMBERED = 1 << 16
_MICROSECONDS = 1_000_000
_LATEST = 253_402_300_800.0
"""The first Unix time that a timestamp message must not have: the year 10000."""


def _encode(value: float) -> bytes:
    rest = int(value)
    if rest != value or not 0 <= rest < _LARGEST:
        raise ValueError(f"It must be a whole number from 0 to 2^64 - 1; got {value}.")
    encoded = bytearray()
    while rest > 0x7F:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)


class Varints(dict[float, bytes]):
    """The bytes of whole numbers, by number: a look-up encodes what is not remembered yet.

    Raises ``ValueError`` or ``OverflowError`` for what is no unsigned integer of 64 bits.
    """

    def __missing__(self, value: float) -> bytes:
        """Encode a number that is not remembered yet."""
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        encoded = self[value] = self.encode(value)
        return encoded

    def encode(self, value: float) -> bytes:
        """Return the bytes of a number."""
        return _encode(value)


VARINTS = Varints()


class _Signed(Varints):
    def encode(self, value: float) -> bytes:
        return VARINTS[2 * value if value >= 0 else -2 * value - 1]


SIGNED_VARINTS = _Signed()
"""The bytes of whole numbers of the types ``sint32`` and ``sint64``."""


def tag(number: int, wire_type: int) -> bytes:
    """Return what precedes the value of a field."""
    return VARINTS[number << 3 | wire_type]


def integer(number: int, value: float) -> bytes:
    """Return a field of a type that is unsigned, or an enumeration."""
    return tag(number, _VARINT) + VARINTS[value]


def signed(number: int, value: int) -> bytes:
    """Return a field of the type ``int64``."""
    return tag(number, _VARINT) + _encode(value % _LARGEST)


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
    return VARINTS[len(content)] + content


def timestamp(number: int, seconds: float) -> bytes:
    """Return a field of the type ``google.protobuf.Timestamp``, to the microsecond.

    https://protobuf.dev/reference/protobuf/google.protobuf/#timestamp

    Raises ``ValueError`` for a time before 1970 or after the year 9999.
    """
    if not 0 <= seconds < _LATEST:
        raise ValueError(f"A timestamp must be a Unix time; got {seconds}.")
    whole, microseconds = divmod(round(seconds * _MICROSECONDS), _MICROSECONDS)
    return message(number, integer(1, whole) + integer(2, microseconds * 1000))
