"""Prediction of a pipeline's memory from its view alone: for each stage, what its buffer holds times the element size.

Every number was measured on TensorFlow 2.21. What is unknown before a run is left out, with a reason, never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.constants import AUTOTUNE, INFINITE
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.constants import (
    ARRAY_COPIES,
    AUTOTUNED_PREFETCH,
    BUFFER_HOLES,
    CACHE_OVERHEAD_BYTES,
    CAPTURED_CONSTANT_COPIES,
    COMPONENT_BYTES,
    COUNTED_BYTES,
    DOUBLED_UP_TO,
    DROPPED_COPIES,
    ELEMENT_BYTES,
    GENERATED_BELOW,
    MOST_FUSED_BATCHES,
    OPENED_AHEAD,
    POOL_UNIT_BYTES,
    POOLED_FROM,
    RESEEDED_COPIES,
    RESULTS_AHEAD,
    SOURCE_CONSTANT_COPIES,
    STEADY_ARRAY_COPIES,
    STEADY_CONSTANT_COPIES,
    VIEW_BYTES,
)
from pipeprof.profiles.memory.element_size import (
    Size,
    batch_size_of,
    bytes_kept_by_slices,
    cache_above,
    components,
    element_size,
    giver,
    holder,
    is_kept,
    own_components,
    own_size,
    text_views,
)
from pipeprof.profiles.view.view import PipelineView, StageView, owners

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import How, Owner

LEAST_IN_STEP = 4_000_000
"""Bytes of an element from which it is counted in the step: less is negligible next to any buffer."""
ADDED = "injected.0"
"""Name of the prefetch that TensorFlow adds, as in a run."""
_OPTIMIZATION = "experimental_optimization"
_GROWTH, _LEAST_GROWTH = 0.2, 10_000_000
"""Share of a prediction, its intended accuracy, and bytes, from which a growth is reported."""


@dataclass(frozen=True)
class BufferPrediction:
    """Predicted bytes of a stage at the peak: `count` times `each`.

    Attributes:
        bytes: Bytes; 0 for what is only a view of another stage's tensors.
        count: Elements held, in every open copy of the stage together; of a source, copies of its array.
        at_most: Whether there may be less, since the number of elements is not known.
        at_least: Whether there is more, since the size of a component is not known.
        steady: Bytes once the iterator has been made, where that is less.
        most: Bytes that a tuned prefetch may grow to: it doubles its buffer whenever that was full and later empty
            (512 elements of 1 MB were reached in 8 s).
    """

    owner: Owner
    stage: str
    bytes: int
    how: How = "predicted"
    count: float | None = None
    at_most: bool = False
    at_least: bool = False
    steady: int | None = None
    most: int | None = None

    @property
    def each(self) -> float:
        """Bytes of one element, what it takes beyond its values included."""
        return self.bytes / self.count if self.count else 0.0

    @property
    def growth(self) -> int:
        """Bytes by which TensorFlow may let it grow."""
        return max(0, (self.most or 0) - self.bytes)


@dataclass(frozen=True)
class UnknownSize:
    """A stage that holds tensors of unknown size, and why."""

    owner: Owner
    stage: str
    reason: str


@dataclass(frozen=True)
class MemoryPrediction:
    """Memory of a pipeline, in addition to TensorFlow's own."""

    held: tuple[BufferPrediction, ...]
    unknown: tuple[UnknownSize, ...]

    @cached_property
    def total_bytes(self) -> int:
        """Sum of the known bytes; a lower bound if a size is unknown."""
        return sum(one.bytes for one in self.held)

    @cached_property
    def peak_bytes(self) -> int:
        """The largest sum at a time: either while sources and the iterator are made, or when all buffers are full."""
        making = sum(one.bytes for one in self.held if one.steady is not None)
        return max(making, self.running_bytes)

    @cached_property
    def running_bytes(self) -> int:
        """The sum once the iterator has been made and all buffers are full."""
        return sum(one.bytes if one.steady is None else one.steady for one in self.held)

    @property
    def growing(self) -> list[BufferPrediction]:
        """What TensorFlow may let grow by so much that the prediction does not say how large it is."""
        return [one for one in self.held if one.growth >= max(_LEAST_GROWTH, _GROWTH * self.peak_bytes)]

    @cached_property
    def by_stage(self) -> dict[str, list[BufferPrediction]]:
        """Predicted bytes of each stage, by its id."""
        found: dict[str, list[BufferPrediction]] = {}
        for one in self.held:
            found.setdefault(one.stage, []).append(one)
        return found


