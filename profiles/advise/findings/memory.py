"""What takes much memory: buffers of large elements, caches that do not fit, arrays that are copied, growth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from pipeprof.pipelines.changes.edits import MoveStage, PipelineEdit, SetArgument
from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.check import finding
from pipeprof.profiles.advise.facts.byte_gate import (
    BYTES,
    SHARE_OF_LIMIT,
    EarlierPlace,
    describe_order,
    held,
    nothing_to_keep,
    owned,
    places_below,
    regrouped,
    weigh,
    without,
)
from pipeprof.profiles.advise.findings.python import big_array, graph_constant
from pipeprof.profiles.advise.proposal import Proposal, Semantics
from pipeprof.profiles.constants import CACHE_OVERHEAD_BYTES, RUNTIME_BYTES
from pipeprof.profiles.document.findings import Predicted
from pipeprof.profiles.memory.predict import BufferPrediction, shuffle_overhead
from pipeprof.profiles.time.flow import LARGE_BYTES, LARGE_SHARE
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed, size

SMALL_ELEMENT: Final = 64
"""Bytes of an index or a label: there the cost is the overhead of 169 bytes per element."""
SMALL_ELEMENTS: Final = 1_000_000
"""Up to 180 MB buy a full shuffle of that many indices."""
ENLARGEMENT: Final = 10
"""Times that an element must be larger than earlier in the pipeline: less does not pay for a new order."""
WORTHWHILE: Final = 0.75
"""Of the buffer: one that would stay larger is not worth changing."""
BATCHES_MIXED: Final = 10
"""Batches in a buffer, below which batches from sorted data hold few classes."""
CACHE_FITS: Final = 0.9
"""Of the memory limit: Plumber's mark for a cache that still fits."""
MANY_BATCHES: Final = 16
"""More than smooth out the steps of a pipeline."""
ENOUGH_BATCHES: Final = 2
"""What a prefetch at the end of a pipeline needs to hold, where its batches take about the same time."""


@dataclass(frozen=True)
class _Buffer:
    """What a shuffle holds, all `copies` of a nested one."""

    stage: StageView
    nbytes: float
    elements: float
    copies: int = 1

    @property
    def each(self) -> float:
        return self.nbytes / (self.copies * self.elements)


@finding("shuffle-buffer-bytes", "memory", "order")
def shuffle_buffer_bytes(view: PipelineView) -> Iterator[Proposal]:
    """A shuffle whose elements take much of the memory."""
    for stage in view.stages:
        buffer = _buffer(view, stage) if traits(stage.op).shuffles and not stage.injected else None
        weight = weigh(buffer.nbytes, view) if buffer is not None else None
        if buffer is None or weight is None or not weight.matters:
            continue
        compared = weight.words()
        sentence = (
            f"{stage.label} holds {buffer.copies * buffer.elements:,.0f} elements of {size(buffer.each)}, "
            f"{size(buffer.nbytes)} in all{f': {compared}' if compared else ''}."
        )
        evidence = {
            "buffer_bytes": round(buffer.nbytes),
            "buffered_elements": buffer.copies * buffer.elements,
            "bytes_per_element": buffer.each,
            **weight.evidence(),
        }
        proposal = _shuffled_before(view, buffer) or _smaller_buffer(view, buffer)
        if proposal is not None:
            yield replace(proposal, stage=stage.id, sentence=sentence, evidence=evidence)


def _buffer(view: PipelineView, stage: StageView) -> _Buffer | None:
    """What a shuffle holds as measured, else as predicted; None where little, and where it is not known."""
    row, below, entry = stage.measured, view.input_of(stage), held(view, stage, "shuffle")
    buffer = _predicted_buffer(view, stage, entry)
    if row is None or row.buffered_bytes is None or not row.buffered_elements or below is None:
        return buffer if row is None or row.buffered_bytes is None else None
    overhead = shuffle_overhead(view, below)
    if owned(view, stage, "shuffle"):
        # The ledger's number counts more of an element than its values.
        few = _are_few(row.buffered_bytes / row.buffered_elements - overhead, row.buffered_elements)
        return None if few else _Buffer(stage, row.buffered_bytes, row.buffered_elements)
    if _are_few(row.buffered_bytes / row.buffered_elements, row.buffered_elements):
        return None
    nbytes = row.buffered_bytes + overhead * row.buffered_elements
    if buffer is not None and entry is not None and not entry.at_most and buffer.elements > row.buffered_elements:
        # It was full before the first element came out, and was read while it emptied at the end of an epoch.
        full = min(nbytes * buffer.elements / row.buffered_elements, buffer.nbytes)
        if row.depth == 0 and full <= (weigh(full, view).peak_bytes or 0):
            return _Buffer(stage, full, buffer.elements)
    if entry is not None and below.element_bytes is not None:
        # The model counts views of an array as if they were copies.
        nbytes = min(nbytes, entry.bytes)
    return _Buffer(stage, nbytes, row.buffered_elements)


