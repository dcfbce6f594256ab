"""Prediction of a pipeline's memory by owner, from its view alone.

Every formula was measured on TensorFlow 2.21: arrays, graph constants, shuffle, cache, prefetch and parallel maps. What
is unknown is left out, with a reason, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeprof.pipelines.meaning.constants import AUTOTUNE, INFINITE
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.constants import (
    ALIGNMENT_BYTES,
    ARRAY_COPIES,
    AUTOTUNED_PREFETCH,
    CAPTURED_CONSTANT_COPIES,
    DROPPED_COPIES,
    GENERATED_BELOW,
    MOST_FUSED_BATCHES,
    NOT_REWRITTEN_COPIES,
    POOL_UNIT_BYTES,
    POOLED_FROM,
    RESEEDED_COPIES,
    SNAPSHOT_COPIES,
    SOURCE_CONSTANT_COPIES,
    STEADY_ARRAY_COPIES,
    STEADY_CONSTANT_COPIES,
    VIEW_BYTES,
)
from pipeprof.profiles.document.base import Owner
from pipeprof.profiles.memory.predict.element_size import (
    Size,
    batch_size_of,
    bytes_kept_by_slices,
    components,
    element_size,
    rows_of,
    sliced_bytes,
)
from pipeprof.profiles.memory.predict.execution import (
    foreseen,
    fused_batch,
    fused_batches,
    open_copies,
    parallel_calls,
    results_ready,
    rewritten,
    runs_ahead,
)
from pipeprof.profiles.memory.predict.model import (
    BufferPrediction,
    MemoryPrediction,
    UnknownSize,
    cache_overhead_bytes,
    shuffle_overhead_bytes,
)
from pipeprof.profiles.memory.predict.shared_tensors import (
    cache_above,
    giver,
    holder,
    own_components,
    shared_bytes,
    text_views,
)
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import size as in_words


@dataclass(frozen=True)
class Portion:
    """Tensors of one size that a stage holds."""

    count: int
    what: str
    size: Size | None


def portions(view: PipelineView, stage: StageView) -> Iterator[Portion]:
    """Yield the buffers of a stage that makes or splits batches; nothing for any other."""
    below = view.input_of(stage)
    row = traits(stage.op)
    if row.unbatches and not row.rebatches:
        if below is not None and holder(view, below) is None:
            yield Portion(1, "batch that it splits", element_size(view, below))
    elif row.rebatches:
        yield from _rebatch_portions(view, stage, below)
    elif isinstance(stage.arguments.get("bucket_batch_sizes"), list) and below is not None:
        sizes = stage.arguments["bucket_batch_sizes"]
        # A window of elements for each bucket, all but full.
        yield Portion(sum(sizes), "elements in buckets", element_size(view, below))
    elif row.batches:
        yield from _batch_portions(view, stage, below)


def _batch_portions(view: PipelineView, stage: StageView, below: StageView | None) -> Iterator[Portion]:
    size = element_size(view, stage)
    count = parallel_calls(view, stage) or 1
    fused = below is not None and fused_batch(view, below) is not None
    if fused and size is not None:
        # The map holds them.
        return
    if below is None or fused or holder(view, below) is not None:
        yield Portion(count, "in flight", size)
    else:
        yield Portion(2 * count, "in flight, the elements and their copy", size)


def _rebatch_portions(view: PipelineView, stage: StageView, below: StageView | None) -> Iterator[Portion]:
    """Yield the buffers of a rebatch: a part of one batch is a view if aligned, parts of several are copied.

    A view keeps its whole batch alive until the next one is complete.
    """
    size, whole = element_size(view, stage), element_size(view, below) if below is not None else None
    rows, given = batch_size_of(stage), rows_of(view, below) if below is not None else None
    if below is None or size is None or whole is None:
        yield Portion(1, "in flight", size)
    elif not rows or not given:
        # Their sizes were measured.
        if holder(view, below) is None and size.bytes < whole.bytes:
            yield Portion(1, "rest of the batch that it outputs in parts", whole.less(size.bytes))
        elif size.bytes > whole.bytes:
            yield Portion(2, "in flight, the parts and their copy", size)
    elif given % rows:
        parts = Size(max(size.bytes, 2 * whole.bytes) if given > rows else size.bytes, whole.partial)
        yield Portion(1, "of batches that it joins", parts)
        yield Portion(1, "in flight", size)
    elif all((component.nbytes or 0) % ALIGNMENT_BYTES == 0 for component in components(view, stage)):
        if holder(view, below) is None:
            yield Portion(1, "rest of the batch that it outputs in parts", whole.less(size.bytes))
    else:
        yield Portion(1, "batch that it splits", whole)
        yield Portion(1, "in flight", size)


LARGE_ELEMENT_BYTES = 4_000_000
"""Bytes from which single elements (no batches) are counted in the step: less is negligible next to any buffer."""


def memory_prediction(view: PipelineView, *, kept: bool = True) -> MemoryPrediction:
    """Predict bytes by owner with their formulas, and the reasons where there are none; once for each view.

    Args:
        kept: The program keeps the arrays that in-memory sources are made of.
    """
    # A view never changes, and ledger and rules all need the prediction: cached as long as the view lives.
    predictions: dict[bool, MemoryPrediction] = vars(view).setdefault("_predictions", {})
    if kept not in predictions:
        predictions[kept] = _predict(view, kept=kept)
    return predictions[kept]


def _predict(view: PipelineView, *, kept: bool) -> MemoryPrediction:
    view = foreseen(view) if view.unseen else view
    found = [entry for stage in view.stages if not _is_elsewhere(view, stage) for entry in _of_stage(view, stage)]
    if not kept:
        found = [_without_array(view, entry) for entry in found]
    found += _consumer(view)
    return MemoryPrediction(
        tuple(entry for entry in found if isinstance(entry, BufferPrediction)),
        tuple(entry for entry in found if isinstance(entry, UnknownSize)),
    )


def _is_elsewhere(view: PipelineView, stage: StageView) -> bool:
    """Whether the workers of a tf.data service hold what a stage holds; arrays are in this process as well."""
    if traits(stage.op).in_memory:
        return False
    readers = [one for one in view.stages if traits(one.op).remote]
    return any(stage is one or stage in view.inside(one) for reader in readers for one in view.below(reader))


def _of_stage(view: PipelineView, stage: StageView) -> Iterator[BufferPrediction | UnknownSize]:
    if traits(stage.op).in_memory:
        yield from _source(view, stage)
    size = _captured_bytes(view, stage)
    if size > 0:
        formula = f"{in_words(size)} of constants in its function × {CAPTURED_CONSTANT_COPIES} at the peak"
        steady = round(STEADY_CONSTANT_COPIES * size)
        yield BufferPrediction("source", stage.id, CAPTURED_CONSTANT_COPIES * size, "predicted", formula, steady=steady)
    row = traits(stage.op)
    if stage.op == "shuffle":
        yield from _shuffle(view, stage)
    elif stage.op == "cache" and not stage.arguments.get("filename"):
        yield from _cache(view, stage)
    elif stage.op == "prefetch":
        yield from _prefetch(view, stage)
    elif row.maps or row.interleaves:
        yield from _parallel(view, stage)
    elif row.unpredicted is not None:
        yield UnknownSize(row.holds or "parallel", stage.id, row.unpredicted)
    else:
        yield from _batch(view, stage)


def _without_array(view: PipelineView, entry: BufferPrediction | UnknownSize) -> BufferPrediction | UnknownSize:
    """Return the prediction of a source whose array is deleted after the dataset is built."""
    stage = view.by_id[entry.stage]
    if not isinstance(entry, BufferPrediction) or entry.owner != "source" or not stage.source_bytes or stage.constant:
        return entry
    fewer = DROPPED_COPIES + (0 if rewritten(view) else NOT_REWRITTEN_COPIES)
    if _in_snapshot(view, stage):
        return replace(entry, steady=round((STEADY_ARRAY_COPIES - fewer) * stage.source_bytes))
    copies, later = ARRAY_COPIES - fewer, STEADY_ARRAY_COPIES - fewer
    formula = f"{in_words(stage.source_bytes)} × {copies:.3g} at the peak, without the array itself"
    size = stage.source_bytes
    return replace(entry, bytes=round(copies * size), steady=round(later * size), formula=formula)


def _consumer(view: PipelineView) -> Iterator[BufferPrediction]:
    """Yield the batch in the step, and the next one where it is complete before the step releases its batch."""
    root = view.root
    size = element_size(view, root) if root is not None else None
    if root is None or size is None or size.partial or holder(view, root) is not None:
        return
    batched = _is_batched(view, root)
    if not batched and size.bytes < LARGE_ELEMENT_BYTES:
        return
    if _works_ahead(view, root):
        what = "batches" if batched else "elements"
        yield _predict_elements(view, "consumer", root, 2, what=f"{what} (in the step, and next)", size=size)
    else:
        yield _predict_elements(
            view, "consumer", root, 1, what=f"{'batch' if batched else 'element'} in the step", size=size
        )


def _works_ahead(view: PipelineView, root: StageView) -> bool:
    """Return whether the next element is complete before it is requested, and another one is started at once.

    A batch with a single call collects its elements first; that is counted there, and takes the place in a prefetch.
    The output of rebatch may be complete as well.
    """
    added = any(reader.injected and reader.op == "prefetch" for reader in view.readers(root))
    if not added and not runs_ahead(view, root):
        return False
    made = view.input_of(root) if root.op == "prefetch" else root
    if made is None or next(portions(view, made), None) is None or parallel_calls(view, made) is not None:
        return True
    parts = view.input_of(made) if traits(made.op).rebatches else None
    return parts is not None and runs_ahead(view, parts)


def _is_batched(view: PipelineView, stage: StageView) -> bool:
    for member in (stage, *view.below(stage)):
        if traits(member.op).batches:
            return True
        if not (traits(member.op).consecutive or traits(member.op).buffers or traits(member.op).maps):
            return False
    return False


def _captured_bytes(view: PipelineView, stage: StageView) -> int:
    """Return bytes of constants in a stage's function, without sources inside, which have their own entries."""
    if stage.function is None or not stage.function.constant_bytes:
        return 0
    inside = [member for member in view.inside(stage) if member.owner == stage.id and member.constant]
    return stage.function.constant_bytes - sum(member.source_bytes or 0 for member in inside)


