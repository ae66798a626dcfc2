"""What is wrong with one slot costs that slot, or a part of it, and never the page."""

from __future__ import annotations

import json
import math
import os
import struct
from pathlib import Path

import pytest
from prometheus_client import Counter, Histogram
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tachikoma_metrics import METRICS
from tachikoma_metrics.exposition import OPENMETRICS
from tachikoma_metrics.store import Declaration, Merger, Series
from tachikoma_metrics.store.directory import Directory
from tachikoma_metrics.store.layout import HEADER_SIZE, Header, encode_series, pack_header
from tachikoma_metrics.testing import sample_value

NAN = float("nan")

DECLARATIONS = {
    "histogram without bounds": ["histogram", "evil", "", "", [], [], "", False],
    "histogram of ours without bounds": [
        *("histogram", "http_request_duration_seconds", "", "", ["method", "path"]),
        *([], "", True),
    ],
    "bounds that fall": ["histogram", "evil", "", "", [], [5, 1, math.inf], "", False],
    "bounds of NaN": ["histogram", "evil", "", "", [], [NAN, math.inf], "", False],
    "bounds without an end": ["histogram", "evil", "", "", [], [1], "", False],
    "no name": ["counter", "", "", "", [], [], "", False],
    "a label without a name": ["counter", "evil", "", "", [""], [], "", False],
    "a label twice": ["counter", "evil", "", "", ["a", "a"], [], "", False],
    "an unknown mode": ["gauge", "evil", "", "", [], [], "nonsense", False],
    "native buckets of a counter": [
        *("counter", "evil", "", "", [], [], "", False, ""),
        [3, -20, 24],
    ],
    "native buckets of an unknown schema": [
        *("histogram", "evil", "", "", [], [math.inf], "", False, ""),
        [-53, -20, 24],
    ],
    "native buckets beyond all numbers": [
        *("histogram", "evil", "", "", [], [math.inf], "", False, ""),
        [3, -20, 4000],
    ],
    "blocks without native buckets": [
        *("block", "evil", "", "", ["key"], [math.inf], "", False, ""),
        None,
    ],
    "a counter with bounds": ["counter", "evil", "", "", [], [1], "", False],
}


MOMENT = bytes(8)
"""When a record was made: at the beginning of time."""


@pytest.fixture
def slots(tmp_path: Path, settings) -> Path:
    settings.TACHIKOMA_METRICS = {"STORE_DIR": str(tmp_path / "store")}
    METRICS.cache_hits_total.inc(2)
    return tmp_path / "store"


def write(directory: Path, *records: bytes, size: int | None = None) -> None:
    content = b"".join(records)
    used = HEADER_SIZE + len(content) if size is None else size
    path = directory / "slot-7"
    path.write_bytes(pack_header(Header(used=used)) + content)
    if size is not None:
        os.truncate(path, size)


