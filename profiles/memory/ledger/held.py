"""Sources, buffers and batches in flight of a pipeline at a look, for the ledger."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipeprof.pipelines.meaning.traits import ELEMENT_OWNERS, RETAINING_OWNERS, traits
from pipeprof.profiles.constants import (
    ALIGNED_HOLE_BYTES,
    BUFFER_HOLES,
    MADE_BLOCK_BYTES,
    MADE_SPARE,
    MOST_BUFFER_HOLES,
    POOLED_FROM,
    SPLIT_FROM,
    TEXT_BLOCK_BYTES,
    TEXT_BYTES,
    VIEW_BYTES,
)
from pipeprof.profiles.document.base import Owner
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.memory.ledger.buffers import Buffered, Look
from pipeprof.profiles.memory.ledger.facts import Buffer, SourceTensors
from pipeprof.profiles.memory.ledger.vocabulary import AT_REST
from pipeprof.profiles.memory.predict.element_size import bytes_kept_by_slices, components, element_size, sliced_bytes
from pipeprof.profiles.memory.predict.execution import fused_batch
from pipeprof.profiles.memory.predict.model import BufferPrediction, MemoryPrediction, element_overhead_bytes
from pipeprof.profiles.memory.predict.predict import counted, memory_prediction, own_share, small_bytes
from pipeprof.profiles.memory.predict.shared_tensors import ends_inside, giver, own_components, text_views
from pipeprof.profiles.protocol.messages import MemoryReading
from pipeprof.profiles.view.view import ComponentView, PipelineView, StageView

_FULL = 0.5
_SMALL_KEY = 64
"""Bytes of small tensors, a key or a length, that the model omits next to large ones."""
_TAKEN_OVER = frozenset({
    "AsString", "EncodePng", "ReduceJoin", "RegexReplace", "StaticRegexReplace", "StringFormat", "StringJoin",
    "StringLower", "StringStrip", "StringUpper",
})  # fmt: skip
"""Ops whose results are strings that TensorFlow moves: their bytes beyond other strings' were measured."""
_LEAST_PART = 0.01
CONSTANT_BYTES = 1_000_000
"""Bytes of graph constants from which they are reported: every function has a few."""


def source_tensors(view: PipelineView) -> Iterable[SourceTensors]:
    """Yield the in-memory sources of a pipeline."""
    for stage in view.stages:
        if stage.source_bytes and stage.owner is None:
            yield SourceTensors(stage.id, stage.source_bytes, bool(stage.constant))


def captured(view: PipelineView) -> tuple[SourceTensors, ...]:
    """Return the constants of its functions by stage, where they are large enough to report."""
    found = [
        SourceTensors(stage.id, stage.function.constant_bytes, constant=True)
        for stage in view.stages
        if stage.function is not None and stage.function.constant_bytes
    ]
    if not any(stage.function is not None for stage in view.stages):
        # The graph was not read: use the constants observed during the build.
        found = [SourceTensors(None, constant.nbytes, constant=True) for constant in view.constants]
    total = sum(source.bytes for source in found)
    # Every function has a few bytes: a stage whose part would be next to nothing is no owner.
    return tuple(source for source in found if source.bytes >= _LEAST_PART * total) if total >= CONSTANT_BYTES else ()