def _source(view: PipelineView, stage: StageView) -> Iterator[BufferPrediction]:
    if not stage.source_bytes:
        yield from _sliced(view, stage)
        return
    size = in_words(stage.source_bytes)
    if stage.constant:
        copies: float = CAPTURED_CONSTANT_COPIES if stage.owner is not None else SOURCE_CONSTANT_COPIES
        steady = STEADY_CONSTANT_COPIES
        formula = (
            f"{size} × {copies} at the peak: the array is a constant of a graph, which TensorFlow copies and rewrites"
        )
    else:
        let_go = view.ever_after(stage, "shuffle", lambda above: above.op == "shuffle")
        copies, steady = ARRAY_COPIES - (RESEEDED_COPIES if let_go else 0), STEADY_ARRAY_COPIES
        if not rewritten(view):
            copies, steady = ARRAY_COPIES - NOT_REWRITTEN_COPIES, steady - NOT_REWRITTEN_COPIES
        copies += SNAPSHOT_COPIES if _in_snapshot(view, stage) else 0
        formula = (
            f"{size} × {copies:.3g} at the peak: the array, TensorFlow's tensor, and copies made with the iterator"
        )
    bytes_at_peak, later = round(copies * stage.source_bytes), round(steady * stage.source_bytes)
    residue = 0 if stage.constant or not rewritten(view) else stage.source_bytes
    yield BufferPrediction("source", stage.id, bytes_at_peak, "predicted", formula, steady=later, residue=residue)


