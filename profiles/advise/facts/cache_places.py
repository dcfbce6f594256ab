"""Where a cache may stand, what it can keep in addition, and where its elements are smaller."""

from __future__ import annotations

import glob
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeprof.pipelines.addresses import pipeline_of
from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, NewStage, PipelineEdit, ReplaceStages
from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.pipelines.meaning.executed_ops import executed
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.facts.byte_gate import EarlierPlace, in_function, nothing_to_keep, places_below, weigh
from pipeprof.profiles.advise.facts.caching import LEAST_EPOCHS
from pipeprof.profiles.advise.facts.work import (
    MUCH_WORK,
    after,
    before,
    inside,
    is_plain,
    is_random,
    line_of,
    runs_python,
    share_of,
)
from pipeprof.profiles.advise.proposal import Semantics
from pipeprof.profiles.constants import CACHE_OVERHEAD_BYTES
from pipeprof.profiles.document.findings import Kept
from pipeprof.profiles.lines import is_outside_functions
from pipeprof.profiles.memory.predict import cache_overhead
from pipeprof.profiles.time.flow import whole_batches
from pipeprof.profiles.view.view import PipelineView, StageView

CACHE_SHARE: Final = 0.25
"""Of the memory limit that the caches of a trial may take, which leaves room for everything else."""
MIXED_SHARE: Final = 0.5
"""Of the elements of an epoch that a later shuffle holds, from which no other one is needed after a cache."""
SMALLER: Final = 4
"""Times that a cached element is larger than before the maps before the cache: less saves little by running these."""
ENCODED: Final = 0.15
"""Of the bytes of a picture that its JPEG file takes at most."""


@dataclass(frozen=True)
class CachePlace:
    """A stage after which the pipeline can keep its elements, and the edits that do it."""

    stage: StageView
    edits: tuple[PipelineEdit, ...]
    semantics: Semantics


def kept_after(view: PipelineView, stage: StageView) -> CachePlace | None:
    """Return where to keep what a stage makes, as late as possible; None where that has no end or differs by epoch.

    What was shuffled before is shuffled after the cache instead, so that no epoch has the order of another one; what
    was repeated before is repeated after it: else the cache would grow without end. Python is taken to give the same:
    a trial compares two epochs.
    """
    stage = _outside_functions(view, stage)
    line = line_of(view, stage)
    while traits(stage.op).prefetches and before(line, stage):
        stage = before(line, stage)[-1]
    earlier = [*before(line, stage), stage]
    if any(traits(one.op).stores for one in line) or not is_outside_functions(stage.id):
        return None
    repeat = _repeat_to_move(line, stage)
    made = [one for member in earlier for one in inside(view, member)]
    shuffled = any(map(_shuffles, made))
    if any(_shuffles(one) for one in made if one not in earlier) or any(
        _differs(one) or (shuffled and _depends_on_order(one)) for one in made if one is not repeat
    ):
        return None
    # A batch may end with the last element of an epoch, and one after a `repeat` does not; nor does what is dropped by
    # its position stay the same in another order.
    in_order = not shuffled and repeat is None
    last = next(
        (one for one in reversed([stage, *_following(line, stage, in_order=in_order)]) if _fits(view, line, one)), None
    )
    if last is None or (in_order and _dropped_next(line, last)):
        return None
    semantics: Semantics = "order" if shuffled else "same"
    if shuffled and pipeline_of(stage.id):
        # Elements that belong together stay together only in the order in which they are.
        return None
    count = pass_count(view, line, last) or 1
    again = _shuffled_again(line, last, count) if shuffled else None
    later = after(line, last)
    return CachePlace(last, _edits(last, again, repeat, later[0] if later else None), semantics)


def _outside_functions(view: PipelineView, stage: StageView) -> StageView:
    """A stage, or the one in whose function it is: a cache in a function is made anew with every call."""
    while not is_outside_functions(stage.id) and (owner := view.by_id.get(stage.owner or "")) is not None:
        stage = owner
    return stage


