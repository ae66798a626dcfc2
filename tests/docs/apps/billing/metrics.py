from __future__ import annotations


def tokens_left() -> int:
    return 12_000
