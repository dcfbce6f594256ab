"""What is compared of two pipelines, and the pairs of a session as one judged row for each quantity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Any, NamedTuple, TypeAlias

from pipeprof.pipelines.spec.budgets import stage_of
from pipeprof.profiles.constants import FLOOR
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment import decision
from pipeprof.profiles.experiment.decision import Comparison, Outcome
from pipeprof.profiles.experiment.statistics import Interval, estimate
from pipeprof.profiles.judge import messages
from pipeprof.profiles.judge.result import Direction, Level, Metric, PairValues, Scale, Words


@dataclass(frozen=True)
class MetricKind:
    """One quantity of a process.

    Attributes:
        floor: Smallest change that counts: a share for a ratio, in the unit for a difference.
        judged: Whether the gate judges it without being asked.
        is_speed: A change is called faster or slower, not more or less.
    """

    name: str
    title: str
    unit: str
    floor: float
    higher_is_worse: bool = True
    scale: Scale = "ratio"
    judged: bool = False
    is_speed: bool = False

    def heads(self) -> Mapping[str, Any]:
        """The fields of a row that say which quantity it is about."""
        return {name: getattr(self, name) for name in ("name", "title", "unit", "scale")} | {
            "stage": stage_of(self.name)
        }

    def holds(self, value: float) -> bool:
        """Whether a process can have this value, which bounds all ratios and their logarithms."""
        least, most = RANGES[self.unit]
        return abs(value) <= most if self.scale == "difference" else value == 0 or least <= value <= most

    def changes(self, a: Sequence[float], b: Sequence[float]) -> list[float]:
        """The change of each pair on the scale of the decision, positive where B is worse; A is above 0 for a ratio."""
        sign = 1.0 if self.higher_is_worse else -1.0
        if self.scale == "difference":
            return [sign * (other - one) for one, other in zip(a, b, strict=True)]
        return [sign * math.log(other / one) for one, other in zip(a, b, strict=True)]

    def as_change(self, worse: float) -> float:
        """A value on the scale of the decision as B over A, or B less A."""
        signed = worse if self.higher_is_worse else -worse
        if self.scale == "difference":
            return signed
        return math.exp(signed) if signed < 700 else math.inf

    def ends(self, found: Interval) -> tuple[float | None, float | None]:
        """The ends of an interval as B over A, or B less A; None where it has no end that a number can say."""
        half = found.half()
        low, high = sorted(self.as_change(worse) for worse in (found.mean - half, found.mean + half))
        if math.isfinite(half):
            return low, high if math.isfinite(high) else None
        return 0.0 if self.scale == "ratio" else None, None

    def on_scale(self, floor: float | None = None) -> float:
        """A floor on the scale of the decision: the metric's own, or another one in its terms."""
        value = self.floor if floor is None else floor
        return value if self.scale == "difference" else math.log1p(value)

    def words(self, outcome: Outcome) -> Words:
        """What B is, compared with A."""
        if outcome == "inside":
            return "no difference"
        return "cannot tell" if outcome == "unclear" else self.direction(worse=outcome == "above")

    def rules_out(self, compared: Comparison, floor: float) -> Direction | None:
        """What B is not, by a floor on the scale of the decision; None where it may be anything."""
        if compared.outcome(floor) != "unclear":
            return None
        if compared.falls_short(floor):
            return self.direction(worse=True)
        return self.direction(worse=False) if compared.mirrored().falls_short(floor) else None

    def direction(self, *, worse: bool) -> Direction:
        """What a clear change is."""
        if self.is_speed:
            return "slower" if worse else "faster"
        return "more" if worse == self.higher_is_worse else "less"


RANGES: Mapping[str, tuple[float, float]] = {
    "ms": (1e-12, 1e12),
    "s": (1e-12, 1e9),
    "1/s": (1e-12, 1e18),
    "B": (1e-12, 2.0**60),
    "": (1e-12, 1.01),
}
"""The smallest and the largest value of a metric by its unit, apart from 0: wider than any process has."""

