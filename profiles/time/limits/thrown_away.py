"""Work whose results are thrown away: costly stages before one that drops many of their elements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.lines import line_of, stages_around
from pipeprof.profiles.time.limits.user_calls import dropping_calls
from pipeprof.profiles.time.top_stage import are_twins
from pipeprof.profiles.wording import percent, stage_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage

LOST_FROM = 0.10
"""Share of the pipeline's work from which it matters that its results are thrown away."""
WHOLE_FROM = 1.5
"""Elements that go in for one that comes out from which they are stated as numbers, and not as a share."""
_ROUND = 0.05
"""Difference from a whole number up to which it is one, of those counted in the middle of the work."""


@dataclass(frozen=True)
class ThrownAway:
    """Work before a stage that drops elements.

    Attributes:
        stage: The costliest stage before it.
        dropped_by: The stage that drops elements.
        lost: Share that is dropped of the elements that `stage` makes, and its copies in other branches.
        share: Share of the pipeline's work whose results are dropped there, and at the other stages of its line of
            code: each branch of a loop has one.
    """

    stage: Stage
    dropped_by: Stage
    lost: float
    share: float


def find_thrown_away(profile: Profile) -> list[ThrownAway]:
    """Find work whose results are thrown away, the most first."""
    stages = profile.stages or []
    calls = {one: call for call in dropping_calls(stages) if call.last.inputs_each for one in call.members}
    found: dict[object, ThrownAway] = {}
    dropped: dict[object, float] = {}
    counted: set[tuple[object, str]] = set()
    for dropper in stages:
        call = calls.get(dropper.id)
        each = (call.last if call is not None else dropper).inputs_each
        if not traits(dropper.op).drops or each is None or each <= 1:
            continue
        before = _up_to(profile, call.fed_by if call is not None else _previous(profile, dropper))
        lost = 1 - 1 / each
        share = lost * sum(map(_share, before))
        if share > 0:
            key = (dropper.op, str(dropper.location)) if dropper.location is not None else dropper.id
            named = dropper.model_copy(update={"inputs_each": each})
            costliest = max(before, key=_share)
            other = found.setdefault(key, ThrownAway(costliest, named, lost, 0.0))
            # What all stages of one call drop is counted once.
            once = (key, call.last.id if call is not None else dropper.id)
            if once not in counted:
                counted.add(once)
                found[key] = replace(other, share=min(1.0, other.share + share))
                gone = sum(stage.elements or 0 for stage in before if are_twins([costliest, stage]))
                dropped[key] = dropped.get(key, 0.0) + lost * gone
    for place, lost_elements in dropped.items():
        made = [stage for stage in stages if are_twins([found[place].stage, stage])]
        whole = sum(stage.elements or 0 for stage in made)
        if len(made) > 1 and 0 < lost_elements < whole:
            found[place] = replace(found[place], lost=lost_elements / whole)
    return sorted((one for one in found.values() if one.share >= LOST_FROM), key=lambda one: -one.share)


def _share(stage: Stage) -> float:
    return stage.share or 0.0


def _previous(profile: Profile, stage: Stage) -> Sequence[Stage]:
    line = line_of(profile, stage.id)
    return line[: line.index(stage)][-1:] if stage in line else []


def _up_to(profile: Profile, ends: Sequence[Stage]) -> Sequence[Stage]:
    """Stages with those before them, those inside of them as well."""
    before: set[str] = set()
    for end in ends:
        line = [stage.id for stage in line_of(profile, end.id)]
        before.update(line[: line.index(end.id) + 1])
    return [
        stage
        for stage in profile.stages or []
        if stage.origin == "written" and not before.isdisjoint([stage.id, *stages_around(stage.id)])
    ]


def describe_thrown_away(profile: Profile) -> str:
    """State the work that is thrown away most, without a full stop; empty where there is little.

    Example:
        ``of 4 elements that tokenize (map, load.py:30) makes, 3 are dropped by shard (load.py:31): 74 % of all work``
    """
    for found in find_thrown_away(profile)[:1]:
        share = f"{percent(found.share)} of the pipeline's work"
        return f"{_dropped(found)} {stage_label(found.dropped_by)}: {share}"
    return ""


def _dropped(found: ThrownAway) -> str:
    each = 1 / (1 - found.lost)
    about = "" if found.dropped_by.inputs_each_by == "graph" else "about "
    if each < WHOLE_FROM:
        return f"{about}{percent(found.lost)} of the elements that {stage_label(found.stage)} makes are dropped by"
    near = abs(each - round(each)) <= _ROUND * each
    times = 1 if near else 10 if each < 10 else 1
    of, left = round(each * times), round(each * times) - times
    return f"of {about}{of:,} elements that {stage_label(found.stage)} makes, {left:,} are dropped by"