def _predicted_buffer(view: PipelineView, stage: StageView, entry: BufferPrediction | None) -> _Buffer | None:
    below, given = view.input_of(stage), stage.arguments.get("buffer_size")
    if entry is None or below is None or not isinstance(given, int):
        return None
    count = min(given, below.elements) if below.elements is not None and below.elements > 0 else given
    memory = view.profile.memory if view.profile is not None and not view.profile.errors else None
    # Of an unknown number of elements, a whole run never had more than its peak.
    beyond = entry.at_most and memory is not None and entry.bytes > (memory.peak_bytes or entry.bytes)
    if count < 1 or beyond or _are_few(below.element_bytes, count):
        return None
    return _Buffer(stage, entry.bytes, count, max(1, round((entry.count or count) / count)))


def _are_few(each: float | None, count: float) -> bool:
    return each is not None and each < SMALL_ELEMENT and count <= SMALL_ELEMENTS


def _shuffled_before(view: PipelineView, buffer: _Buffer) -> Proposal | None:
    """The shuffle where it holds least; before batches only if there is no other place."""
    found = []
    for place in places_below(view, buffer.stage, batches=not regrouped(view, buffer.stage)):
        batch = next((one for one in place.crossed if traits(one.op).stacks), None)
        each = place.element_bytes + shuffle_overhead(view, place.below)
        # As many single elements as there were batches would mix too little.
        count = max(buffer.elements, BATCHES_MIXED * _rows(batch)) if batch is not None else buffer.elements
        saves = buffer.copies * count * each <= WORTHWHILE * buffer.nbytes
        if saves and (batch is not None or place.element_bytes * ENLARGEMENT < buffer.each):
            found.append((batch is not None, buffer.copies * count * each, count, place))
    if not found:
        return None
    _, nbytes, count, place = min(found, key=lambda one: one[:2])
    edits: tuple[PipelineEdit, ...] = (MoveStage(buffer.stage.id, buffer.stage.op, before=place.before.id),)
    if buffer.stage.op == "shuffle" and count != buffer.elements:
        edits = (SetArgument(buffer.stage.id, buffer.stage.op, "buffer_size", round(count)), *edits)
    through = listed([stage.label for stage in place.crossed])
    return Proposal(
        recommendation=f"Move it before {through}: it then holds {size(nbytes)}, and the first element comes sooner.",
        edits=edits,
        predicted=Predicted(
            formula=f"{size(nbytes)} instead of {size(buffer.nbytes)}",
            peak_rss_delta_bytes=round(nbytes - buffer.nbytes),
        ),
        semantics=place.semantics,
        change_detail=f"{size(nbytes)} instead of {size(buffer.nbytes)}",
    )


