"""The limit of label sets holds for a page, however many processes have label sets."""

from __future__ import annotations

import textwrap
from pathlib import Path

from tests.processes.scripts import FAULT, run

PEERS = """
class Peer:
    '''A process that calls what it is told to, in turns with the others.'''

    pids = []

    def __init__(self):
        self.orders, orders = os.pipe()
        answers, self.answers = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                while True:
                    line = os.read(self.orders, 1000).decode()
                    os.write(self.answers, (repr(eval(line)) + chr(10)).encode())
            finally:
                os._exit(1)
        self.orders, self.answers = orders, open(answers, closefd=False)
        self.pids.append(self.pid)

    @classmethod
    def end_all(cls):
        while cls.pids:
            kill(cls.pids.pop())

    def end(self):
        self.pids.remove(self.pid)
        kill(self.pid)

    def ask(self, line):
        os.write(self.orders, line.encode())
        return eval(self.answers.readline())

def visit(*paths, status="200"):
    for path in paths:
        METRICS.http_requests_total.labels("GET", path, status).inc()
        METRICS.http_request_duration_seconds.labels("GET", path).observe(0.3)

def requests():
    names = ("method", "path", "status")
    return {tuple(dict(labels)[one] for one in names): value
            for (name, labels), value in samples().items() if name == "http_requests_total"}

def durations():
    return {dict(labels)["path"]: value for (name, labels), value in samples().items()
            if name == "http_request_duration_seconds_bucket" and ("le", "0.5") in labels}
"""


def run_with_peers(script: str, directory: Path, **more: object) -> None:
    body = textwrap.indent(textwrap.dedent(script) + "print('done')\n", "    ")
    whole = f"{PEERS}\ntry:\n{body}finally:\n    Peer.end_all()\n"
    assert run(whole, directory, before=FAULT, **more) == "done\n"


def test_label_sets_of_many_processes_are_within_the_limit(directory: Path):
    script = """
    peers = [Peer() for _ in range(6)]
    for number, peer in enumerate(peers):
        paths = [f"/{number}/{one}" for one in range(8)]
        peer.ask(f"visit(*{paths})")
        peer.ask(f"visit(*{paths}, status='500')")
    pages = [peer.ask("(requests(), durations())") for peer in peers]
    assert all(page == pages[0] for page in pages)
    counts, seconds = requests(), durations()
    assert (counts, seconds) == pages[0]
    shown = {path for _, path, _ in counts}
    assert len([labels for labels in counts if "overflow" not in labels]) == 9, counts
    assert len(counts) == 9 + 2, counts
    assert len(seconds) == 9 + 1, seconds
    assert shown == {"overflow", *(f"/0/{one}" for one in range(8))}
    assert sum(counts.values()) == 96
    for status in ("200", "500"):
        assert sum(value for labels, value in counts.items() if labels[2] == status) == 48
    assert sum(seconds.values()) == 96
    assert sample_value("http_request_duration_seconds_count", method="GET", path="overflow") == 78
    assert sample_value("tachikoma_metrics_cardinality", family="http_requests_total") == 11
    """
    run_with_peers(script, directory, CARDINALITY_LIMIT=10)


def test_no_label_set_vanishes_and_no_total_falls_while_others_come(directory: Path):
    script = """
    peers = [Peer() for _ in range(3)]
    seen = [requests(), durations()]
    sent = 0
    for round in range(60):
        peer, reader = peers[round % 3], peers[(round + 1) % 3]
        peer.ask(f"visit('/{round}', '/{round // 7}', '/{round % 5}')")
        sent += 3
        for pages in (reader.ask("[requests(), durations()]"), [requests(), durations()]):
            for before, now in zip(seen, pages):
                assert before.keys() <= now.keys(), (before, now)
                assert all(before[labels] <= now[labels] for labels in before), (before, now)
                assert sum(now.values()) == sent
                assert len(now) <= 20
            seen = pages
        if round == 30:
            peers[0].end()
            peers[0] = Peer()
    assert "overflow" in seen[1]
    """
    run_with_peers(script, directory, CARDINALITY_LIMIT=20)


def test_label_sets_without_a_value_are_within_the_limit_too(directory: Path):
    script = """
    peer = Peer()
    peer.ask(f"visit(*{[f'/{number}' for number in range(7)]})")
    for number in range(9):
        METRICS.http_requests_total.labels("GET", f"/zero/{number}", "200")
    assert len(requests()) == 10, requests()
    peer.ask("visit('/7', '/8')")
    visit("/9")
    assert len(requests()) == 10, requests()
    assert sum(requests().values()) == 10
    """
    run_with_peers(script, directory, CARDINALITY_LIMIT=10)


def test_a_gauge_above_the_limit_is_what_was_set_last(directory: Path):
    script = """
    peers = [Peer() for _ in range(3)]
    for number, peer in enumerate(peers):
        peer.ask(f"METRICS.specs_total.labels('status {number}').set({number + 1})")
    specs = {dict(labels)["status"]: value for (name, labels), value in samples().items()
             if name == "specs_total"}
    assert specs == {"status 0": 1, "overflow": 3}, specs
    """
    run_with_peers(script, directory, CARDINALITY_LIMIT=2)