def memory_prediction(view: PipelineView, *, kept: bool = True) -> MemoryPrediction:
    """Predict bytes by owner, or why not; once for each view. `kept`: the program keeps its in-memory arrays."""
    predictions: dict[str, MemoryPrediction] = view.kept("memory")
    question = "kept" if kept else "dropped"
    if question not in predictions:
        predictions[question] = _predict(view, kept=kept)
    return predictions[question]


def _predict(view: PipelineView, *, kept: bool) -> MemoryPrediction:
    view = foreseen(view) if view.unseen else view
    found = [one for stage in view.stages for one in _of_stage(view, stage, kept=kept)]
    found += _in_step(view)
    return MemoryPrediction(
        tuple(one for one in found if isinstance(one, BufferPrediction)),
        tuple(one for one in found if isinstance(one, UnknownSize)),
    )


def _of_stage(view: PipelineView, stage: StageView, *, kept: bool) -> Iterator[BufferPrediction | UnknownSize]:
    row, below = traits(stage.op), view.input_of(stage)
    yield from _arrays(view, stage, kept=kept)
    if _is_elsewhere(view, stage):
        return
    if row.maps or row.interleaves:
        yield from _calls(view, stage)
    elif row.unpredicted is not None:
        yield UnknownSize(row.holds or "parallel", stage.id, row.unpredicted)
    elif below is None:
        return
    elif stage.op in ("prefetch", "shuffle") or is_kept(stage):
        yield from _buffer(view, stage, below)
    elif isinstance(sizes := stage.arguments.get("bucket_batch_sizes"), list):
        # A window of elements for each bucket, all but full.
        yield _elements(view, "batch", stage, sum(sizes), element_size(view, below))
    elif row.unbatches and holder(view, below) is None:
        # The batch that it splits; of a rebatch, or the parts that it joins.
        sizes = [element_size(view, below), element_size(view, stage) if row.rebatches else None]
        largest = max((one for one in sizes if one is not None), key=lambda one: one.bytes, default=None)
        yield _elements(view, "batch", stage, 1, largest)
    elif row.batches and not row.unbatches and _collects(view, stage):
        # The elements and the batch that they are copied to, for each of its calls.
        copies = 1 if holder(view, below) is not None else 2
        yield _elements(view, "batch", stage, copies * (parallel_calls(view, stage) or 1), element_size(view, stage))


def _is_elsewhere(view: PipelineView, stage: StageView) -> bool:
    """Whether the workers of a tf.data service hold what a stage holds, but for its arrays."""
    around = (stage, *owners(view, stage))
    return any(view.ever_after(one, "service", lambda reader: bool(traits(reader.op).remote)) for one in around)


def _arrays(view: PipelineView, stage: StageView, *, kept: bool) -> Iterator[BufferPrediction]:
    """Yield the arrays of a source in memory and the constants of a function, with the copies that TensorFlow makes."""
    size = stage.source_bytes if traits(stage.op).in_memory else None
    if size and stage.constant:
        copies = CAPTURED_CONSTANT_COPIES if stage.owner is not None else SOURCE_CONSTANT_COPIES
        yield _copies(stage, size, copies, STEADY_CONSTANT_COPIES)
    elif size:
        let_go = RESEEDED_COPIES if view.ever_after(stage, "shuffle", lambda above: above.op == "shuffle") else 0
        fewer, later = (let_go, 0.0) if kept else (DROPPED_COPIES, DROPPED_COPIES)
        yield _copies(stage, size, ARRAY_COPIES - fewer, STEADY_ARRAY_COPIES - later)
    captured = (stage.function.constant_bytes if stage.function is not None else None) or 0
    # Sources inside have their own rows.
    captured -= sum(one.source_bytes or 0 for one in view.inside(stage) if one.owner == stage.id and one.constant)
    if captured > 0:
        yield _copies(stage, captured, CAPTURED_CONSTANT_COPIES, STEADY_CONSTANT_COPIES)


