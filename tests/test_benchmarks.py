from __future__ import annotations

import math
from dataclasses import replace

import pytest

from benchmarks.rounds import Figures, Rounds, Spread
from benchmarks.tables import ratios, shares, table, times
from benchmarks.variants import CLIENT_MULTIPROCESS, DJANGO_PROMETHEUS, NONE, TACHIKOMA, WITH_VIEW


def rounds_of(*pairs: tuple[float, float]) -> Rounds:
    rounds = Rounds()
    for own, other in pairs:
        rounds.add({TACHIKOMA: {"cpu": own}, CLIENT_MULTIPROCESS: {"cpu": other}})
    return rounds


def test_a_ratio_is_taken_within_a_round():
    rounds = rounds_of((1, 2), (10, 40), (3, 1))

    assert rounds.ratio(TACHIKOMA, CLIENT_MULTIPROCESS, "cpu") == Spread(0.5, 0.25, 3.0)
    assert rounds.absolute(TACHIKOMA, "cpu") == Spread(3, 1, 10)


def test_an_overhead_too_small_to_be_measured_has_no_finite_share():
    assert rounds_of((1, -0.1)).ratio(TACHIKOMA, CLIENT_MULTIPROCESS, "cpu").median == math.inf


def test_every_other_round_is_in_the_opposite_order():
    measured = []

    def measure(variant: object) -> Figures:
        measured.append(variant)
        return {}

    Rounds.run(2, (TACHIKOMA, CLIENT_MULTIPROCESS), measure)

    assert measured == [
        TACHIKOMA,
        CLIENT_MULTIPROCESS,
        CLIENT_MULTIPROCESS,
        TACHIKOMA,
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "0.012"), (0.5, "0.50"), (9.96, "10.0"), (152.4, "152"), (math.inf, "∞")],
)
def test_a_figure_has_only_significant_digits(value: float, text: str):
    assert Spread.of([value]).text().startswith(f"{text} (")


def test_figures_are_scaled_for_their_unit():
    assert Spread.of([0.001, 0.002, 0.004]).text(1e3) == "2.00 (1.00–4.00)"  # noqa: RUF001


def test_a_table_is_markdown():
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"


def test_variables_of_the_shell_do_not_reach_a_measuring_process(monkeypatch, tmp_path):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/elsewhere")
    monkeypatch.setenv("PYTHONDEVMODE", "1")

    assert "PROMETHEUS_MULTIPROC_DIR" not in TACHIKOMA.environment(tmp_path)
    assert "PYTHONDEVMODE" not in TACHIKOMA.environment(tmp_path)
    assert DJANGO_PROMETHEUS.environment(tmp_path)["PROMETHEUS_MULTIPROC_DIR"] == str(tmp_path)


def test_figures_of_variants_become_tables():
    rounds = Rounds()
    rounds.add({TACHIKOMA: {"cpu": 1e-6}, DJANGO_PROMETHEUS: {"cpu": 4e-6}})

    assert "| 0.25 (0.25–0.25) |" in ratios(rounds, TACHIKOMA, [DJANGO_PROMETHEUS], {"cpu": "CPU"})  # noqa: RUF001
    assert "| 4.00 (4.00–4.00) |" in times("µs", rounds, [DJANGO_PROMETHEUS], {"cpu": "CPU"})  # noqa: RUF001


def test_the_overhead_is_shown_as_a_share_of_the_elapsed_time():
    rounds = Rounds()
    rounds.add({TACHIKOMA: {"redis": 2e-6, "clock": 1e-4, "share": 0.02}})

    row = shares("hit", "redis", rounds, [TACHIKOMA]).splitlines()[-1]

    assert [cell.split()[0] for cell in row.split("|")[2:-1]] == ["2.00", "100", "2.00"]


def test_only_django_prometheus_replaces_the_backends():
    assert DJANGO_PROMETHEUS.backends.sqlite.startswith("django_prometheus.")
    assert TACHIKOMA.backends == NONE.backends


def test_a_view_is_all_that_one_variant_adds_to_another():
    assert replace(WITH_VIEW, name=TACHIKOMA.name, title=TACHIKOMA.title, views=()) == TACHIKOMA
    assert WITH_VIEW.views == ("django-prometheus",)
