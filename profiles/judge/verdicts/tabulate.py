"""Metrics of a session as rows of the result: pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import NamedTuple, TypeAlias

from pipeprof.profiles.experiment import decision
from pipeprof.profiles.experiment.decision import Comparison
from pipeprof.profiles.experiment.statistics import estimate
from pipeprof.profiles.judge.verdicts.metrics import METRICS, MetricKind, kinds_of
from pipeprof.profiles.judge.verdicts.result import Level, PairValues
from pipeprof.profiles.judge.verdicts.result import Metric as Row


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


_Key: TypeAlias = "tuple[str, str, bool]"
"""Of a row: the arm, the metric, and whether it is held against a limit."""


class Columns(NamedTuple):
    """The values of A, of B and of the other processes of A, pair by pair; no others in a session without them."""

    a: list[float]
    b: list[float]
    again: list[float]


def rows_of(pairs: Sequence[PairValues], judged: Mapping[str, Judged] = BY_DEFAULT) -> list[Row]:
    """Judge all metrics of B that every process of every pair has."""
    return rows_of_arms(pairs, ["b"], judged)["b"]


def rows_of_arms(
    pairs: Sequence[PairValues], arms: Sequence[str], judged: Mapping[str, Judged] = BY_DEFAULT
) -> dict[str, list[Row]]:
    """Judge all metrics of several pipelines, each against A; what is clear of them is so of all together (Holm).

    Args:
        arms: ``b``, ``c`` and so on.
        judged: What counts, by metric; the others have a row and no weight.
    """
    rows: dict[_Key, Row] = {}
    tests: dict[_Key, decision.Test] = {}
    for metric in kinds_of(judged):
        wanted = judged.get(metric.name, Judged(level="off"))
        floor = metric.on_scale(wanted.floor)
        of_metric: dict[_Key, decision.Test] = {}
        for arm in arms:
            columns = values_of_pairs(metric, pairs, arm)
            if columns is None:
                continue
            key = arm, metric.name, False
            of_metric[key] = compare_columns(metric, columns), floor
            rows[key] = _row(metric, columns, of_metric[key], wanted)
            if wanted.limit is not None:
                key = arm, metric.name, True
                limit = Columns([wanted.limit] * len(columns.b), columns.b, [])
                of_metric[key] = compare_columns(metric, limit), 0.0
                rows[key] = _row(metric, Columns([], columns.b, []), of_metric[key], wanted)
        for limited in (False, True):
            same_kind = {key: test for key, test in of_metric.items() if key[2] is limited}
            for key, outcome in decision.outcomes(same_kind).items():
                rows[key].words = metric.words(outcome)
                rows[key].rules_out = None if limited else metric.rules_out(*of_metric[key])
        tests |= of_metric
    together = decision.verdicts({key: test for key, test in tests.items() if rows[key].level != "off"})
    for key, (compared, floor) in tests.items():
        row = rows[key]
        row.verdict = together.get(key) or decision.verdict_of(compared, floor)
        row.disturbed = compared.is_disturbed(floor)
        if row.verdict == "cannot tell" and not row.disturbed:
            needed = decision.pairs_to_settle(compared.change, floor)
            row.more_pairs = needed - compared.change.pairs if needed is not None else None
    return {arm: [row for key, row in rows.items() if key[0] == arm] for arm in arms}


def values_of_pairs(metric: MetricKind, pairs: Sequence[PairValues], arm: str) -> Columns | None:
    """The values of all processes; None where one lacks the metric."""
    lowest = -math.inf if metric.scale == "difference" else 0.0
    own = [pair.b if arm == "b" else pair.further.get(arm, {}) for pair in pairs]
    sides = [pair.a for pair in pairs], own, [pair.again for pair in pairs if pair.again]
    a, b, again = ([values.get(metric.name, math.nan) for values in side] for side in sides)
    found = Columns(a, b, again if len(again) == len(pairs) else [])
    return found if all(value > lowest for column in found for value in column) else None


def _middle(metric: MetricKind, one: float, other: float) -> float:
    """The value of A in a pair: the mean of its two processes on the scale of the decision."""
    return fmean((one, other)) if metric.scale == "difference" else math.sqrt(one * other)


def compare_columns(metric: MetricKind, columns: Columns) -> Comparison:
    """B against the mean of the processes of A, and these against each other; there is a pair."""
    if columns.again:
        base = [_middle(metric, *both) for both in zip(columns.a, columns.again, strict=True)]
        own = metric.changes(columns.a, columns.again)
    else:
        base, own = columns.a, []
    found = estimate(metric.changes(base, columns.b), own)
    assert found is not None  # noqa: S101 - for the type checker: there is a pair
    return Comparison(found, estimate(own) if len(own) > 1 else None)


def _row(metric: MetricKind, columns: Columns, test: decision.Test, wanted: Judged) -> Row:
    (compared, floor), own = test, [*columns.a, *columns.again]
    found = compared.change
    low, high = metric.ends(found)
    resolution = decision.resolution(compared.same, floor) if compared.same is not None else None
    return Row(
        **metric.heads(),
        a=median(own) if own else None,
        b=median(columns.b),
        a_spread=max(own) - min(own) if own else None,
        b_spread=max(columns.b) - min(columns.b),
        change=metric.as_change(found.mean),
        low=low,
        high=high,
        pairs=found.pairs,
        floor=(metric.floor if wanted.floor is None else wanted.floor) if own else 0.0,
        limit=None if own else wanted.limit,
        level=wanted.level,
        resolution=resolution if resolution is None or metric.scale == "difference" else math.expm1(resolution),
    )
