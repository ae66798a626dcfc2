"""Native buckets of several processes add up, whatever becomes of the processes."""

from __future__ import annotations

import errno
import itertools
import math
import os
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY, Histogram

from tachikoma_metrics import METRICS
from tachikoma_metrics.exposition import PROTOBUF
from tachikoma_metrics.store import STORE
from tachikoma_metrics.store.layout import BLOCK, HEADER_SIZE, Header, parse, unpack_header
from tachikoma_metrics.testing import sample_value
from tests.exposition.decoded import Native, decode
from tests.processes.scripts import run

SCHEMA = 3

numbers = itertools.count()


@pytest.fixture
def store(tmp_path: Path, settings: Any) -> Path:
    settings.TACHIKOMA_METRICS = {
        "STORE_DIR": str(tmp_path / "store"),
        "NATIVE_HISTOGRAMS": True,
        "NATIVE_HISTOGRAM_SCHEMA": SCHEMA,
    }
    return tmp_path / "store"


def in_child(call: Any, *arguments: Any) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            call(*arguments)
        finally:
            os._exit(0)
    return pid


def observe(label: str, values: list[float], histogram: Histogram) -> None:
    for value in values:
        METRICS.execution_duration_seconds.labels(label, "gpt").observe(value)
        histogram.labels(label).observe(value)


def bucket_of(value: float, exponents: tuple[int, int]) -> int | str:
    """Return the index of a bucket, found by comparing with all bounds."""
    if value <= 2.0 ** exponents[0]:
        return "zero"
    index = math.ceil(math.log2(value) * 2**SCHEMA) - 2
    while index / 2**SCHEMA < 1024 and 2.0 ** (index / 2**SCHEMA) < value:
        index += 1
    return int(min(index, exponents[1] * 2**SCHEMA))


def truth(values: list[float], exponents: tuple[int, int]) -> Counter[int | str]:
    return Counter(bucket_of(value, exponents) for value in values)


def counted(native: Native) -> Counter[int | str]:
    return Counter(native.buckets) + Counter({"zero": native.zero_count})


durations = st.one_of(
    st.floats(0, 1e12),
    st.floats(0, 10),
    st.sampled_from([0.0, 2.0**-20, 1.0, 0.5, 2.0**24, 2.0**30, 1e-300]),
)


@given(st.lists(st.lists(durations, max_size=30), min_size=1, max_size=4))
@hypothesis_settings(max_examples=25)
def test_the_buckets_of_all_processes_are_the_truth(
    store_of_all: Path, processes: list[list[float]]
):
    histogram = REGISTRY._names_to_collectors["weight"]
    label = f"backend-{next(numbers)}"
    pids = [in_child(observe, label, values, histogram) for values in processes]
    for pid in pids:
        os.waitpid(pid, 0)

    found = decode(METRICS.expose(PROTOBUF))

    everything = [value for values in processes for value in values]
    if everything:
        ours = found.native("execution_duration_seconds", backend=label, model="gpt")
        theirs = found.native("weight", label=label)
        assert counted(ours) == truth(everything, (-20, 24))
        assert counted(theirs) == truth(everything, (-128, 1024))
        assert ours.count == theirs.count == len(everything)
        assert ours.sum == pytest.approx(math.fsum(everything))


