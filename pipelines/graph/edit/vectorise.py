"""The function of a map applied to whole batches, by its graph.

TensorFlow's pfor converts the function; it uses the op that takes batches where there is one (``ParseExampleV2``,
``DecodeCSV``). What it does not convert is called on the batch as it is where it means the same there. TensorFlow 2.21.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from pipeprof.pipelines.graph.edit.editable import EditableGraph, FlatElement
from pipeprof.pipelines.graph.edit.elements import at_least_as_specific, shape_text
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.functions import (
    TensorFunction,
    ops_with_effects,
    retrace,
    set_shapes,
    without_branches,
)
from pipeprof.pipelines.graph.edit.scopes import function_of, set_function
from pipeprof.pipelines.graph.read.function_facts import ELEMENTWISE
from pipeprof.pipelines.graph.read.random_part import random_part
from pipeprof.pipelines.graph.read.references import base_of, data_inputs, function_names, inputs_first
from pipeprof.pipelines.graph.stages import WrittenStage

_CONVERTED: Final = frozenset({"Assert", "LookupTableFindV2", "LookupTableSizeV2", "PrintV2"})
"""Ops that TensorFlow counts as having state but that mean the same on a batch: a table is read, not written."""
_MANY: Final = 16
"""Components of one type that are gathered as one."""
_NOT_CONVERTED: Final = re.compile(
    r"(?:No (?:pfor )?(?:vectorization|converter) (?:is )?(?:defined )?for |Input \S+ of op ')(\w+)"
)
"""An op that pfor has no form for, or none where this input differs between elements, or does not."""
_PARSES: Final = "ParseExampleV2"
_PASSING_ON: Final = frozenset({_PARSES, "SerializeSparse", "Identity", "IdentityN"})


def whole_batches(
    graph: EditableGraph, stage: WrittenStage, node: Any, element: FlatElement, batch: FlatElement, *, elementwise: bool
) -> None:
    """Make the function of a map one of whole batches.

    Args:
        elementwise: The function means the same on a batch.
    """
    import tensorflow as tf

    function = without_branches(graph, function_of(graph, node))
    parses = _parses_alone(function)
    _check_shapes(stage, _rows(batch, element), () if parses else node.attr["output_types"].list.type)
    draws = _check_ops(graph, stage, function)
    if not parses and any(map(_parses_lists, function.node_def)):
        # pfor takes what the op makes of a whole batch for rows of one length.
        msg = "its function parses lists whose lengths differ, which TensorFlow cannot apply to whole batches"
        raise CannotEditError(msg, stage.address)
    count = len(element.types)
    batch_size = tf.TensorShape([next((shape[0] for shape in batch.shapes if shape), None)])
    own = [tf.TensorShape(shape) for shape in node.attr["output_shapes"].list.shape]
    sparse = [kind == tf.variant.as_datatype_enum for kind in node.attr["output_types"].list.type]
    results = [shape if alone else batch_size.concatenate(shape) for shape, alone in zip(own, sparse, strict=True)]

    def with_shapes(tensors: list[Any]) -> list[Any]:
        for tensor, shape in zip(tensors, results, strict=True):
            tensor.set_shape(shape)
        return tensors

    def vectorised(call: TensorFunction) -> TensorFunction:
        def on_batch(inputs: Sequence[Any]) -> list[Any]:
            components, captured = list(inputs[:count]), list(inputs[count:])
            # Of each component pfor gathers the row by an op of its own: 430 of them take minutes to trace.
            table = _is_table(components)
            made = tf.vectorized_map(
                lambda one: call([*(tf.unstack(one, num=count) if table else one), *captured]),
                tf.stack(components, axis=1) if table else components,
                fallback_to_while_loop=False,
                warn=False,
            )
            return with_shapes(list(made))

        return on_batch

    def unchanged(call: TensorFunction) -> TensorFunction:
        return lambda inputs: with_shapes(call(inputs))

    # TensorFlow's own vectorisation alone draws for each row.
    ways = [vectorised, unchanged] if (elementwise or parses) and not draws else [vectorised]
    name, specs = _first_traced(stage, ways, lambda way: retrace(graph, function, batch, way))
    set_function(node, name)
    set_shapes(node, [spec.shape for spec in specs])


def _is_table(components: Sequence[Any]) -> bool:
    """Whether batches of many components are the columns of one table: numbers of one type."""
    return (
        len(components) >= _MANY
        and len({(one.dtype, one.shape.rank) for one in components}) == 1
        and (components[0].shape.rank == 1)
    )


def _first_traced(
    stage: WrittenStage,
    ways: Sequence[Callable[[TensorFunction], TensorFunction]],
    trace: Callable[[Callable[[TensorFunction], TensorFunction]], tuple[str, list[Any]]],
) -> tuple[str, list[Any]]:
    """Trace a function in the first way that TensorFlow accepts.

    Raises:
        CannotEditError: In none; the reason is that of the first.
    """
    import tensorflow as tf

    logger = tf.get_logger()
    level = logger.level
    # pfor logs every op that it does not convert, with the op's whole definition.
    logger.setLevel(logging.CRITICAL)
    first: Exception | None = None
    try:
        for way in ways:
            try:
                return trace(way)
            except Exception as error:
                # pfor raises errors of many classes.
                first = first or error
    finally:
        logger.setLevel(level)
    assert first is not None  # noqa: S101 - there is a way
    first = _of_pfor(first)
    raise CannotEditError(_reason(first), stage.address) from first


def _check_ops(graph: EditableGraph, stage: WrittenStage, function: Any) -> bool:
    """Refuse ops that pfor does not convert, or that give other elements when they run once per batch.

    Returns:
        Whether it draws random numbers, each row its own.
    """
    draws = False
    for op, kind in ops_with_effects(graph, function):
        if kind == "random" and random_part(graph.functions, function).by_number:
            draws = True
            continue
        if kind == "python":
            msg = f"its function runs Python ({op}), which TensorFlow cannot apply to whole batches"
        elif kind == "random":
            msg = f"its function draws random numbers ({op}): on whole batches it draws others"
        elif op not in _CONVERTED:
            msg = f"its function has an op with state ({op}), which would run once per batch"
        else:
            continue
        raise CannotEditError(msg, stage.address)
    branching = next((node.op for node in function.node_def if next(function_names(node), None) is not None), None)
    if branching is not None:
        msg = f"its function has control flow ({branching}), which TensorFlow cannot apply to whole batches"
        raise CannotEditError(msg, stage.address)
    return draws


def _parses_alone(function: Any) -> bool:
    """Whether a function without calls parses its record and only passes on what comes out: so it does with a batch."""
    nodes = {node.name: node for node in function.node_def}
    depends = {argument.name for argument in function.signature.input_arg}
    ends = [result.partition(":")[0] for result in function.ret.values()]

    def reads(name: str) -> list[str]:
        return [base_of(one) for one in data_inputs(nodes[name])] if name in nodes else []

    for name in inputs_first(ends, reads):
        if not depends.isdisjoint(reads(name)):
            depends.add(name)

    def passes_on(node: Any) -> bool:
        others = [one for one in reads(node.name) if one not in depends]
        alone = len(reads(node.name)) - len(others) == 1
        return node.op in _PASSING_ON or (
            node.op in ELEMENTWISE and alone and all(_is_number(nodes.get(one)) for one in others)
        )

    made = [nodes[name] for name in depends if name in nodes]
    return any(node.op == _PARSES for node in made) and all(map(passes_on, made))


def _is_number(node: Any | None) -> bool:
    return node is not None and node.op == "Const" and not node.attr["value"].tensor.tensor_shape.dim


def _parses_lists(node: Any) -> bool:
    """Whether an op parses features whose number of values differs."""
    if node.op != _PARSES:
        return False
    shapes = node.attr["dense_shapes"].list.shape
    listed = any(shape.unknown_rank or any(dim.size < 0 for dim in shape.dim) for shape in shapes)
    return bool(node.attr["num_sparse"].i) or bool(node.attr["ragged_value_types"].list.type) or listed


def _rows(batch: FlatElement, element: FlatElement) -> FlatElement:
    """The rows of batches, where edits before have made their shapes known; else the elements as they were."""
    rows = FlatElement(batch.types, tuple(None if shape is None else shape[1:] for shape in batch.shapes))
    return rows if at_least_as_specific(rows.shapes, element.shapes) else element


def _check_shapes(stage: WrittenStage, element: FlatElement, results: Sequence[int]) -> None:
    import tensorflow as tf

    variant = tf.variant.as_datatype_enum
    if variant in element.types or variant in results:
        msg = "its elements are ragged, sparse or datasets: they are no rows of one tensor"
        raise CannotEditError(msg, stage.address)
    if any(shape is None or None in shape for shape in element.shapes):
        msg = f"the elements that it is applied to may differ in shape: {shape_text(element)}"
        raise CannotEditError(msg, stage.address)


def _of_pfor(error: Exception) -> Exception:
    """Why pfor did not convert an op: it fails once more where it lists the Python lines of an op that has none."""
    while isinstance(error, TypeError) and isinstance(error.__context__, Exception):
        error = error.__context__
    return error


def _reason(error: Exception) -> str:
    text = str(error)
    found = _NOT_CONVERTED.search(text)
    if found is not None:
        return f"TensorFlow cannot apply its op {found[1]} to whole batches"
    line = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return f"TensorFlow cannot apply its function to whole batches: {line[:200]}"
