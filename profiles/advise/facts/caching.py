"""What changes keep in memory for later epochs, and the epoch in which a cache fills: pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, PipelineEdit, new_ops
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.facts.stages import runs_python
from pipeprof.profiles.lines import line_of
from pipeprof.profiles.wording import size

if TYPE_CHECKING:
    from pipeprof.profiles.advise.proposal import Proposal
    from pipeprof.profiles.document.findings import Finding
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.shared import Steps
    from pipeprof.profiles.document.stages import Stage

LEAST_EPOCHS = 3
"""Epochs in the measured run, from which the length of one is known by counting."""
LONGEST_EPOCH = 1.5
"""Seconds of an epoch that is over when the warm-up of a trial is."""
BEYOND_EPOCH = 1.1
"""Warm-up of a pipeline with a cache, in epochs: what was counted of an epoch may lack some elements."""


@dataclass(frozen=True)
class Filling:
    """What a pipeline with a cache does before it reads the cache.

    Attributes:
        steps: Of the epoch in which it fills; 0 where there is no cache to fill.
        seconds: Of that epoch, as long as the pipeline takes without a cache.
        compares: Two further epochs are compared before it.
    """

    steps: int = 0
    seconds: float = 0.0
    compares: bool = False

    @property
    def trial_seconds(self) -> float:
        """Seconds by which both processes of a trial are longer."""
        return (4 if self.compares else 2) * self.seconds


def filling(profile: Profile, edits: Iterable[PipelineEdit]) -> Filling:
    """Return the epoch in which a cache fills, where edits insert or move one, or move work before it.

    Args:
        edits: Of a finding, or several steps of a search.
    """
    steps, filled = profile.steps, _filled(profile, edits)
    if steps is None or not filled:
        return Filling()
    # Each of several caches must be full.
    passes = min(max((_epochs(stage, steps) for stage in line_of(profile, place)), default=0.0) for place in filled)
    if not passes:
        return Filling()
    longest = steps.count / passes
    seconds = longest * (steps.interval_ms.mean or 0.0) / 1e3
    # Addresses of later edits are those of the edited pipeline: wherever Python runs, it may be before the cache.
    python = any(runs_python(stage) for stage in profile.stages or ())
    return Filling(math.ceil(BEYOND_EPOCH * longest), seconds, python)


def _filled(profile: Profile, edits: Iterable[PipelineEdit]) -> set[str | None]:
    """The caches that edits put something into, and the stages whose elements a new one keeps."""
    caches = {stage.id for stage in profile.stages or () if traits(stage.op).stores}
    found: set[str | None] = set()
    for edit in edits:
        if isinstance(edit, InsertStage) and traits(edit.op).stores:
            found.add(edit.after)
        elif isinstance(edit, MoveStage) and traits(edit.op).stores:
            found.add(edit.stage)
        elif isinstance(edit, MoveStage) and traits(edit.op).maps and edit.before in caches:
            found.add(edit.before)
    return found


def _epochs(stage: Stage, steps: Steps) -> float:
    """Passes over a stage's elements in the measured window, whether the loop or the pipeline repeats them.

    Part of a pass, where the elements of a whole one are known.
    """
    count = stage.cardinality if stage.cardinality is not None else stage.pass_elements
    if steps.epochs >= LEAST_EPOCHS or not count or count < 0:
        return steps.passes
    return (stage.elements or 0.0) / count


def why_no_cache(profile: Profile, change: Proposal | Finding, limit: int | None) -> str | None:
    """Return why a change that keeps elements in memory is no recommendation, in words; None where it may be one.

    Args:
        limit: Memory limit in bytes; None for none.
    """
    kept = change.cache
    if kept is None:
        return None
    if profile.no_cache and any(traits(op).stores for op in new_ops(change.edits)):
        return "--no-cache leaves caches out"
    # What is kept is seldom much less than what is stored.
    needed = kept.bytes or (profile.data_size.bytes if profile.data_size is not None else None)
    if needed is None or limit is None or needed + (profile.memory.peak_bytes or 0) <= limit:
        return None
    about = "about " if kept.bytes is None else ""
    return f"a cache of the whole data set takes {about}{size(needed)}, the memory limit is {size(limit)}"
