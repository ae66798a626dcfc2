"""Label values of WebSocket messages and close codes, bounded whatever clients send."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tachikoma_metrics.catalogue.labels import OTHER
from tachikoma_metrics.conf import config
from tachikoma_metrics.interruptions import pass_on

TEXT, BINARY, INVALID = "text", "binary", "invalid"

MAX_PARSED_LENGTH = 16 * 1024
"""In characters of a text message, or bytes of a binary one; longer ones are not parsed."""

NORMAL, NO_CODE, LOST, FAILED = "1000", "1005", "1006", "1011"

_CODES = {code: str(code) for code in range(1000, 1016)}


def message_type(message: Mapping[str, Any]) -> str:
    """Return the label of a ``websocket.receive`` or ``websocket.send``.

    It is ``text`` or ``binary``. With ``WS_MESSAGE_TYPES`` it is the ``type`` of the JSON object
    in the message if that is listed, else ``other``; ``invalid`` for JSON without a string as
    ``type`` and for text that is no JSON object; ``binary`` for binary data that is none.
    Messages longer than 16 KiB are not parsed: they are ``other`` or ``binary``.
    """
    text = message.get("text")
    listed = config().ws_message_types
    if not listed:
        return BINARY if text is None else TEXT
    return _type_in_binary(message, listed) if text is None else _type_in_text(text, listed)


def received_code(message: Mapping[str, Any]) -> str:
    """Return the label of the close code of a ``websocket.disconnect``; ``1005`` if it has none."""
    return _code_label(message.get("code"), NO_CODE)


def sent_code(message: Mapping[str, Any]) -> str:
    """Return the label of the close code of a ``websocket.close``; ``1000`` if it has none."""
    return _code_label(message.get("code"), NORMAL)


def _code_label(code: object, default: str) -> str:
    """Return a registered code (https://www.iana.org/assignments/websocket), else ``other``.

    Clients and applications may use any code from 3000 to 4999.
    """
    if code is None:
        return default
    return _CODES.get(code, OTHER) if isinstance(code, int) else OTHER


def _type_in_text(text: str, listed: tuple[str, ...]) -> str:
    if len(text) > MAX_PARSED_LENGTH:
        return OTHER
    content = _json_object(text)
    return INVALID if content is None else _listed_type(content, listed)


def _type_in_binary(message: Mapping[str, Any], listed: tuple[str, ...]) -> str:
    content = message.get("bytes")
    if not content or len(content) > MAX_PARSED_LENGTH:
        return BINARY
    try:
        # json would also accept UTF-16 and UTF-32.
        parsed = _json_object(str(content, "utf-8"))
    except UnicodeDecodeError as error:
        pass_on(error)
        return BINARY
    return BINARY if parsed is None else _listed_type(parsed, listed)


def _json_object(text: str) -> dict[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        content = json.loads(text)
    except (RecursionError, ValueError) as error:
        pass_on(error)
        return None
    return content if isinstance(content, dict) else None


def _listed_type(content: dict[str, Any], listed: tuple[str, ...]) -> str:
    found = content.get("type")
    if not isinstance(found, str):
        return INVALID
    return found if found in listed else OTHER
