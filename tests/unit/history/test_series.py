"""A history as series: what a gate is in one line, and where the pace changed."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from unit.history.gates import OTHER, TARGET, chain, entry, pairs

from pipeprof.cli.pages.history import history_report, sparkline
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style
from pipeprof.profiles.history.entry import KeptGate
from pipeprof.profiles.history.series import HistoryReport, series_of


def course(levels: list[float], noise: float = 0.01, **given: object) -> list[KeptGate]:
    """Gates that compare each pipeline with itself, at these levels of the pace."""
    chance = Random(1)
    return [
        entry(
            number,
            number + 1,
            started=f"2026-03-{number + 1:02}T08:00:00+00:00",
            pairs=pairs(1.0, steps=10.0 * level * (1 + chance.gauss(0, noise))),
            **given,
        )
        for number, level in enumerate(levels)
    ]


def shown(entries: list[KeptGate], width: int = 80, damaged: tuple[str, ...] = ()) -> str:
    report = HistoryReport(place="gates.jsonl", series=series_of(entries), damaged=list(damaged))
    return paint(history_report(report), Style(width=width))


def test_a_change_that_a_gate_measured_is_one_of_its_pairs() -> None:
    (series,) = series_of(chain([1.0, 1.0, 1.1, 1.0]))
    (change,) = series.changes
    assert (change.gate, change.how) == (2, "pairs")
    assert change.low < 1.1 < change.high


def test_a_level_that_changes_between_gates_is_found() -> None:
    """As by another version of a library: on both sides of each gate."""
    (series,) = series_of(course([1.0] * 8 + [1.1] * 8))
    (change,) = series.changes
    assert (change.gate, change.how) == (8, "levels")
    assert change.change == pytest.approx(1.1, rel=0.02)


def test_levels_that_only_vary_are_no_change() -> None:
    (series,) = series_of(course([1.0] * 20, noise=0.03))
    assert series.changes == []


def test_a_level_is_of_one_class_of_hosts() -> None:
    entries = [*course([1.0] * 8), *course([2.0] * 8, host=OTHER)]
    (series,) = series_of(entries)
    assert series.changes == []
    assert len(series.hosts) == 2


def test_targets_and_steps_have_series_of_their_own() -> None:
    other = TARGET.model_copy(update={"digest": "1" * 64, "file": "other.yaml"})
    entries = [*course([1.0] * 3), *course([1.0] * 2, step="simulate: 5 ms"), *course([1.0] * 5, target=other)]
    assert [len(series.gates) for series in series_of(entries)] == [5, 3, 2]


@pytest.mark.parametrize(
    ("values", "line"),
    [([], ""), ([1.0, 1.0], "▁▁"), ([None, None], "··"), ([1.0, None, 2.0], "▁·█"), ([1.0, 2.0, 4.0], "▁▅█")],
)
def test_a_line_of_marks(values: list[float | None], line: str) -> None:
    assert sparkline(values) == line


def test_the_report_is_the_golden_one(golden: Callable[[str, str], None]) -> None:
    other = TARGET.model_copy(update={"digest": "1" * 64, "file": "train.py", "function": "make"})
    entries = [*course([1.0] * 9 + [1.1] * 9), *chain([1.0, 1.2], target=other)]
    text = shown(entries, damaged=("gates.jsonl:7: not JSON",))
    golden("show/history.txt", text)
    assert len(text.splitlines()) <= 30
    assert max(map(len, text.splitlines())) <= 80


def test_a_long_history_is_one_screen() -> None:
    entries = [
        entry(number, number + 1, started=f"2026-01-01T00:{number:03}", pairs=pairs(1.1 if number % 3 else 0.9))
        for number in range(300)
    ]
    lines = shown(entries).splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 80


def test_gates_that_measured_nothing_are_shown() -> None:
    entries = [*chain([1.0]), entry(1, 2, pairs=[], same=True)]
    assert "the same" in shown(entries)