def _smaller_buffer(view: PipelineView, buffer: _Buffer) -> Proposal | None:
    """A buffer of fewer elements; words alone where it would mix too little, nothing where it is not large."""
    stage, below = buffer.stage, view.input_of(buffer.stage)
    if below is not None and traits(below.op).generates_numbers:
        text = "Compute the order instead: tf.random.experimental.index_shuffle takes no buffer."
        return Proposal(recommendation=text, semantics="randomness")
    limit = view.memory_limit_bytes or math.inf
    room = min(BYTES, SHARE_OF_LIMIT * limit)
    batch = next((above for above in view.above(stage) if traits(above.op).stacks), None)
    wanted = max(math.ceil(room / (buffer.copies * buffer.each)) - 1, BATCHES_MIXED * _rows(batch), 1)
    large = min(LARGE_BYTES, LARGE_SHARE * limit)
    if stage.op != "shuffle" or wanted > WORTHWHILE * buffer.elements or wanted * buffer.copies * buffer.each >= large:
        if stage.op == "shuffle" and buffer.nbytes < large:
            return None
        return Proposal(recommendation="Shuffle something smaller, such as names or indices, and load it afterwards.")
    count = below.elements if below is not None and (below.elements or 0) > 0 else None
    saved = buffer.copies * (buffer.elements - wanted) * buffer.each
    return Proposal(
        recommendation=(
            "Shuffle names or indices before the elements are loaded; or hold fewer elements, which mixes less: "
            f"{describe_order(wanted, count)}."
        ),
        edits=(SetArgument(stage.id, stage.op, "buffer_size", wanted),),
        predicted=Predicted(
            formula=f"{wanted:,} elements instead of {buffer.elements:,.0f}", peak_rss_delta_bytes=-round(saved)
        ),
        semantics="randomness",
    )


def _rows(batch: StageView | None) -> int:
    rows = batch.arguments.get("batch_size") if batch is not None else None
    return rows if isinstance(rows, int) and rows > 0 else 1


@finding("cache-over-budget", "memory", "same")
def cache_over_budget(view: PipelineView) -> Iterator[Proposal]:
    """A cache in memory whose elements take more than there is."""
    for stage in view.stages:
        below = view.input_of(stage)
        if stage.op != "cache" or stage.arguments.get("filename") or below is None:
            continue
        # Else how much is read decides how much is kept.
        if view.ever_after(stage, "ends-early", lambda above: traits(above.op).ends_early):
            continue
        if below.elements == INFINITE:
            yield _endless_cache(view, stage)
        elif view.memory_limit_bytes:
            yield from _too_large(view, stage, below, view.memory_limit_bytes)


def _too_large(view: PipelineView, stage: StageView, below: StageView, limit: int) -> Iterator[Proposal]:
    entry, row = held(view, stage, "cache"), stage.measured
    nbytes: float = entry.bytes if entry is not None else 0
    count: float | None = below.elements
    if (entry is None or entry.at_least) and row is not None and row.buffered_bytes and row.buffered_elements:
        # How large an element is, or how many there are, is not known: what is there already counts.
        overhead = 0 if owned(view, stage, "cache") else CACHE_OVERHEAD_BYTES
        count = max(count or 0, row.buffered_elements)
        nbytes = max(nbytes, (row.buffered_bytes / row.buffered_elements + overhead) * count)
    room = max(0.0, min(CACHE_FITS * limit, limit - _runtime(view)))
    if count is None or count < 1 or nbytes <= room:
        return
    edits: tuple[PipelineEdit, ...] = (SetArgument(stage.id, stage.op, "filename", "cache/elements"),)
    advice, kept = "Cache on disk, with a filename, or cache smaller elements, before they are decoded.", 0.0
    semantics: Semantics = "same"
    for place in places_below(view, stage):
        after = count * (place.element_bytes + CACHE_OVERHEAD_BYTES)
        if after <= room and not nothing_to_keep(view, place.below):
            edits, kept, semantics = (MoveStage(stage.id, stage.op, before=place.before.id),), after, _of_maps(place)
            through = listed([one.label for one in place.crossed])
            advice = f"Cache before {through}, where all elements take {size(after)}; or on disk, with a filename."
            break
    yield Proposal(
        stage=stage.id,
        sentence=(
            f"{stage.label} keeps {count:,.0f} elements, {size(nbytes)} in all, of a memory limit of {size(limit)}: "
            "the run is out of memory before the first epoch ends."
        ),
        recommendation=advice,
        evidence={
            "cache_bytes": round(nbytes),
            "elements": count,
            "bytes_per_element": nbytes / count,
            "memory_limit_bytes": limit,
        },
        edits=edits,
        predicted=Predicted(
            formula=f"{size(kept)} instead of {size(nbytes)}", peak_rss_delta_bytes=-round(nbytes - kept)
        ),
        semantics=semantics,
    )


def _runtime(view: PipelineView) -> int:
    memory = view.profile.memory if view.profile is not None else None
    return (memory.baseline_bytes if memory is not None else None) or RUNTIME_BYTES