def held_buffers(view: PipelineView, held: MemoryPrediction, look: Look) -> Iterable[Buffer]:
    """Yield the buffers of its stages at a look, with the known facts of their elements."""
    aliases = {(prediction.stage, prediction.owner) for prediction in held.held if prediction.how == "alias"}
    for stage_id, one in look.by_stage.items():
        stage = view.by_id.get(stage_id)
        if stage is None:
            yield Buffer(one.owner, stage_id, one.bytes, one.elements)
            continue
        given = given_to(view, stage, one.owner)
        element = given.element or ()
        known = [component.nbytes for component in element if component.nbytes is not None]
        unsized = any(component.dtype in ("string", "variant") for component in element)
        share = own_share(view, given) if one.owner in ELEMENT_OWNERS else 1.0
        each = one.bytes / one.elements if one.elements else 0.0
        texts = unsized and all(component.dtype != "variant" for component in element)
        size, most, parts = one.bytes * share, math.inf, False
        if texts and (views := _views_of_texts(view, given)):
            # The model counts the strings, which lie in the source's tensor.
            values = [component.nbytes or 0 for component in element if component.dtype != "string"]
            size = one.elements * (sum(values) + VIEW_BYTES * views)
            pooled = one.elements * sum(n for n in values if n >= POOLED_FROM) / size if size else 0.0
            unsized, texts = False, False
        elif texts:
            others = [component.nbytes or 0 for component in element if component.dtype != "string"]
            pooled = min(1.0, one.elements * sum(n for n in others if n >= POOLED_FROM) / size) if size else 0.0
            made = _made_by_ops(view, given)
            parts = _parts_of_texts(view, given)
            if not parts:
                most = size + _text_blocks(given, max(0.0, size - one.elements * sum(others)), one.elements, made=made)
        elif known and not unsized and sum(known):
            pooled = sum(size for size in known if size >= POOLED_FROM) / sum(known)
        else:
            pooled = 1.0 if each >= POOLED_FROM else 0.0
        kept = bytes_kept_by_slices(view, given, one.elements) if one.owner == "shuffle" and one.elements else 0.0
        if kept:
            pooled = (size * pooled + kept) / (size + kept)
            size += kept
        if not one.counted:
            unsized, texts, parts, most = True, False, False, math.inf
        yield Buffer(
            one.owner,
            stage_id,
            size,
            one.elements,
            pooled=pooled,
            unsized=unsized,
            texts=texts,
            most=most,
            parts=parts,
            weight=_weight(view, given),
            alias=(stage_id, one.owner) in aliases,
            counted=one.counted,
            # Few elements are not counted.
            overhead=element_overhead_bytes(own_components(view, given), counted=counted(view, given))
            if one.owner in RETAINING_OWNERS
            else 0,
            holes=_holes(view, one.owner, given, each * share),
        )


def _made_by_ops(view: PipelineView, given: StageView) -> bool:
    """Return whether a stage's texts may be strings that TensorFlow moves."""
    functions = [stage.function for stage in (given, *view.below(given)) if stage.function is not None]
    return any(function.ops is not None and _TAKEN_OVER & function.ops for function in functions)


def _views_of_texts(view: PipelineView, given: StageView) -> int:
    """Return how many texts of an element lie in the source's tensor; 0 where the size of the rest is not known."""
    known = all(component.dtype == "string" or component.nbytes is not None for component in given.element or ())
    return text_views(view, given) if known else 0


def _parts_of_texts(view: PipelineView, given: StageView) -> bool:
    """Return whether a stage's texts are slices of tensors made by its function: TensorFlow copies none."""
    opening = giver(view, given)
    sources = [giver(view, end) for end in ends_inside(view, opening)] if opening is not None else []
    return any(source is not None and traits(source.op).slices and not source.constant for source in sources)


def _text_blocks(given: StageView, size: float, elements: float, *, made: bool) -> float:
    """Return bytes that the blocks of texts take in addition to their letters; with spare room at most, if `made`.

    Args:
        size: Bytes of all texts, 24 for each and its letters.
        made: They may be strings that TensorFlow took over.
    """
    many = _texts_in(given)
    # Shorter texts are stored inside their 24 bytes.
    texts = size / (2 * TEXT_BYTES) if many is None else elements * many
    if made:
        return (TEXT_BLOCK_BYTES + MADE_BLOCK_BYTES) * texts + MADE_SPARE * size
    return TEXT_BLOCK_BYTES * texts


