"""What a scenario is, and what it has at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.oracle.kiosks import Kiosk
from tests.oracle.load import Load
from tests.oracle.scraping import Target
from tests.oracle.verdicts import Row, expected, other_falls, rows, table

PER_SECOND = 50
PATHS = ("/", "/", "/broken/", "/paper/daily/", "/slow/")


@dataclass
class Scene:
    """A site in a scenario, the Prometheuses that scrape it, and its clients' ledger."""

    name: str
    site: Kiosk
    target: Target
    loads: list[Load] = field(default_factory=list)
    is_settled: bool = False

    def load(
        self, count: int = 150, paths: Sequence[str] = PATHS, per_second: float = PER_SECOND
    ) -> Load:
        """Return clients that send requests until so many are answered."""
        self.loads.append(Load(self.site.port, count, paths, per_second))
        return self.loads[-1]

    def finish_dropped(self) -> None:
        """Wait until the Prometheuses have seen all that has happened."""
        self.target.await_scrapes()
        self.is_settled = True

    @property
    def answered(self) -> int:
        """Return how many requests the clients had an answer to."""
        return sum(load.answered for load in self.loads)


@dataclass(frozen=True)
class Outcome:
    """What became of a scenario."""

    rows: tuple[Row, ...]
    complaints: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Tell whether every verdict is."""
        return not self.complaints and all(row.is_right for row in self.rows)

    def __str__(self) -> str:
        return "\n".join([table(self.rows), *self.complaints])


class Stage:
    """All that a scenario may use."""

    def __init__(
        self, scenario: Scenario, folder: Path, targets: Sequence[Target], ports: Sequence[int]
    ) -> None:
        self.folder = folder
        self.complaints: list[str] = []
        self._is_killed = scenario.is_killed
        self.scenes = [
            Scene(target.job, Kiosk(folder / target.job, port), target)
            for target, port in zip(targets, ports, strict=True)
        ]

    @property
    def scene(self) -> Scene:
        """Return the only site, or the first."""
        return self.scenes[0]

    def expect(self, is_so: bool, otherwise: str) -> None:
        """Complain unless something is so."""
        if not is_so:
            self.complaints.append(otherwise)

    def outcome(self) -> Outcome:
        """Compare the ledgers with what the Prometheuses know."""
        found: list[Row] = []
        for scene in self.scenes:
            assert scene.is_settled, f"{scene.name} should finish_dropped before its server ends"
            wanted = list(expected(scene.site.ledger, scene.answered, self._is_killed))
            if not self._is_killed and scene.site.ledger.cut_off:
                self.complaints.append(f"{scene.name}: {scene.site.ledger.cut_off} were cut off")
            for prometheus, series in scene.target.series().items():
                found += rows(scene.name, prometheus, wanted, series)
                falls = other_falls(series, wanted)
                if falls:
                    self.complaints.append(
                        f"{scene.name}, {prometheus}: {len(falls)} falls elsewhere, {falls[:3]}"
                    )
        return Outcome(tuple(found), tuple(self.complaints))

    def clear(self) -> None:
        """End and remove what is left of the sites."""
        for scene in self.scenes:
            scene.site.clear()


@dataclass(frozen=True)
class Scenario:
    """Something that happens to a site while it is scraped."""

    name: str
    play: Callable[[Stage], None]
    is_short: bool
    is_repetition: bool
    is_killed: bool
    sites: int

    @property
    def jobs(self) -> list[str]:
        """Return the names under which the Prometheuses know the sites."""
        return [self.name, *(f"{self.name}-{number}" for number in range(2, self.sites + 1))]

    def run(self, folder: Path, targets: Sequence[Target], ports: Sequence[int]) -> Outcome:
        """Play it, and return what became of it."""
        stage = Stage(self, folder, targets, ports)
        try:
            self.play(stage)
            return stage.outcome()
        finally:
            stage.clear()


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    *,
    is_short: bool = False,
    is_repetition: bool = False,
    is_killed: bool = False,
    sites: int = 1,
) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    """Register a function as a scenario of its name.

    Short ones are tests as well. One ``is_repetition`` if a test of the services has the same
    happen, and reads the page itself. ``is_killed`` says that processes are, so that some
    requests may have been recorded that the ledger does not have.
    """

    def register(play: Callable[[Stage], None]) -> Callable[[Stage], None]:
        name = play.__name__.replace("_", "-")
        assert name not in SCENARIOS
        SCENARIOS[name] = Scenario(name, play, is_short, is_repetition, is_killed, sites)
        return play

    return register
