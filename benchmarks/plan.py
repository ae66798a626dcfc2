"""The numbers of rounds and repeats of a run."""

from __future__ import annotations

from dataclasses import dataclass

LINES_OF_A_HISTOGRAM = 15
"""13 buckets, ``_sum`` and ``_count``."""


@dataclass(frozen=True)
class Population:
    """A number of processes, and of label sets that each of them writes."""

    processes: int
    label_sets: int

    @property
    def lines(self) -> int:
        """Return the lines in a response: every other label set belongs to a histogram."""
        return self.label_sets // 2 * (1 + LINES_OF_A_HISTOGRAM)


@dataclass(frozen=True)
class Service:
    """A number of processes, and of routes that each of them has answered."""

    processes: int
    routes: int


@dataclass(frozen=True)
class Plan:
    """The numbers of one kind of run; a spread is computed over the rounds."""

    name: str
    middleware_rounds: int
    middleware_repeats: int
    scrape_rounds: int
    warm_scrapes: int
    views: tuple[Service, ...]
    natives: Population
    populations: tuple[Population, ...]
    gunicorn_rounds: int
    bursts: int
    burst_seconds: int
    increment_rounds: int
    increment_repeats: int
    increments: int
    count_repeats: int
    query_rounds: int
    query_repeats: int
    page_repeats: int
    cache_rounds: int
    cache_repeats: int
    message_rounds: int
    messages: int
    message_repeats: int
    task_rounds: int
    task_repeats: int


SHORT = Plan(
    name="short",
    middleware_rounds=5,
    middleware_repeats=60,
    scrape_rounds=3,
    warm_scrapes=3,
    views=(Service(8, 50), Service(8, 150)),
    natives=Population(8, 1000),
    populations=(
        Population(8, 100),
        *(Population(processes, 1000) for processes in (2, 8, 32, 128)),
        Population(8, 5000),
    ),
    gunicorn_rounds=4,
    bursts=4,
    burst_seconds=1,
    increment_rounds=5,
    increment_repeats=7,
    increments=20_000,
    count_repeats=3,
    query_rounds=5,
    query_repeats=60,
    page_repeats=30,
    cache_rounds=5,
    cache_repeats=60,
    message_rounds=5,
    messages=20_000,
    message_repeats=7,
    task_rounds=5,
    task_repeats=40,
)
LONG = Plan(
    name="long",
    middleware_rounds=15,
    middleware_repeats=300,
    scrape_rounds=5,
    warm_scrapes=5,
    views=tuple(Service(processes, routes) for routes in (50, 150) for processes in (8, 32)),
    natives=Population(8, 1000),
    populations=tuple(
        Population(processes, label_sets)
        for label_sets in (100, 1000, 5000)
        for processes in (2, 8, 32, 128)
    ),
    gunicorn_rounds=10,
    bursts=10,
    burst_seconds=1,
    increment_rounds=15,
    increment_repeats=15,
    increments=100_000,
    count_repeats=10,
    query_rounds=15,
    query_repeats=300,
    page_repeats=150,
    cache_rounds=15,
    cache_repeats=300,
    message_rounds=15,
    messages=20_000,
    message_repeats=30,
    task_rounds=15,
    task_repeats=150,
)
