"""A map divided before its random ops, with a cache between the two parts: pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import OpCost, Stage
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.verify.guessing.caching import cache_point
from pipeprof.profiles.verify.stages import runs_python
from pipeprof.profiles.wording import listed, stage_name

STEADY_FROM = 0.1
"""Share of the pipeline's work from which what a map does without random numbers is worth a cache."""
_NAMED = 3
_MINOR = frozenset({"Cast", "ConcatV2", "ExpandDims", "Pack", "Reshape", "Shape", "Slice", "Squeeze", "StridedSlice"})
"""Ops that do not identify a line of code."""


def steady_part(stage: Stage) -> list[OpCost]:
    """Return the measured ops of a map that do not depend on its random numbers, the costliest first; none for others.

    Example:
        >>> ops = [OpCost(op="RandomUniform", ms_per_batch=1), OpCost(op="DecodeJpeg", ms_per_batch=9)]
        >>> steady_part(Stage(id="stages.0", origin="written", op="map", ops=ops, steady_ops=["DecodeJpeg"]))
        [OpCost(op='DecodeJpeg', ms_per_batch=9.0)]
    """
    if not stage.steady_ops or not traits(stage.op).maps or runs_python(stage):
        return []
    found = [op for op in stage.ops or () if op.op in stage.steady_ops and op.ms_per_batch > 0]
    return sorted(found, key=lambda op: -op.ms_per_batch)


def steady_share(stage: Stage) -> float:
    """Return the part of a map's measured time that its ops without random numbers have, 0 to 1; 0 where unknown."""
    whole = _whole(stage)
    return sum(op.ms_per_batch for op in steady_part(stage)) / whole if whole else 0.0


def _whole(stage: Stage) -> float:
    return max(stage.active_ms or 0.0, sum(op.ms_per_batch for op in stage.ops or ()))


def steady_words(stage: Stage) -> str:
    """Name the ops of a map that do not depend on its random numbers, with their shares of its time; empty for none."""
    ops = [op for op in steady_part(stage) if op.op not in _MINOR][:_NAMED]
    if not ops:
        return ""
    whole = _whole(stage)
    names = listed([f"{op.op} {_percent(op.ms_per_batch / whole)}" for op in ops])
    if not ops[1:]:
        return f"{names} of its time, does not depend on its random numbers"
    # The sum of what is printed: of rounded shares it may be another than the rounded sum.
    together = _percent(sum(round(op.ms_per_batch / whole, 2) for op in ops))
    return f"{names}, together {together} of its time, do not depend on its random numbers"


def _percent(share: float) -> str:
    """As the line of what is inside a stage has it."""
    return f"{share:.0%}".replace("%", " %")


def divided(profile: Profile, line: Sequence[Stage], place: int, limit: int | None, longest: float) -> Proposal | None:
    """Return the map at a place with a cache before its random ops; None where that keeps little or cannot be.

    Args:
        line: The stages in the order of the data.
        limit: Memory limit in bytes; None for none.
        longest: Seconds of an epoch that a trial can wait for.
    """
    stage = line[place]
    if steady_share(stage) * (stage.share or 0.0) < STEADY_FROM:
        return None
    point = cache_point(profile, line, place, limit, longest, half=True)
    if point is None:
        return None
    name = stage_name(stage)
    kept = "cache()" if point.shuffle is None else f"cache().shuffle({point.shuffle})"
    moved = f", move {stage_name(point.repeat)} after it" if point.repeat is not None else ""
    return Proposal(
        f"Divide {name} before its random ops, cache there",
        f"two maps instead of {name}, {kept} between them{moved}: pays off from the second epoch; "
        f"{steady_words(stage)}",
        point.edits,
        point.semantics,
        stage=stage.id,
        python=(
            f"# {in_first_words(stage)}\ndataset = dataset.map(part_without_random_ops, num_parallel_calls="
            f"tf.data.AUTOTUNE).{kept}\ndataset = dataset.map(random_part, num_parallel_calls=tf.data.AUTOTUNE)"
        ),
    )


def in_first_words(stage: Stage) -> str:
    """State which ops go into the first map."""
    names = [op.op for op in steady_part(stage) if op.op not in _MINOR]
    return f"the first map: {', '.join(dict.fromkeys(names))}, and keep narrow types (uint8) in what it returns"
