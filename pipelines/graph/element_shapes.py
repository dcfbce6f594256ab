"""Inference of element shapes that TensorFlow's graph leaves open although its parts determine them.

A dataset that picks from several (``sample_from_datasets``) has no shapes in the graph, nor have those after it that
pass elements through; and a source of random numbers does not say that they are scalars.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeprof.pipelines.graph.cardinality import cardinalities
from pipeprof.pipelines.graph.opnames import is_option
from pipeprof.pipelines.graph.read.records import GraphDict
from pipeprof.pipelines.graph.stages import Node, StageGraph
from pipeprof.pipelines.ops.constants import INFINITE

Shape = tuple[int | None, ...] | None


def fill_shapes(graph: GraphDict) -> None:
    """Set inferable shapes that ``graph`` leaves open, in place."""
    stages = StageGraph.from_dict(graph)
    known = shapes(stages)
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
    sides = inputs[1:] if node.family == "DirectedInterleave" else inputs if node.family == "Concatenate" else []
    if len({len(side) for side in sides}) == 1:
        return tuple(_common_shape(parts) for parts in zip(*sides, strict=True))
    if len(inputs) != 1:
        return None
    if node.traits.stacks and node.traits.keeps_shapes:
        whole = node.arguments.get("drop_remainder") or counts.get(node.inputs[0]) == INFINITE
        size = node.arguments.get("batch_size") if whole else None
        return tuple(None if shape is None else (size, *shape) for shape in inputs[0])
    return inputs[0] if node.traits.passes or is_option(node.op) else None


def _common_shape(shapes_of_sides: tuple[Shape, ...]) -> Shape:
    """Return the most specific shape that holds for all of them."""
    known = [side for side in shapes_of_sides if side is not None]
    if len(known) < len(shapes_of_sides) or len({len(pair) for pair in known}) != 1:
        return None
    return tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*known, strict=True))
