"""Metrics of a session as rows of the result: pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING, NamedTuple

from pipeprof.pipelines.spec.budgets import stage_of
from pipeprof.profiles.judge.verdicts import decide
from pipeprof.profiles.judge.verdicts.metrics import METRICS, MetricKind, kinds_of
from pipeprof.profiles.judge.verdicts.result import Metric as Row

if TYPE_CHECKING:
    from pipeprof.profiles.judge.verdicts.result import Level, PairValues


@dataclass(frozen=True)
class Judged:
    """What counts of a metric.

    Attributes:
        floor: Smallest change that counts; None for the metric's own.
        limit: Value that B may not exceed (of what is better when larger: not fall below); None for any.
    """

    floor: float | None = None
    limit: float | None = None
    level: Level = "error"


BY_DEFAULT: Mapping[str, Judged] = {metric.name: Judged() for metric in METRICS if metric.judged}


class _Columns(NamedTuple):
    """The values of A, of B and of the other processes of A, pair by pair; no others in a session without them."""

    a: list[float]
    b: list[float]
    again: list[float]


class _Test(NamedTuple):
    """A change and the floor that it is held against, on the scale of the decision."""

    found: decide.MeasuredChange
    floor: float


def rows_of(pairs: Sequence[PairValues], judged: Mapping[str, Judged] = BY_DEFAULT) -> list[Row]:
    """Judge all metrics that every process of every pair has.

    Where two processes of A itself differ by more than the floor, the machine makes differences out of nothing, and
    no verdict is possible.

    Args:
        judged: What counts, by metric; the others have a row and no weight.
    """
    rows: list[Row] = []
    tests: list[_Test] = []
    disturbed: set[int] = set()
    for metric in kinds_of(judged):
        columns = _columns(metric, pairs)
        if columns is None:
            continue
        wanted = judged.get(metric.name, Judged(level="off"))
        floor = decide.floor_of(metric, wanted.floor)
        base = [_middle(metric, *both) for both in zip(columns.a, columns.again, strict=True)] if columns.again else []
        tests.append(_test(metric, base or columns.a, columns.b, floor, _own_changes(metric, columns)))
        rows.append(_row(metric, columns, tests[-1], wanted))
        if _differs_from_itself(metric, columns, floor):
            disturbed.add(len(rows) - 1)
        if wanted.limit is not None:
            tests.append(_test(metric, [wanted.limit] * len(columns.b), columns.b, 0.0))
            rows.append(_row(metric, _Columns([], columns.b, []), tests[-1], wanted))
    counted = {number: test for number, test in enumerate(tests) if rows[number].level != "off"}
    together = decide.verdicts(counted)
    for number, (row, test) in enumerate(zip(rows, tests, strict=True)):
        row.verdict = together.get(number) or decide.verdict_of(test.found, test.floor)
        if number in disturbed:
            row.verdict, row.words, row.disturbed = "cannot tell", "cannot tell", True
        elif row.verdict == "cannot tell":
            needed = decide.pairs_to_settle(test.found, test.floor)
            row.more_pairs = needed - test.found.pairs if needed is not None else None
    return rows


def _columns(metric: MetricKind, pairs: Sequence[PairValues]) -> _Columns | None:
    """The values of all processes; None where one lacks the metric."""
    lowest = -math.inf if metric.scale == "difference" else 0.0
    sides = [pair.a for pair in pairs], [pair.b for pair in pairs], [pair.again for pair in pairs if pair.again]
    a, b, again = ([values.get(metric.name, math.nan) for values in side] for side in sides)
    found = _Columns(a, b, again if len(again) == len(pairs) else [])
    return found if all(value > lowest for column in found for value in column) else None


def _middle(metric: MetricKind, one: float, other: float) -> float:
    """The value of A in a pair: the mean of its two processes on the scale of the decision."""
    return fmean((one, other)) if metric.scale == "difference" else math.sqrt(one * other)


def _test(
    metric: MetricKind, a: Sequence[float], b: Sequence[float], floor: float, same: Sequence[float] = ()
) -> _Test:
    found = decide.estimate(metric, decide.changes(metric, a, b), same)
    assert found is not None  # noqa: S101 - for the type checker: there is a pair
    return _Test(found, floor)


def _row(metric: MetricKind, columns: _Columns, test: _Test, wanted: Judged) -> Row:
    found, own = test.found, [*columns.a, *columns.again]
    return Row(
        name=metric.name,
        title=metric.title,
        unit=metric.unit,
        a=median(own) if own else None,
        b=median(columns.b),
        a_spread=max(own) - min(own) if own else None,
        b_spread=max(columns.b) - min(columns.b),
        scale=metric.scale,
        change=found.change,
        low=_finite(found.low),
        high=_finite(found.high),
        pairs=found.pairs,
        floor=(metric.floor if wanted.floor is None else wanted.floor) if own else 0.0,
        limit=None if own else wanted.limit,
        stage=stage_of(metric.name),
        level=wanted.level,
        words=decide.words_of(metric, found, test.floor),
        resolution=_resolution(metric, columns, test.floor),
    )


def _same(metric: MetricKind, columns: _Columns) -> decide.MeasuredChange | None:
    """What the two processes of A differ by."""
    return decide.estimate(metric, _own_changes(metric, columns)) if len(columns.again) > 1 else None


def _own_changes(metric: MetricKind, columns: _Columns) -> list[float]:
    """What the two processes of A differ by, pair by pair."""
    return decide.changes(metric, columns.a, columns.again) if columns.again else []


def _differs_from_itself(metric: MetricKind, columns: _Columns, floor: float) -> bool:
    same = _same(metric, columns)
    return same is not None and decide.words_of(metric, same, floor) not in {"no difference", "cannot tell"}


def _resolution(metric: MetricKind, columns: _Columns, floor: float) -> float | None:
    """The smallest change that the session would find, from what two processes of A differ by."""
    same = _same(metric, columns)
    if same is None:
        return None
    # B is compared with the mean of two processes of A: three equal spreads, one of them halved, instead of two.
    found = decide.resolution(2 * same.pairs - 1, same.error * math.sqrt(3) / 2, floor)
    return found if metric.scale == "difference" else math.expm1(found)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
