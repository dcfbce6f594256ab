"""A map's function applied to whole batches, by its graph.

Where the function means the same on a batch, or is one op that takes batches (``parse_example``, ``decode_csv``), it is
called on the batch as it is; TensorFlow's pfor converts the others. TensorFlow 2.21.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pipeprof.pipelines.graph.edit.editable import EditableGraph, FlatElement
from pipeprof.pipelines.graph.edit.elements import shape_text
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.functions import TensorFunction, op_definitions, retrace, set_shapes
from pipeprof.pipelines.graph.edit.scopes import function_of
from pipeprof.pipelines.graph.read.function_facts import CALLS, PYTHON, is_random
from pipeprof.pipelines.graph.stages import WrittenStage

_CHECKS: Final = frozenset({"Assert", "PrintV2"})
"""Ops with a side effect that pfor converts."""
_NOT_CONVERTED: Final = re.compile(r"No (?:pfor )?(?:vectorization|converter) (?:is )?(?:defined )?for (\w+)")


def whole_batches(
    graph: EditableGraph, stage: WrittenStage, node: Any, element: FlatElement, batch: FlatElement
) -> None:
    """Make the function of a map one of whole batches.

    Args:
        graph: The graph.
        stage: The map.
        node: Its node.
        element: The elements that it was applied to.
        batch: The batches of them that it is applied to now.

    Raises:
        CannotEditError: TensorFlow cannot apply the function to batches.
    """
    import tensorflow as tf

    function = function_of(graph, node)
    _check_ops(graph, stage, function)
    _check_shapes(stage, element, "it is applied to")
    count = len(element.types)
    results = [tf.TensorShape(shape) for shape in node.attr["output_shapes"].list.shape]

    def vectorised(call: TensorFunction) -> TensorFunction:
        def on_batch(inputs: Sequence[Any]) -> list[Any]:
            components, captured = list(inputs[:count]), list(inputs[count:])
            made = tf.vectorized_map(
                lambda one: call([*one, *captured]), components, fallback_to_while_loop=False, warn=False
            )
            for tensor, shape in zip(made, results, strict=True):
                tensor.set_shape(tf.TensorShape([None]).concatenate(shape))
            return list(made)

        return on_batch

    try:
        name, specs = retrace(graph, function, batch, vectorised)
    except CannotEditError:
        raise
    except Exception as error:
        # pfor raises errors of many classes, one for each op that it does not convert.
        raise CannotEditError(_reason(error), stage.address) from error
    attribute = next(name for name, value in node.attr.items() if value.func.name)
    node.attr[attribute].func.name = name
    set_shapes(node, [spec.shape for spec in specs])


def _check_ops(graph: EditableGraph, stage: WrittenStage, function: Any) -> None:
    nodes = list(_nodes(graph, function))
    ops = list(dict.fromkeys(node.op for node in nodes))
    for op in ops:
        if op in PYTHON:
            msg = f"its function runs Python ({op}), which TensorFlow cannot apply to whole batches"
            raise CannotEditError(msg, stage.address)
        if is_random([op]):
            msg = f"its function draws random numbers ({op}), which would differ on whole batches (class randomness)"
            raise CannotEditError(msg, stage.address)
    definitions = op_definitions(set(ops))
    for op in ops:
        stateful = op in definitions and definitions[op].is_stateful and op not in (*CALLS, *_CHECKS)
        if stateful:
            msg = f"its function has an op with state ({op}), which would run once per batch"
            raise CannotEditError(msg, stage.address)


def _check_shapes(stage: WrittenStage, element: FlatElement, what: str) -> None:
    import tensorflow as tf

    if any(kind == tf.variant.as_datatype_enum for kind in element.types):
        msg = f"the elements that {what} are ragged, sparse or datasets: they are no rows of one tensor"
        raise CannotEditError(msg, stage.address)
    if any(shape is None or None in shape for shape in element.shapes):
        msg = f"the elements that {what} may differ in shape: {shape_text(element)}"
        raise CannotEditError(msg, stage.address)


def _nodes(graph: EditableGraph, function: Any) -> Iterator[Any]:
    yield from function.node_def
    for name in graph.used_functions(function.node_def):
        yield from graph.functions[name].node_def


def _reason(error: Exception) -> str:
    text = str(error)
    found = _NOT_CONVERTED.search(text)
    if found is not None:
        return f"TensorFlow cannot apply its op {found[1]} to whole batches"
    line = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return f"TensorFlow cannot apply its function to whole batches: {line[:200]}"
