"""Functions that ``BUSINESS_METRICS`` names."""

from __future__ import annotations


def numbers() -> object:
    return {("a", True): 1, ("b", False): 2.5}


def nonsense() -> object:
    return "many"


def nothing() -> object:
    return None


def raises() -> object:
    raise RuntimeError("out of order")


def answer() -> int:
    return 42