def _edits(
    stage: StageView, shuffle: int | None, repeat: StageView | None, following: StageView | None
) -> tuple[PipelineEdit, ...]:
    shuffled = (InsertStage("shuffle", {"buffer_size": shuffle}, stage.id),) if shuffle is not None else ()
    cached = (InsertStage("cache", {}, stage.id), *shuffled)
    if repeat is None:
        return cached
    if following is not None:
        return (MoveStage(repeat.id, repeat.op, following.id), *cached)
    return (ReplaceStages((repeat.id,)), *cached, InsertStage(repeat.op, {}, stage.id))


def _repeat_to_move(line: Sequence[StageView], stage: StageView) -> StageView | None:
    """The stage before another one that repeats the elements, if it can do so after it as well."""
    repeats = [one for one in before(line, stage) if traits(one.op).repeats]
    # At the end of a line it is written anew, which is known only where it has no end.
    if len(repeats) != 1 or (not after(line, stage) and _cardinality(repeats[0]) != INFINITE):
        return None
    between = [traits(one.op) for one in after(line, repeats[0]) if one not in after(line, stage)]
    alone = all(row.maps or row.predicate or row.prefetches or row.shuffles for row in between)
    return repeats[0] if alone else None


def _shuffles(stage: StageView) -> bool:
    """Whether it gives its elements in another order in each epoch; `list_files` does so with the names of files."""
    ran = executed(stage.executed_op).op if stage.executed_op is not None else stage.op
    return traits(stage.op).shuffles or traits(ran).shuffles


def _differs(stage: StageView) -> bool:
    """Whether its elements may be others in the next epoch; of what Python makes, two epochs are compared."""
    row, random = traits(stage.op), is_random(stage)
    draws = row.function is not None and random is not False
    reorders = row.reorders and not row.shuffles
    compared = runs_python(stage) and random is not True
    unknown = (draws or reorders) and not compared
    return unknown or row.opaque or row.stores or row.repeats or row.loads_batches is not None


def _depends_on_order(stage: StageView) -> bool:
    """Whether which elements it gives, or what they are made of, depends on the order of those that it gets."""
    row = traits(stage.op)
    alone = row.function is None or row.maps or row.predicate or row.opens
    return (row.regroups and not row.opens) or (row.drops and row.by_position) or not alone


def _dropped_next(line: Sequence[StageView], stage: StageView) -> bool:
    """Whether its elements are dropped next by their position: a cache there may never be complete."""
    later = next((one for one in after(line, stage) if not traits(one.op).prefetches), None)
    return later is not None and traits(later.op).drops and traits(later.op).by_position


def _following(line: Sequence[StageView], stage: StageView, *, in_order: bool) -> Iterator[StageView]:
    """Stages after one whose elements are the same in each epoch as well, without a shuffle in between."""
    for one in after(line, stage):
        row = traits(one.op)
        if ((row.maps or row.predicate) and is_plain(one)) or (
            in_order and (row.stacks or (row.drops and row.by_position))
        ):
            yield one
        elif not row.prefetches:
            return


def _shuffled_again(line: Sequence[StageView], stage: StageView, count: int) -> int | None:
    """Buffer of the shuffle after a cache of so many elements; None where a later one is enough.

    Single elements that were shuffled before are shuffled as far as they were, others among all of them.
    """
    for one in after(line, stage):
        if traits(one.op).shuffles:
            held = one.measured.buffered_elements if one.measured is not None else None
            if (held or 0.0) >= MIXED_SHARE * count:
                return None
            break
        if traits(one.op).regroups:
            break
    singly = 0
    for one in [*before(line, stage), stage]:
        facts = one.measured.shuffle if one.measured is not None else None
        buffer = facts.buffer_size if facts is not None else one.arguments.get("buffer_size")
        if traits(one.op).regroups:
            singly = 0
        elif traits(one.op).shuffles:
            singly += buffer if isinstance(buffer, int) else 0
    return min(singly or count, count)


