"""Metrics of a session as rows of the result: pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING

from pipeprof.profiles.judge import decide
from pipeprof.profiles.judge.metrics import METRICS, Metric
from pipeprof.profiles.judge.result import Metric as Row
from pipeprof.profiles.judge.result import PairValues

if TYPE_CHECKING:
    from pipeprof.profiles.judge.result import Level

Values = Mapping[str, float]


def rows_of(
    pairs: Sequence[PairValues],
    floors: Mapping[str, float] | None = None,
    levels: Mapping[str, Level] | None = None,
) -> list[Row]:
    """Judge all metrics that every process of every pair has.

    Args:
        pairs: At least one.
        floors: Other floors than the metrics' own, by name.
        levels: What a regression of a metric means, by name; by default an error for those that are judged.
    """
    floors, levels = floors or {}, levels or {}
    rows, estimates, scaled = [], {}, {}
    for metric in METRICS:
        columns = _columns(metric, pairs)
        if columns is None:
            continue
        a, b, again = columns
        base = [_middle(metric, *both) for both in zip(a, again, strict=True)] if again else a
        found = decide.estimate(metric, decide.changes(metric, base, b))
        assert found is not None  # noqa: S101 - for the type checker: there is a pair
        floor = decide.floor_of(metric, floors.get(metric.name))
        estimates[metric.name], scaled[metric.name] = found, floor
        level: Level = levels.get(metric.name, "error" if metric.judged else "off")
        rows.append(
            Row(
                name=metric.name,
                title=metric.title,
                unit=metric.unit,
                a=median([*a, *again]),
                b=median(b),
                a_spread=max([*a, *again]) - min([*a, *again]),
                b_spread=max(b) - min(b),
                scale=metric.scale,
                change=found.change,
                low=_finite(found.low),
                high=_finite(found.high),
                pairs=found.pairs,
                floor=floors.get(metric.name, metric.floor),
                level=level,
                words=decide.words_of(metric, found, floor),
                resolution=_resolution(metric, a, again, floor),
            )
        )
    judged = {row.name for row in rows if row.level != "off"}
    together = decide.verdicts({name: one for name, one in estimates.items() if name in judged}, scaled)
    for row in rows:
        found, floor = estimates[row.name], scaled[row.name]
        row.verdict = together.get(row.name) or decide.verdict_of(found, floor)
        if row.verdict == "cannot tell":
            needed = decide.pairs_to_settle(found, floor)
            row.more_pairs = needed - found.pairs if needed is not None else None
    return rows


def _columns(metric: Metric, pairs: Sequence[PairValues]) -> tuple[list[float], list[float], list[float]] | None:
    """The values of A, of B and of the other processes of A; None where one lacks the metric."""
    sides = [[pair.a for pair in pairs], [pair.b for pair in pairs]]
    if all(pair.again is not None for pair in pairs):
        sides.append([pair.again for pair in pairs if pair.again is not None])
    lowest = -math.inf if metric.scale == "difference" else 0.0
    columns = [[values.get(metric.name, math.nan) for values in side] for side in sides]
    if not pairs or not all(value > lowest for column in columns for value in column):
        return None
    return columns[0], columns[1], columns[2] if len(columns) > len(("a", "b")) else []


def _middle(metric: Metric, one: float, other: float) -> float:
    """The value of A in a pair: the mean of its two processes on the scale of the decision."""
    return fmean((one, other)) if metric.scale == "difference" else math.sqrt(one * other)


def _resolution(metric: Metric, a: Sequence[float], again: Sequence[float], floor: float) -> float | None:
    """The smallest change that the session would find, from what two processes of A differ by."""
    same = decide.estimate(metric, decide.changes(metric, a, again)) if len(again) > 1 else None
    if same is None:
        return None
    # B is compared with the mean of two processes of A: of three equal spreads, the half less than of two.
    found = decide.resolution(same.pairs, same.error * math.sqrt(3) / 2, floor)
    return found if metric.scale == "difference" else math.expm1(found)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