@pytest.fixture(scope="module")
def store_of_all(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Have one directory for all examples, which make label sets of their own."""
    from django.test import override_settings

    declared = {
        "STORE_DIR": str(tmp_path_factory.mktemp("examples") / "store"),
        "NATIVE_HISTOGRAMS": True,
        "NATIVE_HISTOGRAM_SCHEMA": SCHEMA,
    }
    with override_settings(TACHIKOMA_METRICS=declared):
        histogram = Histogram("weight", "Weight.", ["label"])
        yield
        REGISTRY.unregister(histogram)
    if STORE.is_shared:
        STORE.after_fork()


def test_a_killed_worker_takes_no_bucket_with_it(directory: Path):
    script = """
    from tachikoma_metrics.exposition import PROTOBUF
    from tests.exposition.decoded import decode

    weight = Histogram("weight", "Weight.", ["kind"])

    def observe(seed):
        for number in range(200):
            METRICS.execution_duration_seconds.labels("openai", "gpt").observe(1.05 ** number)
            weight.labels("box").observe(-(1.05 ** (number + seed)))

    first = in_child(observe, 1, live=True)
    second = in_child(observe, 2, live=True)
    observe(3)
    kill(first)
    kill(second)
    # This one continues in the place of one of them.
    in_child(observe, 4)
    found = decode(METRICS.expose(PROTOBUF))

    ours = found.native("execution_duration_seconds", backend="openai", model="gpt")
    assert ours.count == sum(ours.buckets.values()) == 800, ours
    assert found.native("weight", kind="box").count == 800
    assert set(ours.buckets.values()) >= {4}
    """
    run(script, directory, NATIVE_HISTOGRAMS=True)


def test_a_restart_keeps_native_buckets_as_long_as_the_classic_ones(directory: Path):
    script = """
    from tachikoma_metrics.exposition import PROTOBUF
    from tests.exposition.decoded import decode
    METRICS.begin_serving()
    METRICS.execution_duration_seconds.labels("openai", "gpt").observe({value})
    found = decode(METRICS.expose(PROTOBUF))
    native = found.native("execution_duration_seconds", backend="openai", model="gpt")
    print(native.count, sorted(native.buckets), native.sum)
    """
    outputs = [
        run(script.format(value=2**number), directory, NATIVE_HISTOGRAMS=True)
        for number in range(5)
    ]

    assert outputs[-1].split(None, 1)[0] == "5"
    assert outputs[-1].strip() == "5 [0, 8, 16, 24, 32] 31.0"


def test_another_schema_begins_at_zero_and_hides_nothing_of_what_follows(directory: Path):
    script = """
    from tachikoma_metrics.exposition import PROTOBUF
    from tests.exposition.decoded import decode
    METRICS.begin_serving()
    METRICS.execution_duration_seconds.labels("openai", "gpt").observe(2)
    found = decode(METRICS.expose(PROTOBUF))
    native = found.native("execution_duration_seconds", backend="openai", model="gpt")
    name = "execution_duration_seconds_count"
    classic = sample_value(name, backend="openai", model="gpt")
    print(native.schema, native.count, native.buckets, classic)
    """
    first = run(script, directory, NATIVE_HISTOGRAMS=True, NATIVE_HISTOGRAM_SCHEMA=3)
    second = run(script, directory, NATIVE_HISTOGRAMS=True, NATIVE_HISTOGRAM_SCHEMA=5)

    assert first == "3 1 {8: 1} 1.0\n"
    assert second == "5 1 {32: 1} 1.0\n"


@pytest.mark.parametrize(
    "garbage",
    [b"\xff" * 8, struct.pack("=d", 1.0), struct.pack("=d", math.nan), b"garbage!"],
    ids=["ones", "a double", "NaN", "text"],
)
def test_a_damaged_block_costs_its_own_buckets_alone(store: Path, garbage: bytes):
    duration = METRICS.execution_duration_seconds
    for exponent in (0, 10):
        duration.labels("openai", "gpt").observe(2.0**exponent)
    duration.labels("openai", "other").observe(1)
    path = store / "slot-0"
    content = path.read_bytes()
    records = parse(content, unpack_header(content).used)
    first = next(
        record.first
        for record in records
        if record.kind == 2 and record.series.declaration.type == BLOCK
    )

    for _ in range(2):
        with open(path, "r+b") as file:
            file.seek(first * 8 + 16)
            file.write(garbage)
        found = decode(METRICS.expose(PROTOBUF))

        name = "execution_duration_seconds"
        damaged = found.native(name, backend="openai", model="gpt")
        assert damaged.buckets == {80: 1}
        assert found.native(name, backend="openai", model="other").count == 1
    assert sample_value("tachikoma_metrics_errors_total", source="store") == 1


def test_a_truncated_file_costs_the_blocks_that_it_lost(store: Path):
    METRICS.execution_duration_seconds.labels("openai", "gpt").observe(1)
    METRICS.execution_duration_seconds.labels("openai", "gpt").observe(1024)
    content = (store / "slot-0").read_bytes()
    used = unpack_header(content).used
    (store / "slot-7").write_bytes(content[: used - 64])

    found = decode(METRICS.expose(PROTOBUF))

    native = found.native("execution_duration_seconds", backend="openai", model="gpt")
    assert native.buckets == {0: 2, 80: 1}
    assert used > HEADER_SIZE


def test_processes_without_native_buckets_hide_none_of_the_others(directory: Path):
    script = """
    from django.test import override_settings
    from tachikoma_metrics.exposition import PROTOBUF
    from tests.exposition.decoded import decode

    labels = {"backend": "openai", "model": "gpt"}

    def observe_in_classic_buckets():
        declared = {**settings.TACHIKOMA_METRICS, "NATIVE_HISTOGRAMS": False}
        with override_settings(TACHIKOMA_METRICS=declared):
            METRICS.execution_duration_seconds.labels(**labels).observe(2)

    METRICS.execution_duration_seconds.labels(**labels).observe(4)
    other = in_child(observe_in_classic_buckets, live=True)
    found = decode(METRICS.expose(PROTOBUF)).native("execution_duration_seconds", **labels)
    assert (found.count, found.sum, found.buckets) == (1, 4.0, {16: 1}), found
    assert sample_value("execution_duration_seconds_count", **labels) == 2
    kill(other)
    """
    run(script, directory, NATIVE_HISTOGRAMS=True)


def test_blocks_without_room_are_counted_in_memory_until_there_is_some(
    store: Path, monkeypatch: pytest.MonkeyPatch
):
    duration = METRICS.execution_duration_seconds
    duration.labels("openai", "gpt").observe(1)
    number = 0
    while os.path.getsize(store / "slot-0") - unpack_header_of(store / "slot-0").used > 400:
        number += 1
        METRICS.backend_requests_total.labels(f"backend-{number}", "chat").inc()

    def fail(descriptor: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("tachikoma_metrics.store.slot.file.reserve", fail)
        for exponent in range(-16, 21):
            duration.labels("openai", "gpt").observe(2.0**exponent)
        without = decode(METRICS.expose(PROTOBUF))
    STORE.revisit()
    duration.labels("openai", "gpt").observe(1)
    found = decode(METRICS.expose(PROTOBUF))

    labels = {"backend": "openai", "model": "gpt"}
    assert without.native("execution_duration_seconds", **labels).count < 38
    native = found.native("execution_duration_seconds", **labels)
    assert native.count == 39
    assert native.buckets == {8 * exponent: 1 for exponent in range(-16, 21)} | {0: 3}


def unpack_header_of(path: Path) -> Header:
    return unpack_header(path.read_bytes())
