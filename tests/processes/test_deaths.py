"""A process is killed while it claims a slot: nothing is lost, and nothing counts twice."""

from __future__ import annotations

import textwrap
from pathlib import Path

from tests.processes.scripts import FAULT, run

RUNS = """
import itertools, shutil
from tachikoma_metrics.store import system
from tachikoma_metrics.store.directory import Directory

things = Counter("things", "Things.", ["kind"])

def counted():
    return {dict(labels)["kind"]: int(value) for (name, labels), value in samples().items()
            if name == "things_total"}

def as_run(number, program, call):
    '''Call in a process of a run; return what it returns, or that it was killed.'''
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        system.server = lambda: (1 << 30 | number, 1)
        sys.argv = [program]
        METRICS.begin_serving()
        said = call()
        os.write(writing, repr(said).encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return eval(said) if said else "killed"

def count():
    things.labels("a").inc()
    return counted()

def dying_at(moment):
    '''Have a claim end, with its process, before the change of files that has this number.'''
    moments = itertools.count()

    def instead_of(change):
        def changed(*arguments, **more):
            if next(moments) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*arguments, **more)
        return changed

    original = {name: getattr(os, name)
                for name in ("rename", "unlink", "write", "pwrite", "posix_fallocate")}
    claim = Directory.claim

    def claimed(*arguments):
        for name, change in original.items():
            setattr(os, name, instead_of(change))
        try:
            return claim(*arguments)
        finally:
            for name, change in original.items():
                setattr(os, name, change)

    def call():
        Directory.claim = claimed
        return count()

    return call
"""

EVERY_MOMENT = """
for moment in itertools.count():
    shutil.rmtree(os.environ["STORE"], ignore_errors=True)
    for number in (1, 2, 3):
        as_run(number, "web", count)
    as_run(4, "worker", count)
    killed = as_run(5, "web", dying_at(moment)) == "killed"
    shown = as_run(4, "worker", count), as_run(6, "web", count), as_run(6, "web", counted)
    expected = [dict(a=count if killed else count + 1) for count in (5, 6, 6)]
    if list(shown) != expected:
        print(moment, *shown)
    if not killed:
        break
print("died", moment, "times")
"""


def test_no_moment_of_a_claim_is_a_wrong_one_to_die(directory: Path):
    printed = run(RUNS + EVERY_MOMENT, directory).split()

    assert (printed[0], printed[2]) == ("died", "times")
    assert int(printed[1]) > 10


def test_a_server_between_two_workers_is_not_over(directory: Path):
    script = """
    def count_rare():
        things.labels("rare").inc()

    as_run(1, "web", count_rare)
    mine = os.getpid(), system.stat_of(os.getpid()).started
    system.server = lambda: mine
    in_child(lambda: (sys.argv.__setitem__(0, "web"), METRICS.begin_serving(), count()))
    print(as_run(5, "web", count))
    """
    assert run(RUNS + textwrap.dedent(script), directory) == "{'a': 2, 'rare': 1}\n"


def test_an_archive_that_cannot_be_read_just_now_is_not_replaced(directory: Path):
    script = """
    def count_without_archive():
        original = os.open
        def failing(path, *arguments, **more):
            if path == "archive":
                raise OSError(5, "Input/output error")
            return original(path, *arguments, **more)
        os.open = failing
        things.labels("a").inc()
        os.open = original
        from tachikoma_metrics.store import STORE
        STORE.revisit()
        return count()

    for number in (1, 2):
        as_run(number, "web", count)
    print(as_run(3, "web", count_without_archive))
    """
    assert run(RUNS + textwrap.dedent(script), directory, before=FAULT) == "{'a': 4}\n"


def test_as_many_slots_as_there_are_may_be_left_behind_by_who_dies(directory: Path):
    script = """
    from tachikoma_metrics.store import archive
    archive._MOST_FOLDED = 1

    def die_before_removing_slots():
        original = os.unlink
        def dying(path, **more):
            if path.startswith("slot-"):
                os.kill(os.getpid(), signal.SIGKILL)
            original(path, **more)
        os.unlink = dying
        count()

    for number, program in enumerate(["web", "worker", "beat"]):
        as_run(number, program, count)
    print(as_run(4, "web", die_before_removing_slots), as_run(5, "beat", count))
    """
    assert run(RUNS + textwrap.dedent(script), directory) == "killed {'a': 4}\n"