def _copies(stage: StageView, size: int, copies: float, steady: float) -> BufferPrediction:
    return BufferPrediction("source", stage.id, round(copies * size), count=copies, steady=round(steady * size))


def _buffer(view: PipelineView, stage: StageView, below: StageView) -> Iterator[BufferPrediction | UnknownSize]:
    owner: Owner = "shuffle" if stage.op == "shuffle" else "prefetch" if stage.op == "prefetch" else "cache"
    buffer = AUTOTUNED_PREFETCH if is_tuned(stage) else stage.arguments.get("buffer_size")
    count = _limit(buffer, below) if isinstance(buffer, int) and owner != "cache" else below.elements
    if buffer == 0 or (buffer is None and owner != "cache"):
        return
    if owner == "cache" and below.elements == INFINITE:
        yield UnknownSize(owner, stage.id, "its input has no end")
    elif holder(view, below) is not None or (owner == "shuffle" and cache_above(view, stage) is not None):
        yield BufferPrediction(owner, stage.id, 0, "alias")
    elif count is None or count < 0:
        yield UnknownSize(owner, stage.id, "the number of elements is unknown")
    elif owner == "prefetch":
        most = _limit(DOUBLED_UP_TO, below) if is_tuned(stage) else None
        yield _elements(view, owner, stage, count, element_size(view, below), most=most)
    else:
        size = own_size(view, below)
        if size is not None:
            size = replace(size, bytes=_kept_bytes(view, stage, below, size.bytes, count))
        at_most = owner == "shuffle" and below.elements is None
        yield _elements(view, owner, stage, count, size, at_most=at_most)


def _kept_bytes(view: PipelineView, stage: StageView, below: StageView, nbytes: float, count: int) -> float:
    """Return bytes that each of so many elements takes in a shuffle or a cache, its own and what comes with them."""
    if stage.op == "shuffle":
        return nbytes + shuffle_overhead(view, below) + bytes_kept_by_slices(view, below, count) / max(1, count)
    return nbytes * _pool_bytes_per_cached_byte(view, stage, nbytes) + cache_overhead(own_components(view, below))


def _calls(view: PipelineView, stage: StageView) -> Iterator[BufferPrediction | UnknownSize]:
    """Yield the results of a map's calls, or the batches that it fills itself; of an interleave what lies ready."""
    calls, batch = parallel_calls(view, stage), fused_batch(view, stage)
    if batch is not None:
        # It begins with as many as its calls fill, and takes one more whenever a call is free while the next batch is
        # waited for: with calls of even length that happens once.
        begun = math.ceil((calls or 1) / (batch_size_of(batch) or 1)) + ((calls or 1) > 1)
        yield _elements(view, "parallel", stage, min(begun, MOST_FUSED_BATCHES), element_size(view, batch))
    elif calls is not None:
        count = _results_ready(view, stage) if traits(stage.op).interleaves else calls
        yield _elements(view, "parallel", stage, count, element_size(view, stage))


def _in_step(view: PipelineView) -> Iterator[BufferPrediction | UnknownSize]:
    """Yield the element in the step, and the next one where that is complete before the step releases its own."""
    root = view.root
    size = element_size(view, root) if root is not None else None
    if root is None or size is None or size.partial or size.bytes < LEAST_IN_STEP or holder(view, root) is not None:
        return
    ahead = runs_ahead(view, root) or any(one.injected and one.op == "prefetch" for one in view.readers(root))
    made_by = (view.input_of(root) if root.op == "prefetch" else root) or root
    # A batch with a single call collects its elements first, which is counted there.
    ahead = ahead and not (_collects(view, made_by) and parallel_calls(view, made_by) is None)
    yield _elements(view, "consumer", root, 2 if ahead else 1, size)