def _texts_in(given: StageView) -> int | None:
    """Return the number of strings in an element; None where the shapes leave that open."""
    shapes = [component.shape for component in given.element or () if component.dtype == "string"]
    known = [shape for shape in shapes if shape is not None and None not in shape]
    return sum(math.prod(length or 0 for length in shape) for shape in known) if len(known) == len(shapes) else None


def full_shuffles(view: PipelineView, held: MemoryPrediction, buffers: Iterable[Buffer]) -> Iterable[Buffer]:
    """Buffers with how many elements those of the pipeline's own shuffles have when they are full.

    A shuffle fills its buffer before the first element comes out of it, and empties it when its input has ended: at
    the peak it was full, also where every look found it with less.
    """
    known = [
        prediction
        for prediction in held.held
        if prediction.owner == "shuffle" and prediction.count and not prediction.at_most and prediction.how != "alias"
    ]
    full = {prediction.stage: prediction for prediction in known if not view.by_id[prediction.stage].depth}
    for buffer in buffers:
        one = full.pop(buffer.stage, None) if buffer.owner == "shuffle" else None
        yield replace(buffer, full=one.count) if one is not None else buffer
    for one in full.values():
        # Every look found it empty: one element stands for those that it had.
        given = view.input_of(view.by_id[one.stage])
        size = element_size(view, given) if given is not None and not one.at_least else None
        if size is not None:
            alone = Look(0.0, "measure", 0, 0, None, {one.stage: Buffered("shuffle", round(size.bytes), 1.0)})
            yield from (replace(buffer, full=one.count) for buffer in held_buffers(view, held, alone))


@dataclass(frozen=True)
class Fullest:
    """What a stage held at its own fullest look.

    Attributes:
        bytes: In its buffer and in calls under way; `None` where the model's count is impossible at every look.
        elements: In its buffer, without calls under way.
    """

    bytes: float | None
    elements: float


def own_fullest(view: PipelineView, looks: Sequence[Look]) -> dict[str, Fullest]:
    """Return what stages held at their own fullest looks, by stage.

    A stage that keeps its elements is not among them: what it takes is the ledger's number.

    Args:
        looks: Those of the measured window.
    """
    held = memory_prediction(view)
    found: dict[str, Fullest] = {}
    for name in dict.fromkeys(name for look in looks for name in look.by_stage):
        there = [look.by_stage[name] for look in looks if name in look.by_stage]
        own = max(there, key=lambda one: (one.counted, one.bytes, one.elements))
        if own.owner in RETAINING_OWNERS:
            continue
        (buffer,) = held_buffers(view, held, replace(looks[0], by_stage={name: own}))
        stage = view.by_id.get(name)
        calls = _with_calls(view, stage, own) if stage is not None else 0.0
        found[name] = Fullest(buffer.bytes + calls if own.counted else None, own.elements)
    return found


def _with_calls(view: PipelineView, stage: StageView, there: Buffered) -> float:
    """Return bytes of the calls under way of a stage with results that wait, and of a batch that is not full yet."""
    if there.owner != "parallel" or stage.measured is None or not there.elements:
        return 0.0
    batch = fused_batch(view, stage)
    if batch is None:
        return there.bytes / there.elements * _calls_under_way(view, stage, there)
    whole, each = _fixed_bytes(components(view, batch)), _fixed_bytes(components(view, stage))
    rest = math.ceil(there.bytes / whole) * whole - there.bytes if whole else 0.0
    return rest + (each or stage.element_bytes or 0.0) * _calls_under_way(view, stage)


def _calls_under_way(view: PipelineView, stage: StageView, there: Buffered | None = None) -> float:
    """Return how many calls run at a time; with results that wait, no more than there are calls in all."""
    calls = math.ceil((stage.measured.parallelism if stage.measured is not None else None) or 1)
    if there is None or traits(stage.op).nests:
        return min(view.cores, calls)
    # From the start of its call until its result is taken (`busy` in parallel_map_dataset_op.cc).
    return min(view.cores, max(0, calls - math.floor(there.elements)))


