"""What changes keep in memory for later epochs, and the epoch in which a cache fills: pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, PipelineEdit, new_ops
from pipeprof.pipelines.ops.constants import INFINITE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.facts.stages import runs_python
from pipeprof.profiles.document.findings import Kept
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Steps
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.lines import line_of
from pipeprof.profiles.memory.predict.model import cache_overhead_bytes
from pipeprof.profiles.time.whole import whole_batches
from pipeprof.profiles.tries.pace import LEAST_EPOCHS
from pipeprof.profiles.wording import size

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
    steps, edits = profile.steps, tuple(edits)
    filled = {cache or place for place, cache in _filled(profile, edits)}
    filled |= {edit.stage for edit in edits if isinstance(edit, MoveStage) and traits(edit.op).stores}
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


def _filled(profile: Profile, edits: Iterable[PipelineEdit]) -> Iterator[tuple[str | None, str | None]]:
    """For each cache that edits insert, or put a map before: the stage whose elements it keeps, and its own address.

    One that is inserted has none yet.
    """
    caches = {stage.id for stage in profile.stages or () if traits(stage.op).stores}
    for edit in edits:
        if isinstance(edit, InsertStage) and traits(edit.op).stores:
            yield edit.after, None
        elif isinstance(edit, MoveStage) and traits(edit.op).maps and edit.before in caches:
            yield edit.stage, edit.before


def kept_by(profile: Profile, edits: Sequence[PipelineEdit]) -> Kept | None:
    """Return what edits keep in memory for later epochs; None where they keep nothing.

    Args:
        edits: Their addresses are those of the profile's pipeline.
    """
    places = [place for place, _ in _filled(profile, edits)]
    steps = profile.steps
    if not places or steps is None:
        return None
    sample, per_batch = 0.0, 0.0
    for address in places:
        line = line_of(profile, address)
        place = next((number for number, stage in enumerate(line) if stage.id == address), None)
        each = _kept_bytes(line, place) if place is not None else None
        if place is None or each is None:
            return Kept()
        sample += each * (_pass(line, place, steps)[0] or math.nan)
        per_batch += each * (line[place].elements or math.nan) / max(steps.count, 1)
    batches = whole_batches(profile)
    whole = per_batch * batches if batches is not None else math.nan
    return Kept(
        sample_bytes=None if math.isnan(sample) else round(sample), bytes=None if math.isnan(whole) else round(whole)
    )


def why_no_cache(profile: Profile, edits: Sequence[PipelineEdit], limit: int | None) -> str | None:
    """Return why edits that keep elements in memory are no recommendation, in words; None where they may be one.

    Args:
        limit: Memory limit in bytes; None for none.
    """
    kept = kept_by(profile, edits)
    if kept is None:
        return None
    if profile.no_cache and any(traits(op).stores for op in new_ops(edits)):
        return "--no-cache leaves caches out"
    # What is kept is seldom much less than what is stored.
    needed = kept.bytes or (profile.data_size.bytes if profile.data_size is not None else None)
    if needed is None or limit is None or needed + (profile.memory.peak_bytes or 0) <= limit:
        return None
    about = "about " if kept.bytes is None else ""
    return f"a cache of the whole data set takes {about}{size(needed)}, the memory limit is {size(limit)}"


def _kept_bytes(line: Sequence[Stage], place: int) -> float | None:
    """Bytes that an element of a stage takes in a cache, read at a later stage where the stage's own were not seen.

    Each tensor has a block of its own: of many small ones that is most of it.
    """
    for number in range(place, len(line)):
        if number > place and not traits(line[number].op).passes:
            return None
        if (size := line[number].bytes_per_element) is not None:
            return size + cache_overhead_bytes(len(line[number].element_spec or ()) or 1)
    return None


def _pass(line: Sequence[Stage], place: int, steps: Steps) -> tuple[int | None, float]:
    """Elements of one pass over the data at a stage, and passes in the measured window."""
    stage, repeat = line[place], _repeat_to_move(line, place)
    if repeat is None:
        count, epochs = _count(stage, steps), _epochs(stage, steps)
        return (count, epochs) if count is not None else _of_passes(line[place], _passes_seen(line, place))
    first = line.index(repeat)
    if any(traits(one.op).predicate for one in line[first + 1 : place + 1]):
        return _of_passes(stage, _passes_before(line[: first + 1], repeat.elements, steps))
    count = _count(line[first - 1], steps)
    return count, (stage.elements or 0.0) / count if count else 0.0


def _repeat_to_move(line: Sequence[Stage], place: int) -> Stage | None:
    """The stage before another one that repeats the elements, if it can do so after it as well."""
    repeats = [number for number in range(place) if traits(line[number].op).repeats]
    # At the end of a line it is written anew, which is known only where it has no end.
    if len(repeats) != 1 or (place + 1 == len(line) and line[repeats[0]].cardinality != INFINITE):
        return None
    rows = [traits(stage.op) for stage in line[repeats[0] + 1 : place + 1]]
    alone = all(row.maps or row.predicate or row.prefetches or row.shuffles for row in rows)
    return line[repeats[0]] if alone else None


def _of_passes(stage: Stage, passes: float) -> tuple[int | None, float]:
    """Elements of one of so many passes."""
    return math.ceil((stage.elements or 0.0) / passes) or None if passes else None, passes


def _passes_before(line: Sequence[Stage], repeated: int | None, steps: Steps) -> float:
    """Passes of the stage before the last one of a line, which has given so many elements."""
    count = _count(line[-2], steps)
    return (repeated or 0.0) / count if count else 0.0


def _passes_seen(line: Sequence[Stage], place: int) -> float:
    """Passes of a stage of unknown length: those of one after it that is repeated, or of one before it whose is known.

    Only filters and what takes each element alone may be between it and the latter.
    """
    for stage in line[place:]:
        if stage.pass_elements and stage.elements:
            return stage.elements / stage.pass_elements
        if traits(stage.op).repeats:
            break
    for stage in reversed(line[: place + 1]):
        if stage.cardinality is not None and stage.cardinality > 0 and stage.elements:
            return stage.elements / stage.cardinality
        row = traits(stage.op)
        if not (row.maps or row.predicate or row.prefetches or row.shuffles):
            break
    return 0.0


def _epochs(stage: Stage, steps: Steps) -> float:
    """Passes over a stage's elements in the measured window, whether the loop or the pipeline repeats them.

    Part of a pass, where the elements of a whole one are known.
    """
    count = stage.cardinality if stage.cardinality is not None else stage.pass_elements
    if steps.epochs >= LEAST_EPOCHS or not count or count < 0:
        return steps.passes
    return (stage.elements or 0.0) / count


def _count(stage: Stage, steps: Steps) -> int | None:
    """Elements of one pass, as seen where the graph does not have it; None without end, and where neither is known."""
    if stage.cardinality is not None:
        return stage.cardinality if stage.cardinality > 0 else None
    if stage.pass_elements is not None or steps.epochs < LEAST_EPOCHS or not stage.elements:
        return stage.pass_elements
    # Without the length of an epoch, one of those that were counted may be in part.
    return math.ceil(stage.elements / (steps.passes if steps.epoch_steps else steps.epochs - 1))