METRICS: tuple[MetricKind, ...] = (
    MetricKind("step_ms", "time per step", "ms", FLOOR, judged=True, is_speed=True),
    MetricKind("elements_per_second", "throughput", "1/s", FLOOR, higher_is_worse=False, is_speed=True),
    MetricKind("wait_ms", "wait per step", "ms", 0.1, scale="difference"),
    MetricKind("idle_share", "idle share", "", 0.01, scale="difference"),
    MetricKind("cpu_ms_per_element", "CPU per element", "ms", FLOOR),
    MetricKind("peak_bytes", "peak memory", "B", FLOOR, judged=True),
    MetricKind("first_batch_s", "first batch after", "s", 0.1, is_speed=True),
    MetricKind("disk_bytes_per_element", "disk per element", "B", 1.0, scale="difference"),
)
BY_NAME = {metric.name: metric for metric in METRICS}


def kind_of(name: str) -> MetricKind | None:
    """The quantity of a name, also one of a single stage; None for another name.

    Example:
        >>> kind_of("stages.decode.time_ms").title
        'time in decode'
    """
    stage = stage_of(name)
    if stage is None:
        return BY_NAME.get(name)
    return MetricKind(name, f"time in {stage}", "ms", FLOOR, is_speed=True)


def kinds_of(names: Iterable[str]) -> list[MetricKind]:
    """All metrics of a session: those of the whole pipeline, then those of single stages."""
    return [*METRICS, *(kind for name in names if name not in BY_NAME and (kind := kind_of(name)) is not None)]


def impossible(values: Mapping[str, float]) -> str | None:
    """The first value that no process can have, in words; None if all can be. Unknown names are not looked at.

    Example:
        >>> impossible({"step_ms": 12.5}), impossible({"step_ms": -1.0})
        (None, 'step_ms is -1, expected 0 or 1e-12 to 1e+12 ms')
    """
    for name, value in values.items():
        kind = kind_of(name)
        if kind is not None and not kind.holds(value):
            least, most = RANGES[kind.unit]
            return messages.impossible(
                f"{name} is {value:g}", None if kind.scale == "difference" else least, most, kind.unit
            )
    return None


@dataclass(frozen=True)
class Judged:
    """What counts of a metric: the smallest change (a share of A; None for the metric's own), and a limit.

    B may not exceed the limit, or not fall below that of what is better when larger. Where it is not `compared`, the
    limit alone counts.
    """

    floor: float | None = None
    limit: float | None = None
    level: Level = "error"
    compared: bool = True


BY_DEFAULT: Mapping[str, Judged] = {metric.name: Judged() for metric in METRICS if metric.judged}
_Key: TypeAlias = "tuple[str, str, bool]"
"""Of a row: the arm, the metric, and whether it is held against a limit."""


class Columns(NamedTuple):
    """The values of A, of B and of the other processes of A, pair by pair; no others in a session without them."""

    a: list[float]
    b: list[float]
    again: list[float]


def rows_of(pairs: Sequence[PairValues], judged: Mapping[str, Judged] = BY_DEFAULT) -> list[Metric]:
    """Judge all metrics of B that every process of every pair has."""
    return rows_of_arms(pairs, ["b"], judged)["b"]


def rows_of_arms(
    pairs: Sequence[PairValues], arms: Sequence[str], judged: Mapping[str, Judged] = BY_DEFAULT
) -> dict[str, list[Metric]]:
    """Judge all metrics of several pipelines, each against A; what is clear of them is so of all together (Holm)."""
    rows: dict[_Key, Metric] = {}
    tests: dict[_Key, decision.Test] = {}
    for kind in kinds_of(judged):
        of_metric: dict[_Key, decision.Test] = {}
        for arm in arms:
            columns = _values(kind, pairs, arm)
            if columns is None:
                continue
            wanted, key = _in_units(kind, judged.get(kind.name, Judged(level="off")), columns), (arm, kind.name, False)
            of_metric[key] = _compare(kind, columns), kind.on_scale(wanted.floor)
            rows[key] = _row(kind, columns, of_metric[key], wanted)
            if wanted.limit is not None:
                key = arm, kind.name, True
                limit = Columns([wanted.limit] * len(columns.b), columns.b, [])
                of_metric[key] = _compare(kind, limit), 0.0
                rows[key] = _row(kind, Columns([], columns.b, []), of_metric[key], wanted)
        for limited in (False, True):
            same_kind = {key: test for key, test in of_metric.items() if key[2] is limited}
            for key, outcome in decision.outcomes(same_kind).items():
                rows[key].words = kind.words(outcome)
                rows[key].rules_out = None if limited else kind.rules_out(*of_metric[key])
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