def _collects(view: PipelineView, stage: StageView) -> bool:
    """Whether a batch copies its elements itself: no map writes them into it."""
    below = view.input_of(stage)
    return bool(traits(stage.op).batches) and (below is None or fused_batch(view, below) is None)


def _elements(
    view: PipelineView,
    owner: Owner,
    stage: StageView,
    count: int,
    size: Size | None,
    *,
    at_most: bool = False,
    most: int | None = None,
) -> BufferPrediction | UnknownSize:
    """Predict `count` elements in every open copy of the stage, and `most` that it may grow to."""
    if size is None:
        return UnknownSize(owner, stage.id, "the size of an element is unknown before a run")
    copies = open_copies(view, stage)
    return BufferPrediction(
        owner,
        stage.id,
        round(copies * count * size.bytes),
        count=copies * count,
        at_most=at_most,
        at_least=size.partial,
        most=round(copies * most * size.bytes) if most is not None else None,
    )


def is_tuned(stage: StageView) -> bool:
    """Return whether TensorFlow chooses how much a prefetch holds."""
    size = stage.arguments.get("buffer_size", AUTOTUNE if stage.injected else None)
    return stage.op == "prefetch" and (size == AUTOTUNE or (isinstance(size, int) and size < 0))


def _limit(count: int, stage: StageView) -> int:
    return count if stage.elements is None or stage.elements == INFINITE else min(count, stage.elements)


def shuffle_overhead(view: PipelineView, below: StageView) -> int:
    """Return an element's bytes in a shuffle's buffer beyond its values, gaps between blocks included.

    Blocks of one size, as of views of strings, leave no gaps; nor do those in the pool.
    """
    many, counted = own_components(view, below), traits(giver(view, below).op).generates_numbers
    overhead = ELEMENT_BYTES + (COUNTED_BYTES if counted else COMPONENT_BYTES * many)
    if not many:
        return overhead
    sizes = [one.nbytes or 0 for one in below.element or () if one.dtype != "string"]
    least = GENERATED_BELOW if traits(giver(view, below).op).python_iterator else POOLED_FROM
    small = sum(size for size in sizes if size < least) + VIEW_BYTES * text_views(view, below)
    own = own_size(view, below)
    return round(overhead + BUFFER_HOLES * (overhead + min(small, own.bytes if own is not None else small)))


def cache_overhead(components: int) -> int:
    """Return bytes that an element with this many tensors of its own takes in a cache in addition to its values."""
    return CACHE_OVERHEAD_BYTES + (CACHE_OVERHEAD_BYTES - ELEMENT_BYTES) * (components - 1)


def _pool_bytes_per_cached_byte(view: PipelineView, cache: StageView, nbytes: float) -> float:
    """Estimate bytes of the pool in use per cached byte while the cached elements are batched.

    A freed batch has room in the pool for one element less than it held, unless these are multiples of 256 bytes: so of
    every batch one element lies elsewhere.
    """
    above = next((one for one in view.above(cache) if not traits(one.op).consecutive or traits(one.op).stores), None)
    rows = batch_size_of(above) if above is not None and above.op == "batch" else None
    return 1 + 1 / rows if rows and rows > 1 and nbytes >= POOLED_FROM and nbytes % POOL_UNIT_BYTES else 1.0


def pooled_share(view: PipelineView, stage: StageView) -> float:
    """Return the share of an element's bytes that lies in TensorFlow's pool."""
    sizes = [one.nbytes or 0 for one in components(view, stage)]
    if not sum(sizes):
        return float((stage.element_bytes or 0) >= POOLED_FROM)
    return sum(size for size in sizes if size >= POOLED_FROM) / sum(sizes)


# How TensorFlow runs what is written: maps become parallel, and a prefetch is added at the end (map_parallelization,
# inject_prefetch); both need AUTOTUNE.


def rewritten(view: PipelineView) -> bool:
    """Return whether TensorFlow rewrites the pipeline's graph."""
    return view.options.get(f"{_OPTIMIZATION}.apply_default_optimizations") is not False


