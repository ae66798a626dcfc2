"""The part about scrapes: what making the page costs, and how that grows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path

from benchmarks.conversation import Conversation, conversation, files_of
from benchmarks.peers import OURS, STOCK_SHARED, Peer
from benchmarks.plan import Plan, Population
from benchmarks.rounds import Figures, Rounds
from benchmarks.tables import table

_PEERS = (OURS, STOCK_SHARED)
_PAGES = {"cold": "cold", "warm": "warm", "grown": "grown", "clock": "warm, by the clock"}

_WHAT = """\
The page of a service of several processes: `METRICS.encode()` against `generate_latest` of
prometheus_client with its `MultiProcessCollector`. Each process has written every label set
itself and stays alive. Half of the label sets are of counters, which take a line each, half of
histograms of 13 buckets, which take 15. Before the clock starts, both pages are read and must
show the same totals. *Cold* is the first page of a process, *warm* the least of later ones;
between two pages every process changes every label set. *Grown* is the least of those before
each of which one process also made a label set that nobody had."""

_FAIRNESS = """\
The page of tachikoma_metrics has more on it: the families of the process, of Python and of
its own health, and one process more, which is the scraped one."""

_GROWTH = """\
How it grows with the processes: milliseconds of CPU, and the medians of warm pages as multiples
of that of the fewest processes."""

Results = Mapping[Population, Rounds]


class Site:
    """A population of one peer, and where its files are."""

    def __init__(self, peer: Peer, folder: Path, writers: Conversation) -> None:
        self.peer = peer
        self.folder = folder
        self.writers = writers

    def measure(self, warm_scrapes: int) -> Figures:
        """Return what the first and the later pages of a new process take."""
        with conversation("scrape", self.peer, self.folder) as scraper:
            cold = scraper.ask("scrape")
            warm = [self._after_a_change(scraper) for _ in range(warm_scrapes)]
            grown = [self._after_growth(scraper) for _ in range(warm_scrapes)]
        return {
            "cold": cold["cpu"],
            "warm": min(page["cpu"] for page in warm),
            "clock": min(page["clock"] for page in warm),
            "grown": min(page["cpu"] for page in grown),
        }

    def totals(self) -> Figures:
        """Return what the page shows of the population."""
        with conversation("scrape", self.peer, self.folder) as scraper:
            return scraper.ask("totals")

    def _after_a_change(self, scraper: Conversation) -> Figures:
        self.writers.ask("write")
        return scraper.ask("scrape")

    def _after_growth(self, scraper: Conversation) -> Figures:
        scraper.ask("grow")
        return self._after_a_change(scraper)


def run(plan: Plan) -> str:
    """Return the section of the page."""
    results = {population: _measure(population, plan) for population in plan.populations}
    return "\n\n".join(
        ["## What a scrape costs", _WHAT, _ratios(results), _FAIRNESS, *_growth(results)]
    )


def _measure(population: Population, plan: Plan) -> Rounds:
    with ExitStack() as stack:
        sites = {peer: _site(peer, population, stack) for peer in _PEERS}
        _compare({peer: site.totals() for peer, site in sites.items()})
        return Rounds.run(
            plan.scrape_rounds, _PEERS, lambda peer: sites[peer].measure(plan.warm_scrapes)
        )


def _site(peer: Peer, population: Population, stack: ExitStack) -> Site:
    folder = stack.enter_context(files_of(peer))
    writers = stack.enter_context(
        conversation("population", peer, folder, population.processes, population.label_sets)
    )
    writers.ask("write")
    return Site(peer, folder, writers)


def _compare(totals: Mapping[Peer, Figures]) -> None:
    if totals[OURS] != totals[STOCK_SHARED]:
        differing = dict(totals[OURS].items() ^ totals[STOCK_SHARED].items())
        raise RuntimeError(
            f"The pages differ in {len(differing)} of {len(totals[STOCK_SHARED])} lines, "
            f"such as {next(iter(differing))}."
        )


def _ratios(results: Results) -> str:
    return table(
        ("label sets", "lines", "processes", *(f"share, {title}" for title in _PAGES.values())),
        (
            (
                *_size(population),
                *(rounds.ratio(OURS, STOCK_SHARED, figure).text() for figure in _PAGES),
            )
            for population, rounds in results.items()
        ),
    )


def _growth(results: Results) -> Iterator[str]:
    yield _GROWTH
    yield table(
        (
            "label sets",
            "lines",
            "processes",
            "tachikoma_metrics, cold",
            "tachikoma_metrics, grown",
            "tachikoma_metrics, warm",
            "multiple",
            "prometheus_client, warm",
            "multiple",
        ),
        _growth_rows(results),
    )


def _growth_rows(results: Results) -> Iterator[tuple[str, ...]]:
    for _, group in groupby(results, key=lambda population: population.label_sets):
        populations = list(group)
        fewest = results[populations[0]]
        for population in populations:
            rounds = results[population]
            yield (
                *_size(population),
                rounds.absolute(OURS, "cold").text(1e3),
                rounds.absolute(OURS, "grown").text(1e3),
                *_multiple(rounds, fewest, OURS),
                *_multiple(rounds, fewest, STOCK_SHARED),
            )


def _size(population: Population) -> tuple[str, str, str]:
    return str(population.label_sets), str(population.lines), str(population.processes)


def _multiple(rounds: Rounds, fewest: Rounds, peer: Peer) -> tuple[str, str]:
    time = rounds.absolute(peer, "warm")
    return time.text(1e3), f"{time.median / fewest.absolute(peer, 'warm').median:.1f}"
