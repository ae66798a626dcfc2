"""Cost of a scrape, and its growth with processes and label sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path

from benchmarks.measuring_process import MeasuringProcess, measuring_process, temporary_folder
from benchmarks.plan import Plan, Population, Service
from benchmarks.rounds import Figures, Rounds
from benchmarks.tables import table
from benchmarks.variants import CLIENT_MULTIPROCESS, TACHIKOMA, WITH_VIEW, Variant

_VARIANTS = (TACHIKOMA, CLIENT_MULTIPROCESS)
_SCRAPES = {"cold": "cold", "warm": "warm", "grown": "grown", "clock": "warm, by the clock"}

_METHOD = """\
The response to a scrape of a service with several processes: `METRICS.encode()` compared with
`generate_latest` of prometheus_client and its `MultiProcessCollector`. Each process has written
every label set and stays alive. Half of the label sets belong to counters, with one line each,
half to histograms of 13 buckets, with 15 lines each. Before the measurement, both responses
must contain the same totals. *Cold* is the first scrape of a process, *warm* the minimum of
later scrapes; every process changes every label set between two scrapes. *Grown* is the minimum
of scrapes before each of which one process also added a new label set."""

_COMPARABILITY = """\
The response of tachikoma_metrics contains more: metrics of the process, of Python and of
instrumentation health, and one more process, the scraped one."""

_GROWTH = """\
Growth with the number of processes: milliseconds of CPU, and the medians of warm scrapes as
multiples of the median with the fewest processes."""

_VIEW = """\
With `"VIEWS": ["django-prometheus"]`: the metrics of requests, queries and cache lookups of a
service, with and without the view, whose metrics are derived from the same values. Each process
has answered two methods of every route with three statuses. Milliseconds of CPU of warm
scrapes."""

_PROTOBUF = """\
Text compared with protobuf, which Prometheus asks for if it scrapes native histograms or start
timestamps: milliseconds of CPU of warm scrapes of tachikoma_metrics, alternately in both formats;
protobuf has the start of each total as well."""

_NATIVE = """\
Native histograms, in protobuf and with their classic buckets, compared with the classic buckets
that prometheus_client writes as text: milliseconds of CPU of warm scrapes. Each label set has 42
populated native buckets; between two scrapes, each process observes once in so many of the label
sets."""

_CHANGES = (0, 10, 100)
"""Percent of the label sets of native histograms that change between two scrapes."""

_PUSH = """\
A push by OTLP of the same service, which reads the values of all processes, makes the request and
sends it to a receiver on the same machine: milliseconds of CPU of the sender, and by the clock. The
first push of a process, which imports OpenTelemetry, is left out."""

Results = Mapping[Population, Rounds]


class Site:
    """The population of one variant, and its folder."""

    def __init__(self, variant: Variant, folder: Path, writers: MeasuringProcess) -> None:
        self.variant = variant
        self.folder = folder
        self.writers = writers

    def measure(self, warm_scrapes: int) -> Figures:
        """Return the cost of the first and of later scrapes of a new process."""
        with measuring_process("scrape", self.variant, self.folder) as scraper:
            cold = scraper.call("scrape")
            warm = [self._after_a_change(scraper) for _ in range(warm_scrapes)]
            protobuf = self._in_protobuf(scraper, warm_scrapes)
            grown = [self._after_growth(scraper) for _ in range(warm_scrapes)]
        return {
            **protobuf,
            "cold": cold["cpu"],
            "warm": min(figures["cpu"] for figures in warm),
            "clock": min(figures["clock"] for figures in warm),
            "grown": min(figures["cpu"] for figures in grown),
        }

    def measure_service(self, warm_scrapes: int) -> Figures:
        """Return the cost and the lines of later scrapes of a new process."""
        with measuring_process("scrape", self.variant, self.folder) as scraper:
            scraper.call("scrape")
            warm = [self._after_a_change(scraper) for _ in range(warm_scrapes)]
        return {figure: min(found[figure] for found in warm) for figure in ("cpu", "lines")}

    def measure_natives(self, warm_scrapes: int) -> Figures:
        """Return the cost of later scrapes of a new process, of native histograms if it has any."""
        command = "scrape_protobuf" if self.variant is TACHIKOMA else "scrape"
        with measuring_process("scrape", self.variant, self.folder) as scraper:
            scraper.call(command)
            warm = [self._after_a_change(scraper, command) for _ in range(warm_scrapes)]
        return {"cpu": min(found["cpu"] for found in warm)}

    def totals(self) -> Figures:
        """Return the totals of the population in the response to a scrape."""
        with measuring_process("scrape", self.variant, self.folder) as scraper:
            return scraper.call("totals")

    def _in_protobuf(self, scraper: MeasuringProcess, scrapes: int) -> Figures:
        """Return the cost of warm scrapes in protobuf, and in text alternately with them."""
        if self.variant is not TACHIKOMA:
            return {}
        commands = ("scrape", "scrape_protobuf")
        # The first one in a format is a cold one.
        found = [
            [self._after_a_change(scraper, command) for command in commands]
            for _ in range(scrapes + 1)
        ][1:]
        text, protobuf = (min(one["cpu"] for one in kind) for kind in zip(*found, strict=True))
        self._after_a_change(scraper, "push")
        pushes = [self._after_a_change(scraper, "push") for _ in range(scrapes)]
        return {
            "push": min(one["cpu"] for one in pushes),
            "push by the clock": min(one["clock"] for one in pushes),
            "text": text,
            "protobuf": protobuf,
            "protobuf as a share": protobuf / text,
            "bytes as a share": found[-1][1]["bytes"] / found[-1][0]["bytes"],
        }

    def _after_a_change(self, scraper: MeasuringProcess, command: str = "scrape") -> Figures:
        self.writers.call("write")
        return scraper.call(command)

    def _after_growth(self, scraper: MeasuringProcess) -> Figures:
        scraper.call("grow")
        return self._after_a_change(scraper)


def run(plan: Plan) -> str:
    """Return the section."""
    results = {population: _measure(population, plan) for population in plan.populations}
    return "\n\n".join(
        [
            "## Cost of a scrape",
            _METHOD,
            _ratios(results),
            _COMPARABILITY,
            *_growth(results),
            _VIEW,
            _with_and_without_view(plan),
            _PROTOBUF,
            _formats(results),
            _NATIVE,
            _natives(plan),
            _PUSH,
            _pushes(results),
        ]
    )


def _measure(population: Population, plan: Plan) -> Rounds:
    with ExitStack() as stack:
        sites = {variant: _site(variant, population, stack) for variant in _VARIANTS}
        _compare({variant: site.totals() for variant, site in sites.items()})
        return Rounds.run(
            plan.scrape_rounds, _VARIANTS, lambda variant: sites[variant].measure(plan.warm_scrapes)
        )


def _site(variant: Variant, population: Population, stack: ExitStack) -> Site:
    numbers = population.processes, population.label_sets
    return _populated(variant, stack, "population", *numbers)


def _populated(variant: Variant, stack: ExitStack, module: str, *numbers: int) -> Site:
    """Return a site whose processes, those of ``module``, have written everything once."""
    folder = stack.enter_context(temporary_folder(variant))
    writers = stack.enter_context(measuring_process(module, variant, folder, *numbers))
    writers.call("write")
    return Site(variant, folder, writers)


def _with_and_without_view(plan: Plan) -> str:
    return table(
        ("routes", "processes", "lines", "with the view", "ms of CPU", "with the view", "share"),
        (_view_row(service, _measure_service(service, plan)) for service in plan.views),
    )


def _measure_service(service: Service, plan: Plan) -> Rounds:
    with ExitStack() as stack:
        sites = {
            variant: _populated(variant, stack, "service", service.processes, service.routes)
            for variant in (TACHIKOMA, WITH_VIEW)
        }
        return Rounds.run(
            plan.scrape_rounds,
            tuple(sites),
            lambda variant: sites[variant].measure_service(plan.warm_scrapes),
        )


def _natives(plan: Plan) -> str:
    size = plan.natives
    rows = {percent: _measure_natives(percent, plan) for percent in _CHANGES}
    return table(
        ("label sets", "processes", "changed", "tachikoma_metrics", "prometheus_client", "share"),
        (
            (
                str(size.label_sets),
                str(size.processes),
                f"{percent} %",
                *(rounds.absolute(one, "cpu").text(1e3) for one in _VARIANTS),
                rounds.ratio(TACHIKOMA, CLIENT_MULTIPROCESS, "cpu").text(),
            )
            for percent, rounds in rows.items()
        ),
    )


def _measure_natives(percent: int, plan: Plan) -> Rounds:
    numbers = plan.natives.processes, plan.natives.label_sets, percent
    with ExitStack() as stack:
        sites = {
            variant: _populated(variant, stack, "native_population", *numbers)
            for variant in _VARIANTS
        }
        _compare({variant: site.totals() for variant, site in sites.items()})
        return Rounds.run(
            plan.scrape_rounds,
            _VARIANTS,
            lambda variant: sites[variant].measure_natives(plan.warm_scrapes),
        )


def _view_row(service: Service, rounds: Rounds) -> tuple[str, ...]:
    return (
        str(service.routes),
        str(service.processes),
        *(f"{rounds.absolute(one, 'lines').median:.0f}" for one in (TACHIKOMA, WITH_VIEW)),
        *(rounds.absolute(one, "cpu").text(1e3) for one in (TACHIKOMA, WITH_VIEW)),
        rounds.ratio(WITH_VIEW, TACHIKOMA, "cpu").text(),
    )


def _compare(totals: Mapping[Variant, Figures]) -> None:
    if totals[TACHIKOMA] != totals[CLIENT_MULTIPROCESS]:
        differing = dict(totals[TACHIKOMA].items() ^ totals[CLIENT_MULTIPROCESS].items())
        raise RuntimeError(
            f"The responses differ in {len(differing)} of {len(totals[TACHIKOMA])} lines, "
            f"such as {next(iter(differing))}."
        )


def _ratios(results: Results) -> str:
    return table(
        ("label sets", "lines", "processes", *(f"share, {title}" for title in _SCRAPES.values())),
        (
            (
                *_size(population),
                *(
                    rounds.ratio(TACHIKOMA, CLIENT_MULTIPROCESS, figure).text()
                    for figure in _SCRAPES
                ),
            )
            for population, rounds in results.items()
        ),
    )


def _formats(results: Results) -> str:
    return table(
        ("label sets", "lines", "processes", "text", "protobuf", "share", "share, bytes"),
        (
            (
                *_size(population),
                rounds.absolute(TACHIKOMA, "text").text(1e3),
                rounds.absolute(TACHIKOMA, "protobuf").text(1e3),
                rounds.absolute(TACHIKOMA, "protobuf as a share").text(),
                rounds.absolute(TACHIKOMA, "bytes as a share").text(),
            )
            for population, rounds in results.items()
        ),
    )


def _pushes(results: Results) -> str:
    return table(
        ("label sets", "lines", "processes", "ms of CPU", "ms by the clock"),
        (
            (
                *_size(population),
                rounds.absolute(TACHIKOMA, "push").text(1e3),
                rounds.absolute(TACHIKOMA, "push by the clock").text(1e3),
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
                rounds.absolute(TACHIKOMA, "cold").text(1e3),
                rounds.absolute(TACHIKOMA, "grown").text(1e3),
                *_multiple(rounds, fewest, TACHIKOMA),
                *_multiple(rounds, fewest, CLIENT_MULTIPROCESS),
            )


def _size(population: Population) -> tuple[str, str, str]:
    return str(population.label_sets), str(population.lines), str(population.processes)


def _multiple(rounds: Rounds, fewest: Rounds, variant: Variant) -> tuple[str, str]:
    time = rounds.absolute(variant, "warm")
    return time.text(1e3), f"{time.median / fewest.absolute(variant, 'warm').median:.1f}"
