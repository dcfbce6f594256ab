"""Large tensors replaced by marks: the graph stays small, and a dataset made of it holds the same tensors.

Serialising a pipeline that holds 500 MB copies them several times, and so does making a dataset of the graph. So the
graph has small tensors in their place, and the dataset is made by a function whose arguments are the large ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from pipeprof.pipelines.graph.read.references import rename_functions

SLICES: Final = "TensorSliceDataset"
_NUMBERS: Final = itertools.count()
_FIELD: Final = b"\x7a"
"""Tag of a field that a dataset's metadata do not have: TensorFlow keeps it, and the name is in another one."""
_MARK: Final = b"pipeprof_held_"
_LIVE: Final = "pipeprof_live_"
"""Start of the names of the queues whose handles stand for those of captured resources.

TensorFlow copies what it can write into a graph; a queue it cannot, so that its handle stays.
"""
_FIRST_LENGTH: Final = 250_007
"""Tensors without elements stand for captured ones: their second dimension says for which.

TensorFlow's optimiser fills a constant without elements as if its first dimension were 1, so that this is memory.
"""


@dataclass(frozen=True)
class HeldSlices:
    """Tensors whose slices are a source's elements."""

    tensors: tuple[Any, ...]
    metadata: bytes

    @property
    def length(self) -> int:
        """Number of slices."""
        return int(self.tensors[0].shape[0])

    @property
    def nbytes(self) -> int:
        """Size of all in bytes."""
        return sum(map(nbytes_of, self.tensors))


@dataclass
class Held:
    """The tensors that are left out of graphs, by the marks in their place.

    A mark stays with its node whatever happens to the graph: its node may be copied, renamed, serialised again.
    """

    _slices: dict[bytes, HeldSlices] = field(default_factory=dict)
    _captured: dict[int, Any] = field(default_factory=dict)
    _live: dict[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether a tensor is left out."""
        return bool(self._slices or self._captured or self._live)

    def slices(self, tensors: Sequence[Any], metadata: bytes | str | None) -> bytes:
        """Take the components of a source; return its metadata with a mark."""
        before = metadata.encode() if isinstance(metadata, str) else bytes(metadata or b"")
        mark = _MARK + b"%d_" % next(_NUMBERS)
        self._slices[mark] = HeldSlices(tuple(tensors), before)
        return before + _FIELD + bytes([len(mark)]) + mark

    def stand_in(self, tensor: Any) -> Any:
        """Take a tensor that a function captures; return one without elements to be captured in its place."""
        import tensorflow as tf

        length = _FIRST_LENGTH + next(_NUMBERS)
        self._captured[length] = tensor
        return tf.zeros([0, length], tensor.dtype)

    def live(self, handle: Any) -> Any:
        """Take the handle of a resource that a function captures; return the one to be captured in its place."""
        import tensorflow as tf

        known = next((name for name, other in self._live.items() if other is handle), None)
        name = known or f"{_LIVE}{len(self._live)}"
        self._live[name] = handle
        return tf.raw_ops.FIFOQueueV2(component_types=[tf.bool], shared_name=name)

    def live_of(self, node: Any) -> Any:
        """Return the handle that a constant stands for; None for other nodes."""
        handles = node.attr["value"].tensor.resource_handle_val if node.op == "Const" else ()
        return next((self._live.get(handle.name) for handle in handles), None)

    def sources(self, graph: Any) -> Iterator[tuple[Any, HeldSlices]]:
        """Yield the sources of a graph whose tensors are left out, each with these."""
        for node in graph.node:
            metadata = bytes(node.attr["metadata"].s) if node.op == SLICES else b""
            if _MARK in metadata and (mark := next(filter(metadata.__contains__, self._slices), None)) is not None:
                yield node, self._slices[mark]

    def tensors(self, graph: Any) -> dict[str, Any]:
        """Return the tensors that are left out of a graph, by the names of the constants in their place."""
        tensors: dict[str, Any] = {}
        for node, held in self.sources(graph):
            tensors.update(zip((name.partition(":")[0] for name in node.input), held.tensors, strict=True))
        for node in graph.node:
            sizes = [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim] if node.op == "Const" else []
            if len(sizes) == 2 and sizes[0] == 0 and sizes[1] in self._captured:
                tensors[node.name] = self._captured[sizes[1]]
            elif (handle := self.live_of(node)) is not None:
                tensors[node.name] = handle
        return tensors

    def saved(self, graph: Any) -> int:
        """Return the bytes of the tensors that are left out of a graph."""
        return sum(map(nbytes_of, self.tensors(graph).values()))


@dataclass(frozen=True)
class LightGraph:
    """The graph of a dataset without its large tensors."""

    graph: Any
    held: Held = field(default_factory=Held)


def nbytes_of(tensor: Any) -> int:
    """Return the size of a tensor of numbers in bytes."""
    return int(tensor.dtype.size) * int(tensor.shape.num_elements() or 0)


def variant_of(light: LightGraph) -> Any:
    """Return the variant tensor of the dataset that a graph describes, with the tensors that are left out of it."""
    import tensorflow as tf

    tensors = light.held.tensors(light.graph) if light.held else {}
    if not tensors:
        return tf.raw_ops.DatasetFromGraph(graph_def=light.graph.SerializeToString())
    graph = deepcopy(light.graph)
    for node, held in light.held.sources(graph):
        node.attr["metadata"].s = held.metadata
    returned = next(node for node in graph.node if node.op == "_Retval").input[0]
    kept = [node for node in graph.node if node.op != "_Retval" and node.name not in tensors]
    del graph.node[:]
    graph.node.extend(kept)
    _rename_functions(graph)

    def made(*given: Any) -> Any:
        with tf.device("CPU:0"):
            inputs = {f"{name}:0": tensor for name, tensor in zip(tensors, given, strict=True)}
            end = returned if ":" in returned else f"{returned}:0"
            return tf.graph_util.import_graph_def(graph, input_map=inputs, return_elements=[end], name="")[0]

    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors.values()]
    return tf.compat.v1.wrap_function(made, specs)(*tensors.values())


def _rename_functions(graph: Any) -> None:
    """Give functions names that no other function of this process has: those that it has may differ in attributes."""
    names = {
        function.signature.name: f"{function.signature.name}_held_{next(_NUMBERS)}"
        for function in graph.library.function
    }
    for function in graph.library.function:
        function.signature.name = names[function.signature.name]
    for gradient in graph.library.gradient:
        gradient.function_name = names.get(gradient.function_name, gradient.function_name)
        gradient.gradient_func = names.get(gradient.gradient_func, gradient.gradient_func)
    for node in itertools.chain(graph.node, *(function.node_def for function in graph.library.function)):
        node.op = names.get(node.op, node.op)
        rename_functions(node, names)