def declared(fields: list[object]) -> bytes:
    words = json.dumps(fields if len(fields) > 8 else [*fields, "", None]).encode()
    return struct.pack("=4I", 1, len(words), 0, 0) + words.ljust(-(-len(words) // 8) * 8) + MOMENT


def valued(declaration: Declaration, labels: tuple[str, ...], *values: float) -> bytes:
    encoded = encode_series(Series(declaration, labels), 0)
    return encoded[: -8 * len(values)] + struct.pack(f"={len(values)}d", *values)


def assert_page_is_whole() -> None:
    page = METRICS.expose(OPENMETRICS)
    list(text_string_to_metric_families(page))
    assert "cache_hits_total 2.0" in page
    assert "evil" not in page
    assert (sample_value("tachikoma_metrics_errors_total", source="store") or 0) >= 1


@pytest.mark.parametrize("fields", DECLARATIONS.values(), ids=list(DECLARATIONS))
def test_a_family_that_no_process_declares_is_left_out(slots: Path, fields: list[object]):
    labels = json.dumps(["x"] * len(fields[4])).encode()  # type: ignore[arg-type]
    widths = {"counter": 1, "gauge": 5, "histogram": 1 + len(fields[5]), "block": 32}  # type: ignore[arg-type]
    width = widths[str(fields[0])]
    padded = labels.ljust(-(-len(labels) // 8) * 8)
    values = struct.pack(f"={width}d", *[1.0] * width)
    write(
        slots,
        declared(fields),
        struct.pack("=4I", 2, len(labels), width, 0) + padded + MOMENT + values,
    )

    assert_page_is_whole()


@pytest.mark.parametrize("size", [3 << 30, 1 << 40])
def test_a_slot_that_is_larger_than_a_process_makes_one_is_not_read(slots: Path, size: int):
    write(slots, size=size)

    assert_page_is_whole()


@pytest.mark.parametrize("value", [NAN, -1.0, -math.inf])
def test_counts_that_no_process_writes_are_left_out_and_told_of_once(slots: Path, value: float):
    counter = Declaration("counter", "evil")
    fields = ["counter", "cache_hits", "", "", [], [], "", True]
    # Others may hide it in the sum, and the rest of the slot counts.
    sound = ["counter", "cache_misses", "", "", [], [], "", True]
    misses = bytearray(valued(counter, (), 5.0))
    misses[12:16] = struct.pack("=I", 1)
    write(slots, declared(fields), declared(sound), valued(counter, (), value), bytes(misses))

    for _ in range(3):
        assert_page_is_whole()
        assert sample_value("cache_misses_total") == 5
    assert sample_value("tachikoma_metrics_errors_total", source="store") == 1


@pytest.mark.parametrize("buckets", [(NAN, 0.5, 1.5, 2.5), (2.5, 0.5, 1.5, -1.0)])
def test_a_histogram_whose_buckets_no_process_writes_is_left_out(
    slots: Path, buckets: tuple[float, ...]
):
    histogram = Declaration("histogram", "evil", bounds=(1.0, 2.0, 3.0, math.inf))
    fields = ["histogram", "evil", "", "", [], [1, 2, 3, math.inf], "", False]
    write(slots, declared(fields), valued(histogram, (), 0.0, *buckets))

    page = METRICS.expose(OPENMETRICS)
    assert "evil_count 0.0" in page
    assert "nan" not in page.lower()


def test_what_was_observed_may_be_anything(slots: Path, registry):
    sizes = Histogram("sizes", "Sizes.", buckets=[1, 2])
    sizes.observe(-3)

    assert sample_value("sizes_count") == 1
    assert not sample_value("tachikoma_metrics_errors_total", source="store")


def test_a_metric_that_no_page_could_show_costs_itself(slots: Path, registry):
    Counter("twice", "Twice.", ["a", "a"]).labels("x", "y").inc()
    Counter("sound", "Sound.").inc()

    assert sample_value("sound_total") == 1
    assert sample_value("tachikoma_metrics_errors_total", source="store") == 1


def test_a_slot_that_cannot_be_merged_costs_itself(slots: Path, monkeypatch: pytest.MonkeyPatch):
    counter = Declaration("counter", "evil")
    fields = ["counter", "evil", "", "", [], [], "", False]
    write(slots, declared(fields), valued(counter, (), 1.0))
    families = Merger._merged

    def merged(self, readings, on_damage, limits):
        if any(reading.number == 7 for reading in readings):
            raise MemoryError
        return families(self, readings, on_damage, limits)

    monkeypatch.setattr(Merger, "_merged", merged)

    assert_page_is_whole()


def test_a_slot_that_cannot_be_read_costs_itself(slots: Path, monkeypatch: pytest.MonkeyPatch):
    write(slots)
    read = os.pread

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("slot-7"):
            raise RuntimeError
        return read(descriptor, size, offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", pread)
        assert_page_is_whole()
        assert [one.number for one in Directory(str(slots)).readings(lambda *_: None)] == [0]