def _of_maps(place: EarlierPlace) -> Semantics:
    """Functions after the cache run in every epoch: ``same`` where none draws random numbers."""
    functions = [stage.function for stage in place.crossed if traits(stage.op).maps]
    return "same" if all(one is not None and one.random is False for one in functions) else "randomness"


def _endless_cache(view: PipelineView, stage: StageView) -> Proposal:
    repeat = next((one for one in view.below(stage) if traits(one.op).repeats and one.elements == INFINITE), None)
    target = repeat
    for one in view.below(repeat) if repeat is not None else ():
        # Only what is the same in every epoch is worth keeping.
        random = traits(one.op).maps and (one.function is None or one.function.random is not False)
        target = one if random or traits(one.op).shuffles else target
    below = view.input_of(target) if target is not None else None
    movable = target is not None and below is not None and not nothing_to_keep(view, below)
    return Proposal(
        stage=stage.id,
        sentence=f"{stage.label} caches a stream without an end: it never serves an element, and grows for as long as "
        "the training runs.",
        recommendation=f"Cache before {target.label}." if movable and target is not None else "Remove the cache.",
        evidence={"endless": True},
        edits=(MoveStage(stage.id, stage.op, before=target.id) if movable and target is not None else without(stage),),
    )


@finding("prefetch-of-batches", "memory", "same")
def prefetch_of_batches(view: PipelineView) -> Iterator[Proposal]:
    """A prefetch that counts batches as if they were elements."""
    for stage in view.stages:
        count, batch = stage.arguments.get("buffer_size"), view.input_of(stage)
        if not traits(stage.op).prefetches or not isinstance(count, int) or count < MANY_BATCHES:
            continue
        while batch is not None and not traits(batch.op).batches and traits(batch.op).passes:
            batch = view.input_of(batch)
        if batch is None or not traits(batch.op).batches:
            continue
        rows, each = batch.arguments.get("batch_size"), stage.element_bytes or batch.element_bytes
        if not isinstance(rows, int) or each is None or not 1 < rows <= count:
            continue
        # No more than there are in one pass over the data.
        holds = min(count, stage.elements) if stage.elements is not None and stage.elements >= 0 else count
        weight = weigh(holds * each, view)
        if weight.matters and holds > ENOUGH_BATCHES:
            saved = round((holds - ENOUGH_BATCHES) * each)
            yield Proposal(
                stage=stage.id,
                sentence=f"{stage.label} comes after batch({rows}) and holds {holds:,} batches of {size(each)}: "
                f"{size(holds * each)}, {weight.words()}.",
                recommendation="Count in batches: prefetch(tf.data.AUTOTUNE), or 2.",
                evidence={"buffer_size": count, "batch_size": rows, "buffer_bytes": holds * each, **weight.evidence()},
                edits=(SetArgument(stage.id, stage.op, "buffer_size", ENOUGH_BATCHES),),
                predicted=Predicted(
                    formula=f"{ENOUGH_BATCHES} batches instead of {holds:,}", peak_rss_delta_bytes=-saved
                ),
            )


_UNBOUNDED: Final[dict[str | None, str]] = {
    "stages": "Bound what the pipeline holds: a smaller shuffle, or a cache of data that has an end.",
    "python": "Keep numbers instead of arrays, limit how many are kept, or write them to a file; Python's tracemalloc "
    "names the lines that made them.",
    "rest": "Keep no iterator, dataset, tf.function or tensor of an epoch that is over (float(loss), not loss); memray "
    "names what allocates the memory of a library.",
    None: "Let the soak finish: its last part looks for what grows.",
}
"""What to do, by what grows."""


@finding("memory-grows", "memory", "same")
def memory_grows(view: PipelineView) -> Iterator[Proposal]:
    """Memory in use that grew for as long as a soak ran."""
    soak = view.profile.memory.soak if view.profile is not None else None
    if soak is not None and soak.state == "growth":
        numbers = {"bytes_per_second": soak.bytes_per_second, "bytes_per_epoch": soak.bytes_per_epoch}
        yield Proposal(
            sentence=soak.sentence,
            recommendation=_UNBOUNDED[soak.owner],
            evidence={name: value for name, value in (("owner", soak.owner), *numbers.items()) if value},
        )


MEMORY: Final = (big_array, cache_over_budget, graph_constant, memory_grows, prefetch_of_batches, shuffle_buffer_bytes)
