"""Reading a dataset's graph as written and as TensorFlow would run it (worker only: needs TensorFlow).

Both are read without running anything: ``DatasetToGraphV2`` serialises a dataset, ``FinalizeDataset`` applies first the
rewrites that ``iter()`` would apply. Reading both took up to 15 times the bytes that the pipeline's sources, captured
tensors and constants hold in memory (a 200 MB array), and beyond 2 GB it yields nothing, without an error. So the
caller says how much is held and how much room there is; a graph that is too large is not read, and a `GraphDict` with a
``reason`` and no nodes is returned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pipeprof.pipelines.graph.elements import cardinalities
from pipeprof.pipelines.graph.observe.build_watch import SourceWatch, component_keys, mark_constants
from pipeprof.pipelines.graph.opnames import is_option
from pipeprof.pipelines.graph.read.graphdef import GraphDefReader
from pipeprof.pipelines.graph.read.records import ConstantDict, GraphDict, MadeDict, PlaceDict
from pipeprof.pipelines.graph.stages import Node, StageGraph
from pipeprof.pipelines.meaning.constants import INFINITE

Shape = tuple[int | None, ...] | None


def fill_shapes(graph: GraphDict) -> None:
    """Set inferable shapes that ``graph`` leaves open, in place."""
    known = shapes(StageGraph.from_dict(graph))
    for node in graph["nodes"]:
        node["output_shapes"] = [None if pair is None else list(pair) for pair in known[node["id"]]]


def shapes(graph: StageGraph) -> dict[str, tuple[Shape, ...]]:
    """Return the component shapes of each dataset by its id; None for an unknown rank or dimension."""
    counts = cardinalities(graph)
    shapes_by_id: dict[str, tuple[Shape, ...]] = {}

    for node in graph.dependencies_first():
        shapes_by_id[node.id] = node.output_shapes
        if None in node.output_shapes:
            inputs = [shapes_by_id.get(input_, graph.nodes[input_].output_shapes) for input_ in node.inputs]
            inferred = _infer_shapes(node, inputs, counts)
            if inferred is not None and len(inferred) == len(node.output_shapes):
                pairs = zip(node.output_shapes, inferred, strict=True)
                shapes_by_id[node.id] = tuple(told if own is None else own for own, told in pairs)
    return shapes_by_id


def _infer_shapes(
    node: Node, inputs: list[tuple[Shape, ...]], counts: Mapping[str, int | None]
) -> tuple[Shape, ...] | None:
    if node.family == "Random":
        return ((),)
    if node.family == "Zip":
        return tuple(shape for input_ in inputs for shape in input_)
    if node.family == "DirectedInterleave" and len({len(side) for side in inputs[1:]}) == 1:
        return tuple(_common_shape(parts) for parts in zip(*inputs[1:], strict=True))
    if len(inputs) != 1:
        return None
    if node.traits.stacks and node.traits.keeps_shapes:
        whole = node.arguments.get("drop_remainder") or counts.get(node.inputs[0]) == INFINITE
        size = node.arguments.get("batch_size") if whole else None
        return tuple(None if shape is None else (size, *shape) for shape in inputs[0])
    return inputs[0] if node.traits.passes or is_option(node.op) else None


def _common_shape(shapes_of_sides: tuple[Shape, ...]) -> Shape:
    known = [side for side in shapes_of_sides if side is not None]
    if len(known) < len(shapes_of_sides) or len({len(pair) for pair in known}) != 1:
        return None
    return tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*known, strict=True))


SERIALISABLE_BYTES: Final = 10**9
SPARED_BYTES: Final = 100_000_000
"""Arrays from which a graph is read without them where that can be.

