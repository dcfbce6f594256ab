"""The search for the commit that has made a pipeline worse: which one to look at next, and what a session says of it.

A commit is held against GOOD, and against half of what BAD differs from it by: that is as far from both ends as there
is, so the fewest pairs say which of the two a commit is like, and of several causes the search ends at the one that
takes the pipeline across the middle.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pipeprof.profiles.experiment import decision
from pipeprof.profiles.judge.verdicts.result import Metric, StageChange
from pipeprof.profiles.judge.verdicts.tabulate import Judged


@dataclass
class CommitSearch:
    """Commits between a good one and a bad one.

    Attributes:
        bad: Place of the first one that is known to be bad; places are from 0, which is good.
        good: Place of the last one that is known to be good.
        skipped: Places of those that cannot be measured.
    """

    bad: int
    good: int = 0
    skipped: set[int] = field(default_factory=set)

    def following(self) -> int | None:
        """The place to look at next: the middle, or what can be measured next to it; None where nothing is left."""
        middle = (self.good + self.bad) // 2
        left = [place for place in range(self.good + 1, self.bad) if place not in self.skipped]
        return min(left, key=lambda place: (abs(place - middle), place), default=None)

    def tell(self, place: int, *, is_bad: bool | None) -> None:
        """Note what a place is; None where it cannot be measured."""
        if is_bad is None:
            self.skipped.add(place)
        elif is_bad:
            self.bad = place
        else:
            self.good = place

    @property
    def candidates(self) -> range:
        """The places that the first bad one may be."""
        return range(self.good + 1, self.bad + 1)


def main_failure(rows: Sequence[Metric]) -> Metric | None:
    """Of the metrics that have regressed against A, the first one: those of speed stand before memory."""
    return next(
        (row for row in rows if row.verdict == "regressed" and row.level == "error" and row.limit is None), None
    )


def half_of(row: Metric) -> Judged:
    """What a commit is held against: half of the change of a metric, on the scale of the decision."""
    change = row.change or 1.0
    if row.scale == "difference":
        return Judged(floor=abs(change) / 2)
    return Judged(floor=math.expm1(abs(math.log(change)) / 2))


def is_bad(rows: Sequence[Metric], names: Collection[str]) -> bool | None:
    """What a session says of a commit, by its first row of one of the names; None where it cannot tell."""
    row = next((one for one in rows if one.name in names and one.level != "off"), None)
    verdicts: Mapping[decision.Verdict, bool | None] = {"regressed": True, "not regressed": False, "cannot tell": None}
    return verdicts[row.verdict] if row is not None else None


def stage_of_changes(changes: Sequence[str], stages: Sequence[StageChange]) -> str | None:
    """The stage that a change in words is about, else the one whose work has changed most.

    Example:
        >>> stage_of_changes(["stages.decode.num_parallel_calls: 4 → 1"], [])
        'decode'
        >>> stage_of_changes(["map.num_parallel_calls: 2 → 1"], [])
        'map'
    """
    for change in changes:
        path, colon, _ = change.partition(": ")
        parts = path.removeprefix("stages.").split(".")
        named = [stage.name for stage in stages if stage.name in parts]
        if named:
            return named[0]
        if colon and (len(parts) > 1 or path != parts[0]) and " " not in path:
            return parts[0]
    grown = [stage for stage in stages if stage.b_cpu_ms_per_batch is not None]
    most = max(grown, key=_growth, default=None)
    return most.name if most is not None and _growth(most) > 0 else None


def _growth(stage: StageChange) -> float:
    return (stage.b_cpu_ms_per_batch or 0.0) - (stage.a_cpu_ms_per_batch or 0.0)