def _sliced(view: PipelineView, stage: StageView) -> Iterator[BufferPrediction]:
    """Yield what the open copies of a source inside a function slice."""
    each, copies = sliced_bytes(view, stage), open_copies(view, stage)
    if each:
        formula = f"{copies:,} open × {in_words(each)} that it slices"
        size = round(copies * each)
        pooled = size if each >= POOLED_FROM else 0
        yield BufferPrediction("source", stage.id, size, "predicted", formula, count=copies, pooled=pooled)


def _in_snapshot(view: PipelineView, stage: StageView) -> bool:
    return view.ever_after(stage, "snapshot", lambda above: traits(above.op).writes)


def _shuffle(view: PipelineView, stage: StageView) -> Iterator[BufferPrediction | UnknownSize]:
    below = view.input_of(stage)
    buffer = stage.arguments.get("buffer_size")
    if below is None or not isinstance(buffer, int):
        return
    size = element_size(view, below)
    owner = holder(view, below) or cache_above(view, stage)
    if owner is not None:
        yield _alias("shuffle", stage, owner)
    elif size is None:
        yield _no_size("shuffle", stage)
    else:
        count = buffer if below.elements is None else _limit_count(buffer, below)
        size = size.less(shared_bytes(view, below))
        small = min(size.bytes, small_bytes(view, below))
        overhead = shuffle_overhead_bytes(own_components(view, below), small, counted=counted(view, below))
        note = ", if there are that many" if below.elements is None else ""
        kept = bytes_kept_by_slices(view, below, count)
        yield _predict_elements(
            view, "shuffle", stage, count, what="elements", size=size, overhead=overhead, note=note, kept=kept
        )