Reading took 9.3 s and 1.9 GB with 200 MB of constants, 0.8 s and 0.6 GB without them (TensorFlow 2.21).
"""
COPIES: Final = 15
_IGNORE_EXTERNAL_STATE: Final = 1


@dataclass(frozen=True)
class ObservedGraphs:
    """Both graphs of a pipeline."""

    written: GraphDict
    executed: GraphDict
    places: dict[str, PlaceDict] = field(default_factory=dict)
    constants: list[ConstantDict] = field(default_factory=list)
    stands_for: int = 0
    """Bytes of the arrays left out when reading the graphs; 0 if they are complete."""
    needed: bool = False
    """With these arrays they could not have been read."""

    @property
    def note(self) -> str | None:
        """Note on graphs that could not be read completely, and the cost; None for others."""
        if not (self.stands_for and self.needed):
            return None
        return (
            f"The pipeline holds {self.stands_for / 1e9:.1f} GB of arrays, too much for TensorFlow to serialize its "
            "graph. The stages were read from the same pipeline without these arrays, their costs from the model of "
            "the real one. The time inside stages is not split by op where stages share op names."
        )


def read_graphs(
    dataset: Any, *, in_memory: int, room: int | None = None, watch: SourceWatch | None = None
) -> ObservedGraphs:
    """Return both graphs of ``dataset``; of at most ``in_memory`` bytes of its arrays those that can be read."""
    small, left = readable(dataset, in_memory=in_memory, room=room, watch=watch)
    written = read_written(small, in_memory=left, room=room, made=watch.made if watch is not None else ())
    executed = read_executed(small, written)
    if watch is None:
        return ObservedGraphs(written, executed)
    if written["root"] is None:
        return ObservedGraphs(
            written, executed, constants=[constant.to_dict(None) for constant in watch.lines.constants]
        )
    if small is not dataset:
        watch.lines.set_sources(small, written, executed)
    places, constants = watch.lines.places(small, written), watch.lines.constants_of(small, written)
    places = watch.registered.join(written, places)
    needed = in_memory > SERIALISABLE_BYTES or _too_large(in_memory, room) is not None
    return ObservedGraphs(written, executed, places, constants, in_memory - left, needed)


def readable(dataset: Any, *, in_memory: int, room: int | None, watch: SourceWatch | None) -> tuple[Any, int]:
    """Return ``dataset``, or a smaller one with the same graph if it is too large, and the bytes that it holds."""
    if watch is not None and (in_memory > SPARED_BYTES or _too_large(in_memory, room)):
        small = watch.lines.without_arrays(dataset)
        if small is not None:
            return small[0], max(0, in_memory - small[1])
    return dataset, in_memory


def read_written(dataset: Any, *, in_memory: int, room: int | None = None, made: Sequence[MadeDict] = ()) -> GraphDict:
    """Return the graph of ``dataset`` as its user wrote it."""
    import tensorflow as tf

    reason = _too_large(in_memory, room)
    if reason:
        return _without_graph(reason)
    graph = _read_variant(tf.data.experimental.to_variant(dataset))
    mark_constants(graph, made)
    graph["keys"] = component_keys(dataset.element_spec)
    return graph


def read_executed(dataset: Any, written: GraphDict) -> GraphDict:
    """Return the graph of ``dataset`` as TensorFlow would run it with the dataset's own options."""
    import tensorflow as tf

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


def serialised(dataset: Any, *, in_memory: int, room: int | None = None) -> Any:
    """Return the ``GraphDef`` of a dataset or its variant as its user wrote it, or a text why there is none."""
    import tensorflow as tf

    if (reason := _too_large(in_memory, room)) is not None:
        return reason
    return serialise(dataset if isinstance(dataset, tf.Tensor) else tf.data.experimental.to_variant(dataset))


def serialise(variant: Any) -> Any:
    """Return the ``GraphDef`` of a dataset's variant tensor, or a text that says why there is none."""
    import tensorflow as tf

    try:
        text = tf.raw_ops.DatasetToGraphV2(input_dataset=variant, external_state_policy=_IGNORE_EXTERNAL_STATE).numpy()
    except tf.errors.OpError as error:
        said = re.sub(r"\{\{(?:function_)?node [^}]*\}\}\s*|\s*\[Op:.*", "", error.message)
        return f"TensorFlow could not serialize the dataset: {said}"
    if not text:
        return "TensorFlow returned an empty graph, as it does beyond 2 GB"
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(text)
    return graph


def _read_variant(variant: Any) -> GraphDict:
    import tensorflow as tf

    graph = serialise(variant)
    if isinstance(graph, str):
        return _without_graph(graph)
    read = GraphDefReader(graph, lambda enum: str(tf.dtypes.as_dtype(enum).name)).read()
    fill_shapes(read)
    return read


def _too_large(size: int, room: int | None) -> str | None:
    if room is not None and size * COPIES > room:
        return f"reading the graph takes up to {size * COPIES / 1e9:.1f} GB, but {max(room, 0) / 1e9:.1f} GB are free"
    if size <= SERIALISABLE_BYTES:
        return None
    limit = f"{SERIALISABLE_BYTES / 1e9:.0f} GB"
    return f"the pipeline holds {size / 1e9:.1f} GB in memory; the limit for reading graphs is {limit}"


def _without_graph(reason: str) -> GraphDict:
    return {"root": None, "reason": reason, "nodes": []}