def _fits(view: PipelineView, line: Sequence[StageView], stage: StageView) -> bool:
    """Whether one pass of what a stage gives is known to be small enough for two processes to keep it."""
    size = (pass_count(view, line, stage) or 0) * (_kept_bytes(line, stage) or 0.0)
    limit = view.memory_limit_bytes
    return size > 0 and (limit is None or 2 * size <= CACHE_SHARE * limit)


def _kept_bytes(line: Sequence[StageView], stage: StageView) -> float | None:
    """Bytes that an element of a stage takes in a cache, read at a later stage where the stage's own were not seen.

    Each tensor has a block of its own: of many small ones that is most of it.
    """
    for one in (stage, *after(line, stage)):
        if one is not stage and not traits(one.op).passes:
            return None
        row = one.measured
        size = row.bytes_per_element if row is not None and row.bytes_per_element is not None else one.element_bytes
        if size is not None:
            return size + cache_overhead(len(one.element or ()) or 1)
    return None


def pass_count(view: PipelineView, line: Sequence[StageView], stage: StageView) -> int | None:
    """Elements of one pass over the data at a stage, repeats before it left out; None if unknown, or without end."""
    repeat = _repeat_to_move(line, stage)
    if repeat is not None:
        source = before(line, repeat)
        filtered = any(traits(one.op).predicate for one in after(line, repeat) if one not in after(line, stage))
        return pass_count(view, line, source[-1]) if source and not filtered else None
    known, row = _cardinality(stage), stage.measured
    if known is not None:
        return known if known > 0 else None
    if row is None or row.pass_elements is not None:
        return row.pass_elements if row is not None else None
    for one in reversed(before(line, stage)):
        # Of a filter, those of its passes: its input's length is known.
        count, counts = _cardinality(one), one.measured.elements if one.measured is not None else None
        if count is not None and counts and row.elements:
            return math.ceil(row.elements * count / counts) if count > 0 else None
        kind = traits(one.op)
        if not (kind.maps or kind.predicate or kind.prefetches or kind.shuffles):
            break
    steps = view.profile.steps if view.profile is not None else None
    if steps is None or steps.epochs < LEAST_EPOCHS or not row.elements:
        return None
    # Without the length of an epoch, one of those that were counted may be in part.
    return math.ceil(row.elements / (steps.passes if steps.epoch_steps else steps.epochs - 1))


def _cardinality(stage: StageView) -> int | None:
    known = stage.measured.cardinality if stage.measured is not None else None
    return known if known is not None else stage.elements


def kept_by(view: PipelineView, edits: Sequence[PipelineEdit]) -> Kept | None:
    """Return what edits keep in memory for later epochs; None where they keep nothing."""
    caches = {stage.id for stage in view.stages if traits(stage.op).stores}
    places = [edit.after for edit in edits if isinstance(edit, InsertStage) and traits(edit.op).stores]
    places += [edit.stage for edit in edits if isinstance(edit, MoveStage) and edit.before in caches]
    profile = view.profile
    if not places or profile is None or profile.steps is None:
        return None
    sample, per_batch = 0.0, 0.0
    for stage in (view.by_id.get(place or "") for place in places):
        line = line_of(view, stage) if stage is not None else []
        each = _kept_bytes(line, stage) if stage is not None else None
        if stage is None or each is None:
            return Kept()
        elements = stage.measured.elements if stage.measured is not None else None
        sample += each * (pass_count(view, line, stage) or math.nan)
        per_batch += each * (elements or math.nan) / max(profile.steps.count, 1)
    whole = per_batch * (whole_batches(profile) or math.nan)
    return Kept(
        sample_bytes=None if math.isnan(sample) else round(sample), bytes=None if math.isnan(whole) else round(whole)
    )


def caches_before(view: PipelineView, stage: StageView) -> list[StageView]:
    """The caches before a stage in its line."""
    return [one for one in before(line_of(view, stage), stage) if traits(one.op).stores]


