"""``from-tensor-slices-big-array``: an array that is held several times over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeprof.profiles.advise.edits import ReplaceStage
from pipeprof.profiles.advise.rule import Draft, Predicted, Rule, Threshold
from pipeprof.profiles.advise.sizes import BATCHES, MEMORY_GATE, Weight, weigh
from pipeprof.profiles.advise.view import Component, PipelineView, StageView
from pipeprof.profiles.explain.words import size

_ORDERING = frozenset({"shuffle", "repeat", "take", "skip", "shard", "prefetch"})


class FromTensorSlicesBigArray(Rule):
    """A big array as the source."""

    name = "from-tensor-slices-big-array"
    title = "A big array is held several times over"
    family = "memory"
    semantics = "same"
    seen = (
        "from_tensor_slices over arrays in memory that are a large part of what the worker takes, or of what it may "
        "take."
    )
    why = (
        "from_tensor_slices copies the array into a tensor; making the iterator copies it once more while the graph is "
        "rewritten, and TensorFlow's CPU allocator never gives that memory back. With the array itself these are 3.1 "
        "times its bytes for as long as the pipeline lives. At the peak it is 4.1 times, since TensorFlow lets go of "
        "its reference to the array's first copy only at the next conversion. What stands above the source changes "
        "none of it: with batch(), and with batch() and prefetch(), the peak is the same."
    )
    fix = (
        "Keep the rows in a file and read them as they are needed: a memory map (np.load with mmap_mode='r') behind "
        "range and a map that gathers a batch of rows by their indices, or FixedLengthRecordDataset or TFRecord files. "
        "A gathered batch costs about 0.1 ms more than a sliced one. If the array must stay in memory: float32 "
        "instead of NumPy's default float64 halves every copy, and deleting the array once the dataset is made saves "
        "one."
    )
    ignore_when = "Four times the array fits into memory and nothing else needs the room."
    thresholds = (
        *MEMORY_GATE,
        Threshold("steady-copies", 3.1, "times the array", "measured on 400 MB: array, tensor, the allocator's rest"),
        Threshold("peak-copies", 4.1, "times the array", "measured on 400 MB, with batch() and without"),
    )

    def check(self, view: PipelineView) -> Iterable[Draft]:
        """From the bytes of the arrays; constants of a graph are the subject of another rule."""
        for stage in view.stages:
            if stage.op != "from_tensor_slices" or not stage.source_bytes or stage.constant:
                continue
            weight = weigh(stage.source_bytes, view)
            if weight.matters:
                yield self._draft(view, stage, stage.source_bytes, weight)

    def _draft(self, view: PipelineView, stage: StageView, nbytes: int, weight: Weight) -> Draft:
        steady = round(self.threshold("steady-copies") * nbytes)
        peak = round(self.threshold("peak-copies") * nbytes)
        saved = peak - nbytes
        wide = _float64_bytes(stage, nbytes)
        batch = any(above.op in BATCHES for above in view.above(stage))
        compared = weight.words(peak)
        narrower = (
            f" As float32, every copy of its {size(wide)} of float64 would be half as large; the model sees rounded "
            "values then."
            if wide
            else ""
        )
        return Draft(
            stage=stage.id,
            sentence=(
                f"{stage.words} slices {size(nbytes)} of arrays. Array, tensor and what the allocator keeps of the "
                f"iterator's copy are {size(steady)} for as long as the pipeline lives, and {size(peak)} at the peak"
                f"{f': {compared}' if compared else ''}. "
                + ("The batch() above it does not change that." if batch else "A batch() would not change that.")
            ),
            recommendation=(
                "Read the rows from a memory map or from files as they are needed, instead of holding all of them as "
                f"tensors.{narrower}"
            ),
            evidence={
                "source_bytes": nbytes,
                "steady_bytes": steady,
                "peak_bytes": peak,
                **({"float64_bytes": wide} if wide else {}),
                **weight.evidence(),
            },
            edits=(_memory_map(view, stage),),
            predicted=Predicted(
                f"-({self.threshold('peak-copies'):g} - 1) x {size(nbytes)}: of the mapped file at most its own size "
                "stays resident, and the system takes that back when it needs room",
                peak_rss_delta_bytes=-saved,
            ),
        )


def _float64_bytes(stage: StageView, nbytes: int) -> int:
    """Bytes of the arrays that are float64."""
    known = [(one.dtype, one.nbytes) for one in stage.element or ()]
    total = sum(width or 0 for _, width in known)
    if not total or any(width is None for _, width in known):
        return 0
    return round(nbytes * sum(width or 0 for dtype, width in known if dtype == "float64") / total)


def _memory_map(view: PipelineView, stage: StageView) -> ReplaceStage:
    """Indices in the place of the rows, and a map that gathers a batch of rows."""
    components = stage.element or ()
    last, batch = stage, None
    while batch is None and len(view.readers(last)) == 1:
        above = view.readers(last)[0]
        if above.op not in (*_ORDERING, "batch"):
            break
        last, batch = above, above if above.op == "batch" else None
    where = f"after {last.id}" if last is not stage else "right after it"
    stop = f"{stage.elements}" if stage.elements is not None and stage.elements > 0 else "…"
    yaml = [
        f"range: {{stop: {stop}}}   # {stage.id}: indices instead of rows",
        f'- map: {{python: "rows.py:read"}}   # {where}',
    ]
    return ReplaceStage(stage.id, yaml="\n".join(yaml), python=_python(stage, components, stop, where, batch))


def _python(stage: StageView, components: tuple[Component, ...], stop: str, where: str, batch: StageView | None) -> str:
    tensors = stage.arguments.get("tensors")
    path = tensors.get("npy") if isinstance(tensors, Mapping) else None
    name = path if isinstance(path, str) and len(components) <= 1 else "rows.npy"
    lines = [f"rows = np.load({name!r}, mmap_mode='r')  # written once with np.save"]
    if len(components) > 1:
        lines = ["columns = [np.load(path, mmap_mode='r') for path in (…)]  # each written once with np.save"]
        types = ", ".join(f"tf.{one.dtype}" for one in components)
        call = f"tf.numpy_function(lambda j: [column[j] for column in columns], [i], [{types}])"
    else:
        dtype = components[0].dtype if components else "float32"
        call = f"tf.numpy_function(lambda j: rows[j], [i], tf.{dtype})"
        shape = components[0].shape if components else None
        if shape is not None:
            dimensions = ", ".join(str(one) for one in ((None, *shape) if batch is not None else shape))
            call = f"tf.ensure_shape({call}, [{dimensions}])"
    lines += [
        f"dataset = tf.data.Dataset.range({'len(rows)' if stop == '…' else stop})",
        f"dataset = dataset.map(lambda i: {call})  # {where}",
    ]
    return "\n".join(lines)
