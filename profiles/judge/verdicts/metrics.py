"""What is compared of two pipelines: names, units, directions and floors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeprof.pipelines.spec.budgets import stage_of
from pipeprof.profiles.constants import FLOOR
from pipeprof.profiles.experiment.decision import Comparison, Outcome
from pipeprof.profiles.experiment.statistics import Interval

Scale = Literal["ratio", "difference"]
"""How two values are compared: B over A, or B less A where 0 is a usual value."""
Direction = Literal["slower", "faster", "more", "less"]
Words = Literal["slower", "faster", "more", "less", "no difference", "cannot tell"]


@dataclass(frozen=True)
class MetricKind:
    """One quantity of a process.

    Attributes:
        name: In options, budgets and JSON.
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
        """The change of each pair on the scale of the decision, positive where B is worse; A is above 0 for a ratio.

        Raises:
            ValueError: The sides do not have as many values.

        Example:
            >>> [round(change, 3) for change in BY_NAME["step_ms"].changes([10.0], [11.0])]
            [0.095]
        """
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
        """State what B is, compared with A."""
        if outcome == "inside":
            return "no difference"
        return "cannot tell" if outcome == "unclear" else self.direction(worse=outcome == "above")

    def words_of(self, compared: Comparison, floor: float) -> Words:
        """State what B is: better or worse where the interval is beyond the floor, on the scale of the decision."""
        return self.words(compared.outcome(floor))

    def rules_out(self, compared: Comparison, floor: float) -> Direction | None:
        """State what B is not, by a floor on the scale of the decision; None where it may be anything."""
        if compared.outcome(floor) != "unclear":
            return None
        if compared.falls_short(floor):
            return self.direction(worse=True)
        return self.direction(worse=False) if compared.mirrored().falls_short(floor) else None

    def direction(self, *, worse: bool) -> Direction:
        """State what a clear change is."""
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
    MetricKind("step_ms", "step interval", "ms", FLOOR, judged=True, is_speed=True),
    MetricKind("elements_per_second", "throughput", "1/s", FLOOR, higher_is_worse=False, is_speed=True),
    MetricKind("wait_ms", "wait per step", "ms", 0.1, scale="difference"),
    MetricKind("idle_share", "idle share", "", 0.01, scale="difference"),
    MetricKind("cpu_ms_per_element", "CPU per element", "ms", FLOOR),
    MetricKind("peak_bytes", "peak memory", "B", FLOOR, judged=True),
    MetricKind("first_batch_s", "first batch after", "s", 0.1, is_speed=True),
    MetricKind("disk_bytes_per_element", "disk per element", "B", 1.0, scale="difference"),
)


def kinds_of(names: Iterable[str]) -> tuple[MetricKind, ...]:
    """All metrics of a session: those of the whole pipeline, then those of single stages.

    Example:
        >>> [kind.title for kind in kinds_of(["step_ms", "stages.decode.time_ms"])][-1]
        'time in decode'
    """
    stages = [(name, stage) for name in names if (stage := stage_of(name)) is not None]
    return (*METRICS, *(_kind_of_stage(name, stage) for name, stage in stages))


def _kind_of_stage(name: str, stage: str) -> MetricKind:
    return MetricKind(name, f"time in {stage}", "ms", FLOOR, is_speed=True)


BY_NAME = {metric.name: metric for metric in METRICS}


def impossible(values: Mapping[str, float]) -> str | None:
    """The first value that no process can have, in words; None if all can be. Unknown names are not looked at.

    Example:
        >>> impossible({"step_ms": 12.5}), impossible({"step_ms": -1.0})
        (None, 'step_ms is -1, expected 0 or 1e-12 to 1e+12 ms')
    """
    for name, value in values.items():
        stage = stage_of(name)
        kind = BY_NAME.get(name) or (_kind_of_stage(name, stage) if stage is not None else None)
        if kind is not None and not kind.holds(value):
            least, most = RANGES[kind.unit]
            expected = f"at most {most:g}" if kind.scale == "difference" else f"0 or {least:g} to {most:g}"
            return f"{name} is {value:g}, expected {expected} {kind.unit}".rstrip()
    return None