def _in_units(kind: MetricKind, wanted: Judged, columns: Columns) -> Judged:
    """A share of what is compared by its difference is that of A, in the unit, and at least the metric's own floor."""
    if wanted.floor is None or kind.scale == "ratio" or not kind.unit:
        return wanted
    return replace(wanted, floor=max(kind.floor, wanted.floor * median([*columns.a, *columns.again])))


def _values(kind: MetricKind, pairs: Sequence[PairValues], arm: str) -> Columns | None:
    lowest = -math.inf if kind.scale == "difference" else 0.0
    own = [pair.b if arm == "b" else pair.further.get(arm, {}) for pair in pairs]
    sides = [pair.a for pair in pairs], own, [pair.again for pair in pairs if pair.again]
    a, b, again = ([values.get(kind.name, math.nan) for values in side] for side in sides)
    found = Columns(a, b, again if len(again) == len(pairs) else [])
    return found if all(value > lowest for column in found for value in column) else None


def _middle(kind: MetricKind, one: float, other: float) -> float:
    """The value of A in a pair: the mean of its two processes on the scale of the decision."""
    return fmean((one, other)) if kind.scale == "difference" else math.sqrt(one * other)


def _compare(kind: MetricKind, columns: Columns) -> Comparison:
    """B against the mean of the processes of A, and these against each other; there is a pair."""
    if columns.again:
        base = [_middle(kind, *both) for both in zip(columns.a, columns.again, strict=True)]
        own = kind.changes(columns.a, columns.again)
    else:
        base, own = columns.a, []
    found = estimate(kind.changes(base, columns.b), own)
    assert found is not None  # noqa: S101 - for the type checker: there is a pair
    return Comparison(found, estimate(own) if len(own) > 1 else None)


def _row(kind: MetricKind, columns: Columns, test: decision.Test, wanted: Judged) -> Metric:
    (compared, floor), own = test, [*columns.a, *columns.again]
    found = compared.change
    low, high = kind.ends(found)
    resolution = decision.resolution(compared.same, floor) if compared.same is not None else None
    return Metric(
        **kind.heads(),
        a=median(own) if own else None,
        b=median(columns.b),
        a_spread=max(own) - min(own) if own else None,
        b_spread=max(columns.b) - min(columns.b),
        change=kind.as_change(found.mean),
        low=low,
        high=high,
        pairs=found.pairs,
        floor=(kind.floor if wanted.floor is None else wanted.floor) if own else 0.0,
        limit=None if own else wanted.limit,
        level=wanted.level if wanted.compared or not own else "off",
        resolution=resolution if resolution is None or kind.scale == "difference" else math.expm1(resolution),
    )


def values_of(profile: Profile) -> dict[str, float]:
    """The values of all metrics that a profile has, by name."""
    steps, flow, memory = profile.steps, profile.throughput, profile.memory
    per_batch = flow.elements_per_batch if flow else None
    elements = steps.count * per_batch if steps and per_batch else None
    has_device = steps is not None and steps.dispatch is not None
    phases = {phase.name: phase.seconds for phase in profile.phases}
    first = [phases.get(name) for name in ("build", "first_element")]
    cpu = profile.cpu.total_ms if profile.cpu else None
    found: dict[str, float | None] = {
        "step_ms": steps.interval_ms.mean if steps else None,
        "elements_per_second": flow.elements_per_second if flow else None,
        "wait_ms": steps.wait_ms.mean if steps and steps.wait_ms and has_device else None,
        "idle_share": profile.device.idle_share if profile.device and has_device else None,
        "cpu_ms_per_element": cpu / per_batch if cpu is not None and per_batch else None,
        "peak_bytes": memory.peak_bytes,
        "first_batch_s": sum(value or 0.0 for value in first) if any(first) else None,
        "disk_bytes_per_element": profile.disk.bytes / elements
        if profile.disk and profile.disk.bytes is not None and elements
        else None,
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def rows_of_profiles(a: Profile, b: Profile) -> list[Metric]:
    """The table of two profiles, without intervals and verdicts.

    One run of each says nothing about run-to-run variation.
    """
    one, other = values_of(a), values_of(b)
    rows = []
    for kind in METRICS:
        before, after = one.get(kind.name), other.get(kind.name)
        if before is None or after is None or (kind.scale == "ratio" and min(before, after) <= 0):
            continue
        rows.append(
            Metric(
                **kind.heads(),
                a=before,
                b=after,
                change=kind.as_change(kind.changes([before], [after])[0]),
                floor=kind.floor,
                level="error" if kind.judged else "off",
            )
        )
    return rows
