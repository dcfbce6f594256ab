"""Which edits are alternatives of each other, and whether one of them is enough: pure functions.

Two edits that set the same argument, or that put the same stage in another place, are two ways to the same end: once
one of them helps, the other one is no further gain. What an edit replaces is not there for another one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveFilter,
    MoveStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseMap,
    stages_of,
)
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.decision import LEAST_GAIN, SPEED_FLOOR
from pipeprof.profiles.experiment.evidence import MEMORY_BYTES

PLACE = "place"
CLEARLY_MORE = 1.2
"""Predicted over measured speed, from which another way to the same end is tried as well."""


def kept_of(profile: Profile) -> list[Finding]:
    """The findings of a profile whose edits have been kept."""
    return [finding for finding in profile.findings or () if finding.status == "kept"]


def are_alternatives(one: Finding, other: Finding) -> bool:
    """Whether the edits of two findings change the same thing."""
    return are_alternative_edits(one.edits, other.edits)


def are_alternative_edits(one: Sequence[PipelineEdit], other: Sequence[PipelineEdit]) -> bool:
    """Whether edits change the same thing as others."""
    if not _changed(one).isdisjoint(_changed(other)):
        return True
    return not (_replaced(one).isdisjoint(_touched(other)) and _replaced(other).isdisjoint(_touched(one)))


def is_alternative(finding: Finding, kept: Iterable[Finding]) -> bool:
    """Whether a finding's edits change what those of another one have changed already."""
    return any(are_alternatives(finding, other) for other in kept)


def builds_on(finding: Finding, other: Finding) -> bool:
    """Whether a finding makes all edits of another one, and more."""
    edits, fewer = (list(map(str, one.edits)) for one in (finding, other))
    return 0 < len(fewer) < len(edits) and set(fewer) <= set(edits)


def inserts_alike(one: Finding, other: Finding) -> bool:
    """Whether two findings do nothing but insert the same ops at the same places, with whatever arguments."""
    return _inserted(one) == _inserted(other) != frozenset()


def is_worth_a_try(finding: Finding, kept: Iterable[Finding]) -> bool:
    """Whether nothing that was kept changes the same, or the edits are expected to give clearly more than that.

    Edits that go on from what was kept are tried wherever they are not expected to give less.
    """
    others = [other for other in kept if are_alternatives(finding, other)]
    expected = finding.predicted.speedup if finding.predicted is not None else None
    for other in others:
        speed = _measured(other, "speedup")
        least = speed if builds_on(finding, other) else CLEARLY_MORE * speed
        if expected is None and builds_on(finding, other):
            continue
        if (expected or 0.0) <= least:
            return False
    return True


def without_alternatives(kept: Sequence[Finding]) -> list[Finding]:
    """The findings that can be made together, the fastest of each group of alternatives."""
    chosen: list[Finding] = []
    for finding in sorted(kept, key=lambda one: -_measured(one, "speedup")):
        if not is_alternative(finding, chosen):
            chosen.append(finding)
    return [finding for finding in kept if finding in chosen]


def enough_alone(together: Finding, parts: Sequence[Finding]) -> Finding | None:
    """Return the first of the parts that alone does as well as all of them together.

    All together are not faster for certain, and save no more where one of them is for memory. Where one is faster than
    all together, that is enough if speed is what they are for.

    Args:
        parts: What it consists of, as measured; each on its own.

    Returns:
        `None` where each part is slower for certain, or saves less by more than what is called a gain.
    """
    for_memory = any(one.family == "memory" for one in (together, *parts))
    return next((part for part in parts if not _is_better(together, part, for_memory=for_memory)), None)


def _is_better(one: Finding, other: Finding, *, for_memory: bool) -> bool:
    if one.family == "speed" and _measured(other, "speedup") > LEAST_GAIN * _measured(one, "speedup"):
        return False
    saved = _measured(other, "peak_rss_delta_bytes") - _measured(one, "peak_rss_delta_bytes")
    return _is_faster(one, other) or (for_memory and saved >= MEMORY_BYTES)


def _is_faster(one: Finding, other: Finding) -> bool:
    """Whether one change is faster than another one for certain, both measured against the same pipeline.

    Their ratio has an interval as well. The trials are apart: of the logarithms, the halves of both intervals add up
    as squares. What is between two changes counts as what is between a change and the pipeline does.
    """
    speed, speed_of_other = _measured(one, "speedup"), _measured(other, "speedup")
    if not speed or not speed_of_other:
        return False
    return math.log(speed / speed_of_other) - math.hypot(_half(one), _half(other)) > SPEED_FLOOR


def _half(finding: Finding) -> float:
    """Half the interval of a speed-up, as a logarithm; infinite where nothing says how well it is known."""
    low, high = _measured(finding, "low"), _measured(finding, "high")
    return math.log(high / low) / 2 if low > 0 and high > 0 else math.inf


def _measured(finding: Finding, name: str) -> float:
    return float((finding.measured or {}).get(name) or 0.0)


def _inserted(finding: Finding) -> frozenset[tuple[str | None, str]]:
    inserts = [edit for edit in finding.edits if isinstance(edit, InsertStage)]
    return frozenset((edit.after, edit.op) for edit in inserts if len(inserts) == len(finding.edits))


def _replaced(edits: Sequence[PipelineEdit]) -> frozenset[str]:
    return frozenset(name for edit in edits if isinstance(edit, ReplaceStages) for name in edit.stages)


def _touched(edits: Sequence[PipelineEdit]) -> frozenset[str]:
    """The stages that edits change, or insert others after."""
    return stages_of(edits) | {edit.after for edit in edits if isinstance(edit, InsertStage) and edit.after is not None}


def _changed(edits: Sequence[PipelineEdit]) -> frozenset[tuple[str, str]]:
    """What edits change: a stage or ``""``, and its argument, its place, or an option."""
    return frozenset(part for edit in edits for part in _parts(edit))


def _parts(edit: PipelineEdit) -> Iterable[tuple[str, str]]:
    match edit:
        case SetArgument(stage=stage, argument=name):
            found = [(stage, name)]
        case SetOption(path=name) | SetEnvironment(variable=name):
            found = [("", name)]
        case InsertStage(after=stage, op=name):
            found = [(stage or "", name)]
        case MoveStage(stage=stage) | MoveFilter(stage=stage):
            found = [(stage, PLACE)]
        case VectoriseMap(stage=stage, batch=batch):
            found = [(stage, PLACE), (batch, PLACE)]
        case ReplaceStages(stages=stages):
            found = [(stage, PLACE) for stage in stages]
        case _:
            found = []
    return found