def foreseen(view: PipelineView) -> PipelineView:
    """Apply TensorFlow's default rewrites to the view."""
    if not rewritten(view) or view.options.get("autotune.enabled") is False:
        return view
    if view.options.get(f"{_OPTIMIZATION}.map_parallelization") is not False:
        stages = [replace(stage, made_parallel=True) if _is_made_parallel(stage) else stage for stage in view.stages]
        view = replace(view, stages=tuple(stages))
    root = view.root
    off = view.options.get(f"{_OPTIMIZATION}.inject_prefetch") is False
    if root is None or off or runs_ahead(view, root):
        return view
    added = StageView(
        id=ADDED,
        op="prefetch",
        inputs=(root.id,),
        arguments={"buffer_size": AUTOTUNE},
        element=root.element,
        elements=root.elements,
        injected=True,
    )
    return replace(view, stages=(*view.stages, added))


def _is_made_parallel(stage: StageView) -> bool:
    """Return whether TensorFlow makes the stage parallel: a serial map known to be stateless, outside of functions."""
    function = stage.function
    if stage.op != "map" or stage.owner is not None or function is None or function.ops is None:
        return False
    tables = any(op.startswith(("HashTable", "LookupTable")) for op in function.ops)
    serial = stage.arguments.get("num_parallel_calls") is None
    return serial and function.stateful_op is None and not function.python and not tables


def runs_ahead(view: PipelineView, root: StageView) -> bool:
    """Return whether the last stage produces elements ahead of demand."""
    below = view.input_of(root)
    if root.op == "prefetch" or root.made_parallel:
        return True
    if traits(root.op).parallel and root.arguments.get("num_parallel_calls") is not None:
        return True
    return below is not None and fused_batch(view, below) is root


def parallel_calls(view: PipelineView, stage: StageView) -> int | None:
    """Return the number of parallel calls; ``None`` for a serial stage."""
    calls = stage.arguments.get("num_parallel_calls")
    if isinstance(calls, int) and calls > 0:
        return calls if calls > 1 else None
    if calls is None and not stage.made_parallel:
        return None
    seen = stage.measured.parallelism if stage.measured is not None else None
    return max(1, math.ceil(seen if seen is not None else view.cores))


def fused_batch(view: PipelineView, stage: StageView) -> StageView | None:
    """Return the batch fused with a map, by the executed graph or the optimizer's rule.

    TensorFlow fuses a map, also one with a single call at a time, with the batch that alone reads it, unless that has
    calls of its own or default optimizations are off.
    """
    readers = [reader for reader in view.readers(stage) if not reader.injected]
    if len(readers) != 1 or (stage.op, readers[0].op) != traits("MapAndBatch").parts:
        return None
    if stage.executed_op:
        return readers[0] if "MapAndBatch" in stage.executed_op else None
    off = not rewritten(view) or view.options.get(f"{_OPTIMIZATION}.map_and_batch_fusion") is False
    return None if off or readers[0].arguments.get("num_parallel_calls") is not None else readers[0]


def open_copies(view: PipelineView, stage: StageView) -> int:
    """Return the number of copies of a stage: one for each open inner pipeline of its owners."""
    copies = 1
    for owner in owners(view, stage):
        copies *= _open_inner(view, owner) if traits(owner.op).interleaves else 1
    return copies


def _open_inner(view: PipelineView, interleave: StageView) -> int:
    cycle = interleave.arguments.get("cycle_length")
    count = cycle if isinstance(cycle, int) and cycle > 0 else max(1, math.ceil(view.cores))
    if interleave.arguments.get("num_parallel_calls") is not None:
        count *= 1 + OPENED_AHEAD
    given = view.input_of(interleave)
    return max(1, _limit(count, given)) if given is not None else count


def _results_ready(view: PipelineView, interleave: StageView) -> int:
    """Elements ready in a parallel interleave: 216 in 24 open ones with blocks of 4, 141 in 48 with blocks of 1."""
    length = interleave.arguments.get("block_length")
    block = length if isinstance(length, int) and length > 0 else 1
    return _open_inner(view, interleave) * (RESULTS_AHEAD * block + 1)
