"""The graphs of datasets, to be compared (worker only: needs TensorFlow)."""

from __future__ import annotations

import math
from typing import Any

from pipeprof.pipelines.describe.compare import Difference, differences
from pipeprof.pipelines.describe.plain_graph import PlainGraph, plain
from pipeprof.pipelines.graph.reading import serialised


class Graphs:
    """A dataset's graph as it was written and as TensorFlow would run it.

    Args:
        tf: The module tensorflow.
        dataset: The dataset.
        in_memory: Bytes that its sources hold in memory.

    Attributes:
        written: The graph; a text that says why there is none.
        executed: The same of the other one.
    """

    def __init__(self, tf: Any, dataset: Any, in_memory: int) -> None:
        self._tf = tf
        self.written = self._plain(dataset, in_memory)
        self.executed = self.written if isinstance(self.written, str) else self._plain(self._final(dataset), in_memory)

    def _plain(self, dataset: Any, in_memory: int) -> PlainGraph | str:
        graph = serialised(dataset, in_memory=in_memory)
        return graph if isinstance(graph, str) else plain(graph, self._digest)

    def _final(self, dataset: Any) -> Any:
        """The dataset after the rewrites that iterating it would apply."""
        tf, spec = self._tf, dataset.element_spec
        variant = tf.raw_ops.FinalizeDataset(
            input_dataset=tf.data.experimental.to_variant(dataset),
            has_captured_ref=False,
            output_types=tf.nest.flatten(tf.compat.v1.data.get_output_types(dataset), expand_composites=True),
            output_shapes=tf.nest.flatten(tf.compat.v1.data.get_output_shapes(dataset), expand_composites=True),
        )
        return tf.data.experimental.from_variant(variant, spec)

    def _digest(self, tensor: Any) -> tuple[str, tuple[int, ...], Any]:
        dtype = str(self._tf.as_dtype(tensor.dtype).name)
        shape = tuple(int(one.size) for one in tensor.tensor_shape.dim)
        if dtype == "string":
            texts = tuple(tensor.string_val)
            # A single one stands for all where they are equal.
            return dtype, shape, texts * math.prod(shape) if len(texts) == 1 else texts
        if dtype in ("resource", "variant"):
            return dtype, shape, None
        return dtype, shape, self._tf.make_ndarray(tensor).tobytes()


def compare(first: Graphs, second: Graphs) -> tuple[list[Difference], list[Difference]] | str:
    """Where two datasets differ as written, and as executed; or why that could not be told."""
    parts = (first.written, second.written, first.executed, second.executed)
    for part in parts:
        if isinstance(part, str):
            return part
    one, other, one_executed, other_executed = (part for part in parts if not isinstance(part, str))
    return differences(one, other), differences(one_executed, other_executed)
