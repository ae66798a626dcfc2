"""What cannot be read, or has no room, makes no total fall: a page is complete, or none."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes.scripts import FAULT, run, start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")

DESCRIPTORS = """
import resource
from tachikoma_metrics.store import Incomplete
resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
taken = []

def take_all():
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass

def give_back(count):
    for _ in range(count):
        os.close(taken.pop())

def open_files():
    return len(os.listdir("/proc/self/fd"))

def says(call):
    try:
        return call()
    except Incomplete as error:
        return str(error)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    try:
        subprocess.run(["mount", *options], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.CalledProcessError) as trouble:
        pytest.skip(f"a file system cannot be mounted here: {trouble}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True, timeout=20)


@contextmanager
def asked(script: str, directory: Path, **more: object) -> Iterator[Asked]:
    """Run a service of its own that reads lines of Python, and prints what each is worth."""
    loop = "print('ready', flush=True)\nfor line in sys.stdin:\n    print(eval(line), flush=True)\n"
    with start(f"{script}\n{loop}", directory, before=DESCRIPTORS + FAULT, **more) as process:
        asked = Asked(process)
        assert asked.read() == "ready"
        try:
            yield asked
        finally:
            assert process.stdin is not None
            process.stdin.close()
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


class Asked:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, line: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self.read()

    def until(self, line: str, expected: str) -> None:
        """Ask for pages, until there is time to look after the files again."""
        for _ in range(300):
            if self(line) == expected:
                return
            time.sleep(0.01)
        pytest.fail(f"{line} was never {expected}, but {self(line)}")

    def read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")


# --- no descriptors -----------------------------------------------------------


def test_a_process_without_descriptors_still_shows_what_all_have_counted(directory: Path):
    with (
        asked("METRICS.cache_hits_total.inc(500)", directory),
        asked("METRICS.cache_hits_total.inc(20)", directory) as full,
    ):
        before = full('sample_value("cache_hits_total")')
        cpu = float(full('sample_value("process_cpu_seconds_total")'))
        full("take_all()")
        during = [full('sample_value("cache_hits_total")') for _ in range(5)]
        cpu_without = float(full('sample_value("process_cpu_seconds_total")'))

        assert [before, *during] == ["520.0"] * 6
        assert cpu_without >= cpu
        assert full('sample_value("tachikoma_metrics_processes")') == "2.0"
        assert full('sample_value("tachikoma_metrics_errors_total", source="store")') == "0.0"
        assert full("records") == "[]"


def test_the_page_leaves_as_many_descriptors_as_there_were(directory: Path):
    with asked("METRICS.cache_hits_total.inc()", directory) as process:
        process("METRICS.encode() and None")
        before = process("open_files()")
        for _ in range(3):
            process("METRICS.encode() and None")
            process("take_all()")
            process("METRICS.encode() and None")
            process("give_back(len(taken))")
            process("METRICS.encode() and None")

        assert process("open_files()") == before


def test_a_forked_child_has_no_descriptor_of_its_parents(directory: Path):
    script = """
    before = len(os.listdir("/proc/self/fd"))
    METRICS.cache_hits_total.inc()
    assert len(os.listdir("/proc/self/fd")) > before
    in_child(lambda: print(len(os.listdir("/proc/self/fd")) - before, flush=True))
    """
    # Those of the pipe, by which the parent is told of the end.
    assert run(script, directory) == "2\n"


def test_a_process_that_can_read_no_file_of_others_shows_no_page(directory: Path):
    with (
        asked("METRICS.cache_hits_total.inc(500)", directory),
        # Without a file of its own, it has nothing set aside.
        asked("", directory) as full,
    ):
        full("take_all()")
        said = full("says(METRICS.encode)")
        full("give_back(4)")
        after = full('sample_value("cache_hits_total")')
        counted = 'sample_value("tachikoma_metrics_errors_total", source="store")'
        full.until(f"({counted} or 0) > 0", "True")

        assert said == (
            f"{directory} cannot be read: [Errno 24] Too many open files: '{directory}'."
        )
        assert after == "500.0"


def test_a_claim_that_sees_not_all_slots_ends_no_service(directory: Path):
    with (
        asked("METRICS.cache_hits_total.inc(500)", directory),
        asked("", directory) as full,
    ):
        run("METRICS.cache_hits_total.inc(70)", directory)
        full("take_all()")
        for count in range(4):
            full(f"give_back({count})")
            full("METRICS.cache_hits_total.inc()")
            full("says(METRICS.encode) and take_all()")
        full("give_back(len(taken))")

        full("METRICS.cache_hits_total.inc()")
        full.until('sample_value("cache_hits_total")', "575.0")


# --- no room ------------------------------------------------------------------

GRAINS = """
grains = Counter("grains", "Grains.", ["where"])
sizes = Histogram("sizes", "Sizes.", ["where"])
level = Gauge("level", "Level.", ["where"])
long = "hot" * 30000

def fill():
    with open(os.environ["STORE"] + "/../ballast", "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"0" * 4096)
        except OSError:
            pass

def count(amount):
    for _ in range(amount):
        grains.labels(long).inc()
        grains.labels("before").inc()
        sizes.labels(long).observe(0.5)
        level.labels(long).set(amount)

def shown(name):
    return sum(value for (found, labels), value in samples().items()
               if found == name and ("where", long) in labels)

def empty():
    os.unlink(os.environ["STORE"] + "/../ballast")
"""
PARTS = ("grains_total", "sizes_count", "sizes_sum", "sizes_bucket", "level")


def test_what_has_no_room_is_on_no_page_until_it_is_on_all(small_disk: Path):
    begin = GRAINS + 'grains.labels("before").inc()\n'
    with (
        asked(begin, small_disk / "store") as one,
        asked(begin, small_disk / "store") as other,
    ):
        one("fill()")
        one("count(70)")
        other("count(30)")
        without = [process(f'shown("{name}")') for process in (one, other) for name in PARTS]
        before = [
            process('sample_value("grains_total", where="before")') for process in (one, other)
        ]
        faults = [
            process('sample_value("tachikoma_metrics_errors_total", source="store")')
            for process in (one, other)
        ]
        one("empty()")
        one.until('shown("sizes_count") and shown("grains_total")', "70.0")
        other.until('shown("sizes_count") and shown("grains_total")', "100.0")
        with_room = [one(f'shown("{name}")') for name in ("grains_total", "sizes_count")]

    assert without == ["0"] * len(without)
    assert before == ["102.0"] * 2
    assert faults[0] == faults[1]
    assert float(faults[0]) > 0
    assert with_room == ["100.0"] * 2


def test_a_process_without_room_for_its_first_file_shows_those_of_others(small_disk: Path):
    with (
        asked(GRAINS + "METRICS.cache_hits_total.inc(500)", small_disk / "store") as one,
        asked(GRAINS, small_disk / "store") as late,
    ):
        one("fill()")
        late("METRICS.cache_hits_total.inc(20)")
        late("METRICS.cache_misses_total.inc()")
        pages = [process('sample_value("cache_hits_total")') for process in (one, late, one, late)]
        misses = [process('sample_value("cache_misses_total")') for process in (one, late)]
        one("empty()")
        late.until('sample_value("cache_hits_total")', "520.0")
        after = [process('sample_value("cache_hits_total")') for process in (one, late)]

    assert pages == ["500.0"] * 4
    assert misses in (["0.0", "0.0"], ["0.0", "None"])
    assert after == ["520.0"] * 2


# --- nothing shared -----------------------------------------------------------

ONE_OF = """
def show():
    METRICS.cache_hits_total.inc()
    print(says(lambda: sample_value("cache_hits_total")), flush=True)
"""


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file" / "store"


def test_the_only_process_of_a_service_shows_what_it_has_counted(nowhere: Path):
    script = f"{ONE_OF}\nshow()\nin_child(show)\n"

    assert run(script, nowhere, before=DESCRIPTORS + FAULT) == "1.0\n1.0\n"


def test_one_of_several_that_share_nothing_shows_no_page(nowhere: Path):
    script = f"""{ONE_OF}
other = in_child(METRICS.cache_hits_total.inc, live=True)
in_child(show)
kill(other)
in_child(show)
"""
    among_others, alone = run(script, nowhere, before=DESCRIPTORS + FAULT).splitlines()

    assert among_others.startswith("What the other processes have counted cannot be read: ")
    assert str(nowhere.parent) in among_others
    assert alone == "1.0"


def test_processes_that_are_to_share_nothing_show_their_own(directory: Path):
    script = f"""{ONE_OF}
from django.test import override_settings
def in_memory():
    with override_settings(TACHIKOMA_METRICS={{"STORE_DIR": None}}):
        show()
other = in_child(in_memory, live=True)
in_child(in_memory)
kill(other)
"""
    assert run(script, directory, before=DESCRIPTORS + FAULT) == "1.0\n1.0\n"


def test_a_file_that_was_removed_is_missed(directory: Path):
    with asked("METRICS.cache_hits_total.inc(3)", directory) as process:
        for slot in directory.iterdir():
            slot.unlink()
        said = process("says(METRICS.encode)")
        after = process('sample_value("cache_hits_total")')

    assert said.startswith(f"{directory}/slot-0 cannot be read: it was removed")
    assert after == "3.0"