def moved_into_cache(view: PipelineView, stage: StageView) -> tuple[StageView, ...]:
    """Return the maps after the only cache before a stage, it among them, whose results the cache can keep as well.

    They give the same for the same element, and nothing is between the cache and them but shuffles, repeats and
    prefetches: moved before it, they make the same elements, in the same order, in the first epoch alone.
    """
    caches, line = caches_before(view, stage), line_of(view, stage)
    if len(caches) != 1 or not traits(stage.op).maps:
        return ()
    between = [one for one in after(line, caches[0]) if one not in after(line, stage)]
    maps = tuple(one for one in between if traits(one.op).maps)
    rows = [traits(one.op) for one in between if one not in maps]
    if not all(map(is_plain, maps)) or not all(row.shuffles or row.repeats or row.prefetches for row in rows):
        return ()
    count, each, limit = pass_count(view, line, caches[0]), _kept_bytes(line, stage), view.memory_limit_bytes
    size = (count or 0) * (each or 0.0)
    return maps if size > 0 and (limit is None or 2 * size <= CACHE_SHARE * limit) else ()


@dataclass(frozen=True)
class OtherCache:
    """A cache in another place or kind, with the bytes that it then takes and takes now: it saves memory or time."""

    edits: tuple[PipelineEdit, ...]
    nbytes: float
    now: float
    why: str
    saves: bool


def moved_to_smaller(view: PipelineView, stage: StageView) -> OtherCache | None:
    """Return a cache of smaller elements, or in memory instead of files; None where it is right where it is."""
    row = stage.measured
    if stage.op != "cache" or row is None or in_function(view, stage):
        return None
    if stage.arguments.get("filename"):
        return _in_memory(view, stage)
    nbytes, count = row.buffered_bytes, row.buffered_elements
    if not nbytes or not count or not weigh(nbytes, view).matters:
        return None
    for place in (*places_below(view, stage), *_encoded(view, stage, nbytes / count)):
        each = place.element_bytes + CACHE_OVERHEAD_BYTES
        again = all(is_plain(one) for one in place.crossed if traits(one.op).maps)
        if again and each * SMALLER <= nbytes / count and not nothing_to_keep(view, place.below):
            edit = MoveStage(stage.id, stage.op, before=place.before.id)
            return OtherCache((edit,), count * each, nbytes, "keeps elements that are smaller before a map", saves=True)
    return None


def _in_memory(view: PipelineView, stage: StageView) -> OtherCache | None:
    """A cache in files is read, checked and copied in every epoch, on one thread."""
    nbytes, limit = _file_bytes(view, stage), view.memory_limit_bytes
    if share_of(stage) < MUCH_WORK or nbytes is None or not limit or nbytes > CACHE_SHARE * limit:
        return None
    edit = ReplaceStages((stage.id,), (NewStage("cache"),), summary="{stage} without a filename")
    return OtherCache((edit,), nbytes, nbytes, "reads its elements from files in every epoch", saves=False)


def _encoded(view: PipelineView, stage: StageView, each: float) -> Iterator[EarlierPlace]:
    """The place before a map that decodes whole pictures, and makes them no smaller: nothing has passed there since."""
    earlier = view.input_of(stage)
    below = view.input_of(earlier) if earlier is not None else None
    ops = earlier.function.ops if earlier is not None and earlier.function is not None else None
    if earlier is None or below is None or not ops or "ReadFile" in ops or below.element_bytes is not None:
        return
    smaller = any(part in op for op in ops for part in ("Resize", "Crop", "Slice", "Glimpse"))
    if {op for op in ops if op.startswith("Decode")} == {"DecodeJpeg"} and not smaller:
        yield EarlierPlace(earlier, below, ENCODED * each, (earlier,))


def _file_bytes(view: PipelineView, stage: StageView) -> float | None:
    path = Path(str(stage.arguments["filename"]))
    # Another cache may have a longer name that begins alike.
    written = {file.name.removeprefix(path.name): file for file in path.parent.glob(f"{glob.escape(path.name)}*")}
    found = sum(file.stat().st_size for end, file in written.items() if re.fullmatch(r"\.data-\d+-of-\d+", end))
    if found and not any(re.fullmatch(r"_\d+\.lockfile", end) for end in written):
        return found
    line = line_of(view, stage)
    count, each = pass_count(view, line, stage), _kept_bytes(line, stage)
    return count * each if count and each else None