def _cache(view: PipelineView, stage: StageView) -> Iterator[BufferPrediction | UnknownSize]:
    below = view.input_of(stage)
    if below is None:
        return
    size = element_size(view, below)
    owner = holder(view, below)
    if below.elements == INFINITE:
        yield UnknownSize("cache", stage.id, "its input has no end")
    elif owner is not None:
        yield _alias("cache", stage, owner)
    elif below.elements is None:
        yield UnknownSize("cache", stage.id, "the number of elements is unknown")
    elif size is None:
        yield _no_size("cache", stage)
    else:
        size = size.less(shared_bytes(view, below))
        scale = pool_bytes_per_cached_byte(view, stage)
        note = f" × {scale:.3g}: the pool places them in the gaps of batches" if scale > 1 else ""
        overhead = cache_overhead_bytes(own_components(view, below))
        size = Size(size.bytes * scale, size.partial)
        yield _predict_elements(
            view, "cache", stage, below.elements, what="elements", size=size, overhead=overhead, note=note
        )


def _prefetch(view: PipelineView, stage: StageView) -> Iterator[BufferPrediction | UnknownSize]:
    below = view.input_of(stage) or stage
    buffer = stage.arguments.get("buffer_size", AUTOTUNE if stage.injected else None)
    tuned = buffer == AUTOTUNE or (isinstance(buffer, int) and buffer < 0)
    count = AUTOTUNED_PREFETCH if tuned else buffer
    if not isinstance(count, int) or count == 0:
        return
    size = element_size(view, below)
    owner = holder(view, below)
    if owner is not None:
        yield _alias("prefetch", stage, owner)
    elif size is None:
        yield _no_size("prefetch", stage)
    else:
        what = "elements assumed (AUTOTUNE)" if tuned else "elements"
        what = "elements assumed (added by TensorFlow)" if stage.injected else what
        yield _predict_elements(view, "prefetch", stage, _limit_count(count, below), what=what, size=size)


def _parallel(view: PipelineView, stage: StageView) -> Iterator[BufferPrediction | UnknownSize]:
    calls, batch = parallel_calls(view, stage), fused_batch(view, stage)
    if calls is None and batch is None:
        return
    calls = calls or 1
    count, what, size, note = calls, "results", element_size(view, stage), ""
    if traits(stage.op).interleaves:
        count, what = results_ready(view, stage), "results of open iterators"
    if batch is not None:
        # The two write their results straight into batches.
        count, what, size = fused_batches(calls, batch), "batches being filled", element_size(view, batch)
        note = f", up to {MOST_FUSED_BATCHES}"
    elif stage.op == "map" and holder(view, stage) is stage:
        yield BufferPrediction("parallel", stage.id, 0, "alias", "the same tensors in every call")
        return
    elif size is not None:
        size = size.less(shared_bytes(view, stage)) if stage.op == "map" else size
    if size is None:
        yield _no_size("parallel", stage)
    else:
        yield _predict_elements(view, "parallel", stage, count, what=what, size=size, note=note)


def _batch(view: PipelineView, stage: StageView) -> Iterator[BufferPrediction | UnknownSize]:
    for portion in portions(view, stage):
        if portion.size is None:
            yield _no_size("batch", stage)
        elif portion.size.bytes:
            yield _predict_elements(view, "batch", stage, portion.count, what=portion.what, size=portion.size)


