"""Parsing of addresses."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tachikoma_metrics.page.addresses import read_address


@given(st.text() | st.from_regex(r"[0-9a-fA-F:.\[\]%]{0,60}"))
def test_any_text_is_parsed_or_rejected(text: str):
    address = read_address(text)
    assert address is None or str(address)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_an_address_is_parsed_with_and_without_port(address: Any, port: int):
    with_port = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    expected = getattr(address, "ipv4_mapped", None) or address

    assert read_address(str(address)) == expected
    assert read_address(with_port) == expected
