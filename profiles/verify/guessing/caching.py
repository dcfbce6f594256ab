"""Where a cache would keep what a pipeline makes anew in each epoch: pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pipeprof.pipelines.addresses import pipeline_of
from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, PipelineEdit, ReplaceStages, new_ops
from pipeprof.pipelines.ops.constants import INFINITE
from pipeprof.pipelines.ops.executed_ops import executed
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.findings import Kept
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Steps
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.lines import line_of, lines_of, within
from pipeprof.profiles.memory.predict.model import cache_overhead_bytes
from pipeprof.profiles.propose.proposal import Proposal, Semantics
from pipeprof.profiles.time.whole import whole_batches
from pipeprof.profiles.verify.plan import LEAST_EPOCHS
from pipeprof.profiles.verify.stages import runs_python
from pipeprof.profiles.wording import size, stage_name

Caches: TypeAlias = Callable[[Sequence[Stage], int], Iterable[Proposal]]
"""Caches of what the stage at a place of a line gives, or a later one."""
LONGEST_EPOCH = 1.5
"""Seconds of an epoch that is over when the warm-up of a trial is."""
EPOCH_SHARE = 0.15
"""Of the budget that an epoch may take: both processes of a trial go through a whole one before they are measured."""
PYTHON_EPOCH = 0.75
"""Length of an epoch that Python makes, as a part of the longest of others."""
BEYOND_EPOCH = 1.1
"""Warm-up of a pipeline with a cache, in epochs: what was counted of an epoch may lack some elements."""
CACHE_SHARE = 0.25
"""Of the memory limit that the caches of a trial may take."""

MIXED_SHARE = 0.5
"""Of the elements of an epoch that a later shuffle holds, from which no other one is needed after a cache."""


@dataclass(frozen=True)
class CachePoint:
    """A stage after which the pipeline can keep its elements.

    Attributes:
        edits: What to insert after it.
        shuffle: Buffer of the shuffle that comes after the cache; None where one is there, or none is needed.
        repeat: The stage that repeats the elements before the cache, which then does so after it; None without one.
    """

    stage: Stage
    edits: tuple[PipelineEdit, ...]
    shuffle: int | None
    semantics: Semantics
    repeat: Stage | None = None


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


def longest_epoch(budget: float) -> float:
    """Seconds of an epoch up to which a cache is tried, of the seconds that all tries may take."""
    return max(LONGEST_EPOCH, EPOCH_SHARE * budget)


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


def stages_kept(edits: Iterable[PipelineEdit], stages: Iterable[Stage]) -> set[str]:
    """Return the stages up to the caches that edits insert: all that these save."""
    lines, found = lines_of(stages), set[str]()
    for edit in edits:
        if isinstance(edit, InsertStage) and edit.after is not None and traits(edit.op).stores:
            line = [stage.id for stage in lines.get(pipeline_of(edit.after), [])]
            found.update(line[: line.index(edit.after) + 1] if edit.after in line else ())
    return found


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


def cache_point(
    profile: Profile, line: Sequence[Stage], place: int, limit: int | None, longest: float = LONGEST_EPOCH
) -> CachePoint | None:
    """Return where to keep what a stage makes, as late as possible; None where that is not finite, short and constant.

    A trial measures epochs that read the cache: the first one must be over when it begins. Where elements were shuffled
    before, they are shuffled after the cache instead, so that no epoch has the order of another one. Where they were
    repeated before, they are repeated after it: else it would grow without end.

    Args:
        line: Its main line, or one of those that a stage joins.
        limit: Memory limit in bytes; None for none.
        longest: Seconds of an epoch that a trial can wait for.
    """
    steps = profile.steps
    if steps is None or any(traits(one.op).stores for one in line):
        return None
    before = _up_to(profile, line, place)
    shuffled = any(_shuffles(one) for one in before)
    own = {stage.id for stage in line}
    inside = any(_shuffles(one) and one.id not in own for one in before)
    repeat = _repeat_to_move(line, place)
    others = [one for one in before if one is not repeat]
    if inside or any(_differs(one) or (shuffled and _depends_on_order(one)) for one in others):
        return None
    if any(runs_python(one) for one in before):
        # A trial goes through two more, to compare them.
        longest *= PYTHON_EPOCH
    last = place
    # A batch may end with the last element of an epoch, and one after a `repeat` does not; nor does what is dropped
    # by its position stay the same in another order.
    in_order = not shuffled and repeat is None
    for number in _following(line, place, in_order=in_order):
        if _fits(line, number, steps, limit, longest):
            last = number
    if in_order and _dropped_next(line, last):
        return None
    stage = line[last]
    if last == place and not _fits(line, place, steps, limit, longest):
        return None
    count = _pass(line, last, steps)[0] or 1
    again = _shuffled_again(line, last, count) if shuffled else None
    edits = _kept_after(stage, again, repeat, line[last + 1] if last + 1 < len(line) else None)
    return CachePoint(stage, edits, again, "order" if shuffled else "same", repeat)


def _kept_after(
    stage: Stage, shuffle: int | None, repeat: Stage | None, following: Stage | None
) -> tuple[PipelineEdit, ...]:
    """A cache after a stage, then a shuffle, and then what repeats the elements before it."""
    shuffled = (InsertStage("shuffle", {"buffer_size": shuffle}, stage.id),) if shuffle is not None else ()
    cached = (InsertStage("cache", {}, stage.id), *shuffled)
    if repeat is None:
        return cached
    if following is not None:
        return (MoveStage(repeat.id, repeat.op, following.id), *cached)
    return (ReplaceStages((repeat.id,)), *cached, InsertStage(repeat.op, {}, stage.id))


def cache_in_words(point: CachePoint) -> str:
    """What changes at a place of a cache, for the report."""
    name, again = stage_name(point.stage), f"shuffle(buffer_size={point.shuffle})"
    what = "cache()" if point.shuffle is None else f"cache() and {again}"
    moved = ""
    if point.repeat is not None:
        moved = f", move {stage_name(point.repeat)} after {'it' if point.shuffle is None else 'them'}"
    return f"insert {what} after {name}{moved}"


def maps_to_cache(
    profile: Profile, line: Sequence[Stage], place: int, limit: int | None, longest: float = LONGEST_EPOCH
) -> tuple[Stage, tuple[Stage, ...]] | None:
    """Return a cache, and the maps after it whose results it can keep as well, up to a place; None without.

    The maps give the same for the same element, and nothing between the cache and them but shuffles, repeats and
    prefetches: moved before it, they make the same elements, in the same order, in the first epoch alone.

    Args:
        limit: Memory limit in bytes; None for none.
        longest: Seconds of an epoch that a trial can wait for.
    """
    steps, caches = profile.steps, [number for number, stage in enumerate(line[:place]) if traits(stage.op).stores]
    if steps is None or len(caches) != 1:
        return None
    cache, between = line[caches[0]], line[caches[0] + 1 : place + 1]
    maps = tuple(stage for stage in between if traits(stage.op).maps)
    rows = [traits(stage.op) for stage in between if stage not in maps]
    if not all(row.shuffles or row.repeats or row.prefetches for row in rows):
        return None
    if not maps or any(stage.random is not False or runs_python(stage) for stage in maps):
        return None
    count = _count(cache, steps) or 0
    seconds = _epoch_seconds(steps, (line[place].elements or 0.0) / count if count else 0.0)
    return (cache, maps) if _is_small(count * (_kept_bytes(line, place) or 0.0), seconds, limit, longest) else None


def _repeat_to_move(line: Sequence[Stage], place: int) -> Stage | None:
    """The stage before another one that repeats the elements, if it can do so after it as well."""
    repeats = [number for number in range(place) if traits(line[number].op).repeats]
    # At the end of a line it is written anew, which is known only where it has no end.
    if len(repeats) != 1 or (place + 1 == len(line) and line[repeats[0]].cardinality != INFINITE):
        return None
    rows = [traits(stage.op) for stage in line[repeats[0] + 1 : place + 1]]
    alone = all(row.maps or row.predicate or row.prefetches or row.shuffles for row in rows)
    return line[repeats[0]] if alone else None


def _up_to(profile: Profile, line: Sequence[Stage], place: int) -> list[Stage]:
    """The stages of a line up to a place, and those inside them."""
    before = line[: place + 1]
    stages = [one for one in profile.stages or () if one.origin == "written"]
    return [one for one in stages if any(one is stage or within(one.id, stage.id) for stage in before)]


def _shuffles(stage: Stage) -> bool:
    """Whether it gives its elements in another order in each epoch; `list_files` does so with the names of files."""
    return traits(stage.op).shuffles or (stage.tf_op is not None and traits(executed(stage.tf_op).op).shuffles)


def _differs(stage: Stage) -> bool:
    """Whether its elements may be others in the next epoch; of what Python makes, two epochs are compared."""
    row = traits(stage.op)
    draws = row.function is not None and stage.random is not False
    reorders = row.reorders and not row.shuffles
    seen = runs_python(stage) and stage.random is not True
    unknown = (draws or reorders) and not seen
    return unknown or row.opaque or row.stores or row.repeats or row.loads_batches is not None


def _depends_on_order(stage: Stage) -> bool:
    """Whether which elements it gives, or what they are made of, depends on the order of those that it gets."""
    row = traits(stage.op)
    alone = row.function is None or row.maps or row.predicate or row.opens
    return (row.regroups and not row.opens) or (row.drops and row.by_position) or not alone


def _dropped_next(line: Sequence[Stage], place: int) -> bool:
    """Whether the elements of a stage are dropped next by their position: a cache there may never be complete."""
    after = next((stage for stage in line[place + 1 :] if not traits(stage.op).prefetches), None)
    return after is not None and traits(after.op).drops and traits(after.op).by_position


def _following(line: Sequence[Stage], place: int, *, in_order: bool) -> Iterator[int]:
    """Places behind a stage whose elements are the same in each epoch as well, without a shuffle in between."""
    for number in range(place + 1, len(line)):
        stage, row = line[number], traits(line[number].op)
        alone = (row.maps or row.predicate) and stage.random is False and not runs_python(stage)
        if alone or (in_order and (row.stacks or (row.drops and row.by_position))):
            yield number
        elif not row.prefetches:
            return


def _shuffled_again(line: Sequence[Stage], place: int, count: int) -> int | None:
    """Buffer of the shuffle after a cache of so many elements; None where a later one is enough.

    Single elements that were shuffled before are shuffled as far as they were, others among all of them.
    """
    if _is_shuffled_later(line[place + 1 :], count):
        return None
    singly = 0
    for stage in line[: place + 1]:
        if traits(stage.op).regroups:
            singly = 0
        elif stage.shuffle is not None:
            singly += stage.shuffle.buffer_size or 0
    return min(singly or count, count)


def _is_shuffled_later(line: Sequence[Stage], count: int) -> bool:
    """Whether single elements are shuffled at a later stage, in a buffer that holds much of an epoch."""
    for stage in line:
        if traits(stage.op).shuffles:
            return (stage.buffered_elements or 0.0) >= MIXED_SHARE * count
        if traits(stage.op).regroups:
            return False
    return False


def _fits(line: Sequence[Stage], place: int, steps: Steps, limit: int | None, longest: float) -> bool:
    """Whether an epoch of what a stage gives is short, and small enough."""
    count, epochs = _pass(line, place, steps)
    size = (count or 0) * (_kept_bytes(line, place) or 0.0)
    return _is_small(size, _epoch_seconds(steps, epochs), limit, longest)


def _is_small(size: float, seconds: float, limit: int | None, longest: float) -> bool:
    """Whether elements of so many bytes, 0 if unknown, may be kept after an epoch of so many seconds."""
    # Two processes of a trial hold it, in addition to their pipelines.
    return size > 0 and seconds <= longest and (limit is None or 2 * size <= CACHE_SHARE * limit)


def _epoch_seconds(steps: Steps, epochs: float) -> float:
    """Seconds of an epoch, of so many in the measured window."""
    return steps.count * (steps.interval_ms.mean or 0.0) / 1e3 / epochs if epochs else math.inf


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


def pass_count(line: Sequence[Stage], place: int, steps: Steps) -> int | None:
    """Elements of one pass over the data at a stage; None if unknown, or without end."""
    return _pass(line, place, steps)[0]


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