def test_a_metric_of_the_projects_has_no_limit(directory: Path):
    script = """
    things = Counter("things", "Things.", ["kind"])
    peer = Peer()
    peer.ask("[things.labels(f'theirs {number}').inc() for number in range(20)] and None")
    for number in range(20):
        things.labels(f"ours {number}").inc()
    assert len([1 for name, _ in samples() if name == "things_total"]) == 40
    """
    run_with_peers(script, directory, CARDINALITY_LIMIT=5)


def test_another_limit_is_that_of_the_next_page(directory: Path):
    script = """
    from django.test import override_settings
    visit(*(f"/{number}" for number in range(9)))
    assert len(requests()) == 9
    options = {"STORE_DIR": os.environ["STORE"], "CARDINALITY_LIMIT": 5}
    with override_settings(TACHIKOMA_METRICS=options):
        assert requests().keys() == {
            *(("GET", f"/{number}", "200") for number in range(4)), ("GET", "overflow", "200")
        }
        assert sum(requests().values()) == 9
    assert len(requests()) == 9
    """
    run_with_peers(script, directory, CARDINALITY_LIMIT=10)


def test_what_was_made_first_is_shown_after_the_directory_was_made_anew(directory: Path):
    script = """
    import shutil
    from tachikoma_metrics.store import STORE, Incomplete
    peers = [Peer() for _ in range(2)]
    peers[0].ask("visit('/first')")
    peers[1].ask("visit('/second')")
    assert durations() == {"/first": 1, "overflow": 1}
    shutil.rmtree(os.environ["STORE"])
    for peer in reversed(peers):
        peer.ask("STORE.revisit()")
        peer.ask("METRICS.cache_hits_total.inc()")

    def durations_once_all_are_back():
        while True:
            try:
                return durations()
            except Incomplete:
                time.sleep(0.05)

    assert durations_once_all_are_back() == {"/first": 1, "overflow": 1}
    """
    run_with_peers(script, directory, CARDINALITY_LIMIT=2)


ROUTES = """
from tachikoma_metrics.recording.events import HTTP_REQUEST

def answer(*paths, status=200):
    for path in paths:
        HTTP_REQUEST.record_valid(("GET", path, status, "", "", ()), (1.0,) * 7)

def counted():
    return {labels for labels, value in requests().items() if value}
"""


def test_series_at_zero_of_any_process_take_no_place_from_others(directory: Path):
    script = f"""
    exec({ROUTES!r})
    peers = [Peer() for _ in range(4)]
    for number, peer in enumerate(peers):
        peer.ask(f"answer('{{number}}', '{{number}}/first', '{{number}}/second')")
    pages = [peer.ask("requests()") for peer in peers]
    assert all(page == requests() for page in pages)
    assert len(counted()) == 12 and sum(requests().values()) == 12, requests()
    assert len(requests()) == 19
    assert sample_value("tachikoma_metrics_cardinality", family="http_requests_total") == 19
    for number in range(7):
        peers[number % 4].ask(f"answer('later {{number}}')")
    assert counted() == requests().keys()
    assert len(counted()) == 19 and sum(requests().values()) == 19
    assert sample_value("tachikoma_metrics_overflow_total", family="http_requests_total") is None
    """
    run_with_peers(script, directory, CARDINALITY_LIMIT=20)


def test_a_series_at_zero_that_counts_an_error_stays(directory: Path):
    script = f"""
    exec({ROUTES!r})
    peers = [Peer() for _ in range(2)]
    for peer in peers:
        peer.ask("answer('first', 'second')")
    assert requests()["GET", "/first", "500"] == 0
    peers[1].ask("answer('first', status=500)")
    for number in range(30):
        peers[number % 2].ask(f"answer('{{number}}')")
        assert requests()["GET", "/first", "500"] == 1
        assert requests() == peers[0].ask("requests()") == peers[1].ask("requests()")
    assert sum(requests().values()) == 35
    assert len(requests()) == 10
    """
    run_with_peers(script, directory, CARDINALITY_LIMIT=10)


def test_series_at_zero_stay_when_their_process_is_killed(directory: Path):
    script = f"""
    exec({ROUTES!r})
    peer = Peer()
    peer.ask("answer('first')")
    peer.end()
    assert requests() == {{("GET", "/first", "200"): 1, ("GET", "/first", "500"): 0}}
    peer = Peer()
    peer.ask("answer('first', status=500)")
    assert requests() == {{("GET", "/first", "200"): 1, ("GET", "/first", "500"): 1}}
    for number in range(8):
        peer.ask(f"answer('{{number}}')")
    assert requests()["GET", "/first", "500"] == 1
    """
    run_with_peers(script, directory, CARDINALITY_LIMIT=5)


def test_series_at_zero_move_to_a_directory_that_was_made_anew(directory: Path):
    script = f"""
    import shutil
    from tachikoma_metrics.store import STORE
    exec({ROUTES!r})
    answer('first', 'second')
    shutil.rmtree(os.environ["STORE"])
    STORE.revisit()
    answer('third')
    for number in range(3):
        answer(str(number))
    assert len(counted()) == 6 and len(requests()) == 6 and sum(requests().values()) == 6
    answer('first', status=500)
    assert sum(requests().values()) == 7
    """
    run_with_peers(script, directory, CARDINALITY_LIMIT=7)