def window_buffers(view: PipelineView, held: MemoryPrediction, look: Look) -> Iterable[Buffer]:
    """Assign to windows, whose size the model never reports, the live tensors that no other stage holds.

    Where all of their tensors are large, growth of the heap is not theirs.
    """
    for unknown in held.unknown:
        stage = view.by_id[unknown.stage]
        if traits(stage.op).collects_windows and unknown.owner == "batch" and unknown.stage not in look.by_stage:
            given = view.input_of(stage)
            sizes = [component.nbytes for component in (given.element if given is not None else None) or ()]
            small = None in sizes or sum(size or 0 for size in sizes if (size or 0) < POOLED_FROM) > _SMALL_KEY
            yield Buffer("batch", unknown.stage, 0.0, 1.0, unsized=True, pool_only=not small, windows=True)


def given_to(view: PipelineView, stage: StageView, owner: Owner) -> StageView:
    """Return the stage whose elements another one holds: its input, itself, or the batch that a map fills itself."""
    if owner not in ("parallel", "batch"):
        return view.input_of(stage) or stage
    return fused_batch(view, stage) or stage


def _holes(view: PipelineView, owner: Owner, given: StageView, each: float) -> int:
    """Return the most bytes that an element leaves free between heap blocks; their actual share is measured."""
    components = own_components(view, given)
    if owner == "cache" or not components:
        return ALIGNED_HOLE_BYTES * components
    used = element_overhead_bytes(components, counted=counted(view, given))
    rest = _unshaped_bytes(given, each)
    usual, more = small_bytes(view, given) + rest, small_bytes(view, given, SPLIT_FROM)
    more += rest if rest >= SPLIT_FROM else 0.0
    holes = BUFFER_HOLES * (used + min(usual, each)) + (MOST_BUFFER_HOLES - BUFFER_HOLES) * min(more, each)
    return round(holes) if owner == "shuffle" else 0


def _unshaped_bytes(given: StageView, each: float) -> float:
    """Estimate an element's bytes in small numeric tensors of unknown shape, from the measured element size."""
    sizes = [component.nbytes for component in given.element or ()]
    if None not in sizes or any(component.dtype in ("string", "variant") for component in given.element or ()):
        return 0.0
    rest = max(0.0, each - sum(size or 0 for size in sizes))
    return rest if rest < POOLED_FROM else 0.0


def own_shares(view: PipelineView) -> dict[str, float]:
    """Return the share of each stage's buffered bytes that is not another stage's."""
    aliases = {prediction.stage for prediction in memory_prediction(view).held if prediction.how == "alias"}
    buffering = [stage for stage in view.stages if traits(stage.op).holds_elements]
    return {
        stage.id: 0.0 if stage.id in aliases else own_share(view, view.input_of(stage) or stage) for stage in buffering
    }


def estimate_pool_scale(
    view: PipelineView,
    held: MemoryPrediction,
    looks: Sequence[Look],
    fullest: Look | None,
    *,
    made: MemoryReading | None,
    consumer: float | None,
) -> float:
    """Estimate the pool bytes in use per byte of buffered tensors, at the look with the least else in the pool.

    That is when no batches are requested and nothing is in flight, as at the one look after the measurement; at others,
    calls under way have their elements and results there. The batches that stages take apart are there then, too; where
    there are windows, their size is unknown.

    Args:
        made: The reading just after the iterator's creation.
        consumer: Bytes of a batch.
    """
    if fullest is None or made is None or made.live is None or any(window_buffers(view, held, fullest)):
        return 1.0
    apart = sum(
        prediction.pooled
        for prediction in held.held
        if prediction.owner == "batch" and traits(view.by_id[prediction.stage].op).unbatches
    )
    ratios = []
    for look in looks:
        if look.phase not in (fullest.phase, AT_REST) or look.live is None or look.total < _FULL * fullest.total:
            continue
        buffers = [buffer for buffer in held_buffers(view, held, look) if not buffer.alias]
        pooled = sum(buffer.in_pool for buffer in buffers)
        if not pooled or any(buffer.unsized for buffer in buffers):
            continue
        in_step = consumer if consumer is not None and consumer >= POOLED_FROM else 0.0
        under_way = 0.0 if look.phase == AT_REST else _of_calls(view, held, look)
        ratios.append((look.live - made.live - in_step - apart - under_way) / pooled)
    return min(max(min(ratios, default=1.0), 1.0), 2.0)


