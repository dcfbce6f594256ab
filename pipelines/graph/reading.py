"""Reading a dataset's graph as written and as TensorFlow would run it (worker only: needs TensorFlow).

Both are read without running anything: ``DatasetToGraphV2`` serialises a dataset, ``FinalizeDataset`` applies first the
rewrites that ``iter()`` would apply. For a while this takes three (written) to four times (executed) the bytes that the
pipeline's sources and captured tensors hold in memory, and beyond 2 GB it yields nothing, without an error: sizes are
looked at before (`in_memory_bytes`), and above `SERIALISABLE_BYTES` a `GraphDict` with a ``reason`` and no nodes is
returned.

The format of the result is described in `pipeprof.pipelines.graph.records`.
"""

from __future__ import annotations

from typing import Any, Final

from pipeprof.pipelines.graph.bodies import Reader
from pipeprof.pipelines.graph.places import enclosing_stage
from pipeprof.pipelines.graph.records import GraphDict
from pipeprof.pipelines.graph.snapshots import RawSnapshot, snapshot_model, take_snapshot

__all__ = [
    "SERIALISABLE_BYTES",
    "RawSnapshot",
    "enclosing_stage",
    "in_memory_bytes",
    "read_executed",
    "read_written",
    "snapshot_model",
    "take_snapshot",
]

SERIALISABLE_BYTES: Final = 10**9
_IGNORE_EXTERNAL_STATE: Final = 1


def in_memory_bytes(dataset: Any) -> int | None:
    """Bytes of tensors that ``dataset`` and its functions hold in memory, or None if TensorFlow does not tell.

    Strings count with the size of their handle only.
    """
    seen: set[int] = set()
    total = 0
    todo = [dataset]
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        inputs, functions = getattr(one, "_inputs", None), getattr(one, "_functions", None)
        if inputs is None or functions is None:
            return None
        todo.extend(inputs())
        tensors = list(getattr(one, "_tensors", ()))
        for wrapped in functions():
            tensors.extend(getattr(getattr(wrapped, "function", None), "captured_inputs", ()))
        for tensor in tensors:
            if id(tensor) not in seen:
                seen.add(id(tensor))
                total += _tensor_bytes(tensor)
    return total


def read_written(dataset: Any, *, in_memory: int | None = None) -> GraphDict:
    """The graph of ``dataset`` as its user wrote it.

    Args:
        dataset: A ``tf.data.Dataset``.
        in_memory: Bytes its sources hold in memory, where the caller knows; else they are looked up.
    """
    import tensorflow as tf

    reason = _too_large(dataset, in_memory)
    return _without_graph(reason) if reason else _read_variant(tf.data.experimental.to_variant(dataset))


def read_executed(dataset: Any, *, in_memory: int | None = None, written: GraphDict | None = None) -> GraphDict:
    """The graph of ``dataset`` as TensorFlow would run it with the dataset's own options.

    Args:
        dataset: A ``tf.data.Dataset``.
        in_memory: Bytes its sources hold in memory, where the caller knows; else they are looked up.
        written: The graph from `read_written`, which saves serialising it once more.
    """
    import tensorflow as tf

    reason = _too_large(dataset, in_memory)
    if reason:
        return _without_graph(reason)
    written = written or read_written(dataset, in_memory=in_memory)
    if written["root"] is None:
        return written
    root = next(node for node in written["nodes"] if node["id"] == written["root"])
    try:
        variant = tf.raw_ops.FinalizeDataset(
            input_dataset=tf.data.experimental.to_variant(dataset),
            has_captured_ref=False,
            output_types=[tf.dtypes.as_dtype(name) for name in root["output_types"]],
            output_shapes=[tf.TensorShape(shape) for shape in root["output_shapes"]],
        )
    except tf.errors.OpError as error:
        return _without_graph(f"TensorFlow could not finalise the dataset: {error.message}")
    return _read_variant(variant)


def _read_variant(variant: Any) -> GraphDict:
    import tensorflow as tf

    try:
        text = tf.raw_ops.DatasetToGraphV2(input_dataset=variant, external_state_policy=_IGNORE_EXTERNAL_STATE).numpy()
    except tf.errors.OpError as error:
        return _without_graph(f"TensorFlow could not serialise the dataset: {error.message}")
    if not text:
        return _without_graph("TensorFlow returned an empty graph, as it does beyond 2 GB")
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(text)
    return Reader(graph, lambda enum: str(tf.dtypes.as_dtype(enum).name)).read()


def _too_large(dataset: Any, in_memory: int | None) -> str | None:
    size = in_memory if in_memory is not None else in_memory_bytes(dataset)
    if size is None or size <= SERIALISABLE_BYTES:
        return None
    return f"the pipeline holds {size / 1e9:.1f} GB in memory; graphs are read up to {SERIALISABLE_BYTES / 1e9:.0f} GB"


def _without_graph(reason: str) -> GraphDict:
    return {"root": None, "reason": reason, "nodes": []}


def _tensor_bytes(tensor: Any) -> int:
    shape, dtype = getattr(tensor, "shape", None), getattr(tensor, "dtype", None)
    count = shape.num_elements() if shape is not None and hasattr(shape, "num_elements") else None
    return int(count) * int(getattr(dtype, "size", 0) or 0) if count is not None else 0