def _predict_elements(
    view: PipelineView,
    owner: Owner,
    stage: StageView,
    count: int,
    *,
    what: str,
    size: Size,
    overhead: int = 0,
    note: str = "",
    kept: float = 0.0,
) -> BufferPrediction:
    """Predict ``count`` elements in every open copy of the stage, and what they keep alive."""
    many = open_copies(view, stage)
    total = round(many * (count * (size.bytes + overhead) + kept))
    open_ones = f"{many} open × " if many > 1 else ""
    each = f"({size.words} + {in_words(overhead)})" if overhead else size.words
    at_most = owner == "shuffle" and bool(note)
    rest = f" + {in_words(kept)} of the tensors that they are slices of" if kept else ""
    of_what = what.replace("elements", "element", 1) if count == 1 else what
    formula = f"{open_ones}{count:,} {of_what} × {each}{rest}{note}"
    return BufferPrediction(
        owner,
        stage.id,
        total,
        "predicted",
        formula,
        at_most=at_most,
        at_least=size.partial,
        count=many * count,
        pooled=round(many * (count * size.bytes * pooled_share(view, owner, stage) + kept)),
    )


def pooled_share(view: PipelineView, owner: Owner, stage: StageView) -> float:
    """Return the share of an element's bytes that lies in the pool."""
    given = stage if owner in ("parallel", "batch", "consumer") else view.input_of(stage) or stage
    if owner == "parallel":
        given = fused_batch(view, stage) or stage
    sizes = _sizes(view, given)
    return sum(size for size in sizes if size >= POOLED_FROM) / sum(sizes) if sum(sizes) else 0.0


def _sizes(view: PipelineView, given: StageView) -> list[float]:
    """Return bytes of an element's components; those that shapes leave open have equal parts of the measured rest."""
    every = components(view, given)
    known = [component.nbytes for component in every if component.nbytes is not None]
    rest = [component.dtype for component in every if component.nbytes is None]
    if not rest or given.element_bytes is None or not {"string", "variant"}.isdisjoint(rest):
        return [float(size) for size in known]
    return [*map(float, known), *[max(0.0, given.element_bytes - sum(known)) / len(rest)] * len(rest)]


def small_bytes(view: PipelineView, stage: StageView) -> float:
    """Return an element's bytes in blocks so small that they leave holes; the letters of texts have separate blocks."""
    one = giver(view, stage)
    below = GENERATED_BELOW if one is not None and traits(one.op).python_iterator else POOLED_FROM
    sizes = [component.nbytes or 0 for component in stage.element or () if component.dtype != "string"]
    return float(sum(size for size in sizes if size < below) + VIEW_BYTES * text_views(view, stage))


def counted(view: PipelineView, stage: StageView) -> bool:
    """Return whether a stage's elements are numbers that the pipeline generates itself."""
    one = giver(view, stage)
    return one is not None and traits(one.op).generates_numbers


def pool_bytes_per_cached_byte(view: PipelineView, cache: StageView) -> float:
    """Estimate bytes of the pool in use per cached byte while the cached elements are batched.

    The pool takes the smallest free piece that is large enough and splits it only if the rest is as large again. A
    freed batch has room for one element less than it held, unless these are multiples of 256 bytes: the last
    one takes the rest as well. So of every batch one element lies elsewhere.
    """
    above = next(
        (stage for stage in view.above(cache) if not traits(stage.op).consecutive or traits(stage.op).stores), None
    )
    size = above.arguments.get("batch_size") if above is not None and above.op == "batch" else None
    sizes = [component.nbytes for component in cache.element or ()]
    if not isinstance(size, int) or size < 2 or not sizes or None in sizes:
        return 1.0
    known = [size for size in sizes if size is not None]
    more = (
        sum(number for number in known if number >= POOLED_FROM and _round_up(size * number) < size * _round_up(number))
        / size
    )
    return 1 + more / sum(known) if sum(known) else 1.0


def _round_up(nbytes: int) -> int:
    return -(-nbytes // POOL_UNIT_BYTES) * POOL_UNIT_BYTES


def own_share(view: PipelineView, stage: StageView) -> float:
    """Return the share (0 to 1) of an output element's bytes of `stage` that is no view of a source's tensors."""
    size = element_size(view, stage)
    return size.less(shared_bytes(view, stage)).bytes / size.bytes if size is not None and size.bytes else 1.0


def _limit_count(count: int, stage: StageView) -> int:
    return count if stage.elements is None or stage.elements == INFINITE else min(count, stage.elements)


def _alias(owner: Owner, stage: StageView, holder: StageView) -> BufferPrediction:
    return BufferPrediction(owner, stage.id, 0, "alias", f"views of the tensors of {holder.label}")


def _no_size(owner: Owner, stage: StageView) -> UnknownSize:
    return UnknownSize(owner, stage.id, "the size of an element is unknown before a run")