def _of_calls(view: PipelineView, held: MemoryPrediction, look: Look) -> float:
    """Bytes in the pool of what calls under way were given, and of what they make."""
    found = 0.0
    for owner, stage_id, nbytes in in_flight_batches(view, held, look):
        stage = view.by_id[stage_id]
        if owner != "parallel" or (stage.element_bytes or 0.0) < POOLED_FROM:
            continue
        given = view.input_of(stage)
        sizes = [component.nbytes or 0 for component in components(view, given)] if given is not None else []
        calls = nbytes / (stage.element_bytes or math.inf)
        found += nbytes + calls * sum(size for size in sizes if size >= POOLED_FROM)
    return found


def _weight(view: PipelineView, stage: StageView) -> float:
    """Return the number of source elements in one output element of a stage."""
    weight = 1.0
    for reached in (stage, *view.below(stage)):
        size = reached.arguments.get("batch_size")
        if isinstance(size, int) and size > 0:
            weight *= size
    return weight


def in_flight_batches(
    view: PipelineView, held: MemoryPrediction, look: Look | None
) -> Iterable[tuple[Owner, str, int]]:
    """Yield batches and calls in flight, which are in no buffer yet, and places filled between looks.

    Of parts that are read one after another only one is in flight: that with most.
    """
    found = list(_in_flight(view, held, look))
    never = _never_together(view, found)
    return [entry for entry in found if entry[1] not in never]


def _never_together(view: PipelineView, found: Sequence[tuple[Owner, str, int]]) -> set[str]:
    """The stages of the parts of each concatenation but the one with most bytes in flight."""
    sizes: dict[str, int] = {}
    for _, stage_id, nbytes in found:
        sizes[stage_id] = sizes.get(stage_id, 0) + nbytes
    joins = [
        [_part(view, name) for name in join.inputs]
        for join in view.stages
        if (row := traits(join.op)).combines and row.cardinality == "sum" and row.same_components
    ]
    never: set[str] = set()
    # Those inside of a part first.
    for parts in sorted(joins, key=lambda parts: sum(map(len, parts))):
        running = [part & sizes.keys() - never for part in parts]
        most = max(running, key=lambda part: sum(sizes[name] for name in part), default=set())
        never.update(name for part in running if part is not most for name in part)
    return never


def _part(view: PipelineView, name: str) -> set[str]:
    """The stages that a stage is made of: itself, all that it reads, and what is in their functions."""
    end = view.by_id.get(name)
    whole = [end, *view.below(end)] if end is not None else []
    return {one.id for stage in whole for one in (stage, *view.inside(stage))}


