"""The graphs of datasets, to be compared (worker only: needs TensorFlow)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from integration.graph_compare import PlainGraph, plain_graph

from pipeprof.pipelines.graph.observe.reading import serialised

LARGEST_VALUE: Final = 10_000
"""Bytes of a constant above which a hash stands for them: two graphs with an array each are compared, not kept."""


class GraphPair:
    """A dataset's graph as it was written and as TensorFlow would run it."""

    def __init__(self, tf: Any, dataset: Any, in_memory: int) -> None:
        self._tf = tf
        self.element = structure_of(dataset.element_spec)
        self.written = self._plain(dataset, in_memory)
        self.executed = self.written
        if not isinstance(self.written, str):
            self.executed = self._plain(self._final(dataset, self.written), in_memory)

    def _plain(self, dataset: Any, in_memory: int) -> PlainGraph | str:
        graph = serialised(dataset, in_memory=in_memory)
        return graph if isinstance(graph, str) else plain_graph(graph, self._digest)

    def _final(self, dataset: Any, written: PlainGraph) -> Any:
        tf = self._tf
        root = written["nodes"][written["root"].partition(":")[0]]["attributes"]
        shapes = [
            None if shape is None else [None if size < 0 else size for size in shape] for shape in root["output_shapes"]
        ]
        variant = tf.raw_ops.FinalizeDataset(
            input_dataset=tf.data.experimental.to_variant(dataset),
            has_captured_ref=False,
            output_types=[tf.as_dtype(enum) for enum in root.get("output_types") or root["Toutput_types"]],
            output_shapes=[tf.TensorShape(shape) for shape in shapes],
        )
        return tf.data.experimental.from_variant(variant, dataset.element_spec)

    def _digest(self, tensor: Any) -> tuple[str, tuple[int, ...], Any]:
        dtype = str(self._tf.as_dtype(tensor.dtype).name)
        shape = tuple(int(dim.size) for dim in tensor.tensor_shape.dim)
        if dtype == "string":
            texts = tuple(tensor.string_val) or tuple(texts_of(tensor.tensor_content, math.prod(shape)))
            # One value represents all where they are equal.
            return dtype, shape, texts * math.prod(shape) if len(texts) == 1 else texts
        if dtype == "resource":
            # Identifiers: TensorFlow numbers them.
            return dtype, shape, "".join(handle.name for handle in tensor.resource_handle_val) or None
        if dtype == "variant":
            return dtype, shape, None
        contents = self._tf.make_ndarray(tensor).tobytes()
        return dtype, shape, contents if len(contents) <= LARGEST_VALUE else hashlib.blake2b(contents).digest()


def structure_of(spec: Any) -> str:
    """Return the structure of an element in words, with the names of its parts.

    Example:
        >>> structure_of(({"y": 1, "x": 2}, None))
        '({x: int, y: int}, NoneType)'
    """
    if isinstance(spec, Mapping):
        return "{" + ", ".join(f"{key}: {structure_of(spec[key])}" for key in sorted(spec, key=str)) + "}"
    kind = type(spec).__name__
    if isinstance(spec, tuple):
        parts = ", ".join(map(structure_of, spec))
        return f"({parts})" if type(spec) is tuple else f"{kind}({parts})"
    return str(spec.dtype.name) if kind == "TensorSpec" else kind


def texts_of(content: bytes, count: int) -> Iterator[bytes]:
    """Yield the texts of a tensor that is stored as one: their lengths as varints, then all of them."""
    lengths: list[int] = []
    at = 0
    while len(lengths) < count and at < len(content):
        length, shift = 0, 0
        while True:
            byte = content[at]
            length |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                break
        lengths.append(length)
    for length in lengths:
        yield content[at : at + length]
        at += length
