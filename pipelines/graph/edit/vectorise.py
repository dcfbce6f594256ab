"""A map's function applied to whole batches, by its graph.

TensorFlow's pfor converts the function; it uses the op that takes batches where there is one (``ParseExampleV2``,
``DecodeCSV``). What it does not convert is called on the batch as it is where it means the same there. TensorFlow 2.21.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any, Final

from pipeprof.pipelines.graph.edit.editable import EditableGraph, FlatElement, function_names
from pipeprof.pipelines.graph.edit.elements import at_least_as_specific, shape_text
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.functions import TensorFunction, inlined, ops_with_effects, retrace, set_shapes
from pipeprof.pipelines.graph.edit.scopes import function_of
from pipeprof.pipelines.graph.stages import WrittenStage

_CONVERTED: Final = frozenset({"Assert", "PrintV2"})
"""Ops that TensorFlow counts as having state but that mean the same on a batch."""
_NOT_CONVERTED: Final = re.compile(r"No (?:pfor )?(?:vectorization|converter) (?:is )?(?:defined )?for (\w+)")


def whole_batches(
    graph: EditableGraph,
    stage: WrittenStage,
    node: Any,
    element: FlatElement,
    batch: FlatElement,
    *,
    elementwise: bool,
) -> None:
    """Make the function of a map one of whole batches.

    Args:
        graph: The graph.
        stage: The map.
        node: Its node.
        element: The elements that it was applied to.
        batch: The batches of them that it is applied to now.
        elementwise: The function means the same on a batch.

    Raises:
        CannotEditError: TensorFlow cannot apply the function to batches.
    """
    import tensorflow as tf

    function = inlined(graph, function_of(graph, node), assertions=True)
    _check_shapes(stage, _rows(batch, element), node.attr["output_types"].list.type)
    _check_ops(graph, stage, function)
    count = len(element.types)
    batch_size = tf.TensorShape([next((shape[0] for shape in batch.shapes if shape), None)])
    results = [tf.TensorShape(shape) for shape in node.attr["output_shapes"].list.shape]

    def with_shapes(tensors: list[Any]) -> list[Any]:
        for tensor, shape in zip(tensors, results, strict=True):
            tensor.set_shape(batch_size.concatenate(shape))
        return tensors

    def vectorised(call: TensorFunction) -> TensorFunction:
        def on_batch(inputs: Sequence[Any]) -> list[Any]:
            components, captured = list(inputs[:count]), list(inputs[count:])
            made = tf.vectorized_map(
                lambda one: call([*one, *captured]), components, fallback_to_while_loop=False, warn=False
            )
            return with_shapes(list(made))

        return on_batch

    def unchanged(call: TensorFunction) -> TensorFunction:
        return lambda inputs: with_shapes(call(inputs))

    logger = tf.get_logger()
    level = logger.level
    # pfor logs every op that it does not convert, with the op's whole definition.
    logger.setLevel(logging.CRITICAL)
    try:
        name, specs = retrace(graph, function, batch, vectorised)
    except Exception as error:
        # pfor raises errors of many classes.
        if not elementwise:
            raise CannotEditError(_reason(error), stage.address) from error
        name, specs = retrace(graph, function, batch, unchanged)
    finally:
        logger.setLevel(level)
    attribute = next(name for name, value in node.attr.items() if value.func.name)
    node.attr[attribute].func.name = name
    set_shapes(node, [spec.shape for spec in specs])


def _check_ops(graph: EditableGraph, stage: WrittenStage, function: Any) -> None:
    """Refuse ops that pfor does not convert, or that give other elements when they run once per batch."""
    for op, kind in ops_with_effects(graph, function):
        if kind == "python":
            msg = f"its function runs Python ({op}), which TensorFlow cannot apply to whole batches"
        elif kind == "random":
            msg = f"its function draws random numbers ({op}), which would differ on whole batches (class randomness)"
        elif op not in _CONVERTED:
            msg = f"its function has an op with state ({op}), which would run once per batch"
        else:
            continue
        raise CannotEditError(msg, stage.address)
    branching = next((node.op for node in function.node_def if next(function_names(node), None) is not None), None)
    if branching is not None:
        msg = f"its function has control flow ({branching}), which TensorFlow cannot apply to whole batches"
        raise CannotEditError(msg, stage.address)


def _rows(batch: FlatElement, element: FlatElement) -> FlatElement:
    """The rows of batches, where edits before have made their shapes known; else the elements as they were."""
    rows = [None if shape is None else shape[1:] for shape in batch.shapes]
    return FlatElement(batch.types, tuple(rows)) if at_least_as_specific(rows, element.shapes) else element


def _check_shapes(stage: WrittenStage, element: FlatElement, results: Sequence[int]) -> None:
    """Refuse elements that are no rows of one tensor."""
    import tensorflow as tf

    variant = tf.variant.as_datatype_enum
    if variant in element.types or variant in results:
        msg = "its elements are ragged, sparse or datasets: they are no rows of one tensor"
        raise CannotEditError(msg, stage.address)
    if any(shape is None or None in shape for shape in element.shapes):
        msg = f"the elements that it is applied to may differ in shape: {shape_text(element)}"
        raise CannotEditError(msg, stage.address)


def _reason(error: Exception) -> str:
    text = str(error)
    found = _NOT_CONVERTED.search(text)
    if found is not None:
        return f"TensorFlow cannot apply its op {found[1]} to whole batches"
    line = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return f"TensorFlow cannot apply its function to whole batches: {line[:200]}"