def _in_flight(view: PipelineView, held: MemoryPrediction, look: Look | None) -> Iterable[tuple[Owner, str, int]]:
    """Yield what may be in flight: nothing of small tensors that no look found, as only the pool says how many are."""
    for prediction in held.held:
        if prediction.owner == "batch" or (
            prediction.owner == "source" and sliced_bytes(view, view.by_id[prediction.stage])
        ):
            if prediction.pooled:
                yield prediction.owner, prediction.stage, prediction.bytes
        elif prediction.owner == "parallel":
            there = look.by_stage.get(prediction.stage) if look is not None else None
            stage = view.by_id[prediction.stage]
            calls, batch = stage.measured, fused_batch(view, stage)
            if there is None or calls is None or not there.elements:
                if prediction.pooled:
                    yield prediction.owner, prediction.stage, prediction.bytes
                continue
            # Every call in flight makes a result as large as those that wait, or a part of a batch that is held.
            if batch is not None:
                each, under_way = stage.element_bytes or 0.0, _calls_under_way(view, stage)
                rest = _unfilled(view, batch, there.bytes, prediction)
                yield prediction.owner, prediction.stage, max(round(each * under_way) if prediction.pooled else 0, rest)
                continue
            under_way = _calls_under_way(view, stage, there)
            yield prediction.owner, prediction.stage, round(there.bytes / there.elements * under_way)
    for stage_id, there in (look.by_stage if look is not None else {}).items():
        # An empty one is emptied faster than it fills, between two looks as well.
        if stage_id in view.by_id and there.owner == "prefetch" and there.room and there.elements:
            yield "prefetch", stage_id, round(there.room * there.bytes / there.elements)


def _unfilled(view: PipelineView, batch: StageView, nbytes: int, prediction: BufferPrediction) -> int:
    """Return bytes of a fused map's batches in which no element is yet; the model counts only those that are copied.

    A batch is allocated in full with its first element (`EnsureOutputAllocated` in map_and_batch_dataset_op.cc): as
    many are there as the elements fill, the last in part. The pool says whether there are as many as can be. Of smaller
    ones nothing says whether another one was begun.
    """
    if prediction.pooled:
        return max(0, prediction.bytes - nbytes)
    each = _fixed_bytes(components(view, batch))
    return max(0, math.ceil(nbytes / each) * each - nbytes) if each else 0


_UNCOUNTED = frozenset({"string", "variant"})


def possible_looks(view: PipelineView, looks: Sequence[Look], most: int | None) -> list[Look]:
    """The looks without impossible counts.

    TensorFlow's model counts what goes into a buffer and what comes out of it. It counts a slice as the tensor that it
    is a part of, and a fused stage may take out what it never put in. Where the shapes say how large an element is,
    a buffer holds no more than that; where they do not, and the count is negative or more than the process had, how
    much it holds is unknown.

    Args:
        most: The most that the process ever had, in bytes.
    """
    return [
        replace(
            look,
            by_stage={stage: _possible(view, stage, one, look.rss or most) for stage, one in look.by_stage.items()},
        )
        for look in looks
    ]


def _possible(view: PipelineView, stage: str, one: Buffered, most: int | None) -> Buffered:
    each = _element_bytes(view, stage, one.owner)
    nbytes = one.bytes if each is None or one.elements < 0 else min(one.bytes, round(one.elements * each))
    if nbytes < 0 or (most is not None and nbytes > most):
        return replace(one, bytes=0, counted=False)
    return replace(one, bytes=nbytes)


def _element_bytes(view: PipelineView, stage_id: str, owner: Owner) -> int | None:
    """Bytes of one element in a stage's buffer by its shapes; None where they leave that open."""
    stage = view.by_id.get(stage_id)
    if stage is None:
        return None
    return _fixed_bytes(components(view, given_to(view, stage, owner)))


def _fixed_bytes(element: Sequence[ComponentView]) -> int | None:
    """Bytes of an element by its shapes; None where they leave that open."""
    sizes = [component.nbytes for component in element if component.dtype not in _UNCOUNTED]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(element) > 0 else None


def forget_impossible(profile: Profile) -> None:
    """Bytes of a stage that are more than the process ever had are unknown."""
    most = profile.memory.peak_bytes
    if most is None:
        return
    for stage in profile.stages or ():
        if stage.buffered_bytes is not None and not 0 <= stage.buffered_bytes <= most:
            stage.buffered_bytes = None
        if stage.bytes_per_element is not None and stage.bytes_per_element > most:
            stage.bytes_per_element = None
