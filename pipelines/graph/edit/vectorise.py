"""The function of a map or filter applied to whole batches, by its graph.

TensorFlow's pfor converts the function; it uses the op that takes batches where there is one (``ParseExampleV2``,
``DecodeCSV``). What it does not convert is called on the batch as it is where it means the same there; a function whose
rows differ in length is made one of many elements op by op (`ragged`). TensorFlow 2.21.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from pipeprof.pipelines.graph.edit.ragged.lift import ManyElements, RowPadding
from pipeprof.pipelines.graph.edit.ragged.parsing import parses_alone, parses_lists
from pipeprof.pipelines.graph.edit.ragged.rows import NoRowsError
from pipeprof.pipelines.graph.edit.ragged.rules import OPS
from pipeprof.pipelines.graph.edit.scopes import function_of, set_function
from pipeprof.pipelines.graph.read.function_facts import DECODING, SPLITTING
from pipeprof.pipelines.graph.read.random_part import random_part
from pipeprof.pipelines.graph.read.references import base_of, data_inputs, function_names
from pipeprof.pipelines.graph.stages import WrittenStage

_CONVERTED: Final = frozenset({"Assert", "LookupTableFindV2", "LookupTableSizeV2", "PrintV2"})
"""Ops that TensorFlow counts as having state but that mean the same on a batch: a table is read, not written."""
_MANY: Final = 16
"""Components of one type that are gathered as one."""
_NOT_CONVERTED: Final = re.compile(
    r"(?:No (?:pfor )?(?:vectorization|converter) (?:is )?(?:defined )?for |Input \S+ of op ')(\w+)"
)
"""An op that pfor has no form for, or none where this input differs between elements, or does not."""


@dataclass(frozen=True)
class Padded:
    """Result of a stage that padded elements."""

    paddings: tuple[RowPadding, ...]
    shapes: tuple[Any, ...]


def stack_instead(stage: WrittenStage, graph: EditableGraph, node: Any, element: FlatElement) -> Padded:
    """Make a stage that pads elements one that stacks elements of one shape; return what it did before."""
    import tensorflow as tf

    count = int(node.attr["N"].i)
    data, size, *others, drop = data_inputs(node)
    constants = []
    for reference in others:
        constant = graph.nodes[base_of(reference)]
        if constant.op != "Const":
            raise CannotEditError("the graph does not show what it pads with", stage.address)
        constants.append(tf.make_ndarray(constant.attr["value"].tensor))
    shapes = [tuple(None if one < 0 else int(one) for one in shape) for shape in constants[:count]]
    paddings = tuple(RowPadding(shape, value) for shape, value in zip(shapes, constants[count:], strict=True))
    before = tuple(tf.TensorShape(shape) for shape in node.attr["output_shapes"].list.shape)
    node.op = "BatchDatasetV2"
    node.input[:] = [data, size, drop]
    del node.attr["N"], node.attr["Toutput_types"]
    node.attr["output_types"].list.type[:] = element.types
    set_shapes(node, [tf.TensorShape([before[0][0]]).concatenate(tf.TensorShape(shape)) for shape in element.shapes])
    return Padded(paddings, before)


def whole_batches(
    graph: EditableGraph,
    stage: WrittenStage,
    node: Any,
    element: FlatElement,
    batch: FlatElement,
    *,
    elementwise: bool,
    padded: Padded | None = None,
) -> None:
    """Make the function of a map one of whole batches.

    Args:
        elementwise: The function means the same on a batch.
    """
    import tensorflow as tf

    function = without_branches(graph, function_of(graph, node))
    parses = padded is None and parses_alone(function)
    _check_shapes(stage, _rows(batch, element), () if parses else node.attr["output_types"].list.type)
    draws = _check_ops(graph, stage, function, by_row=padded is None)
    count = len(element.types)
    batch_size = tf.TensorShape([next((shape[0] for shape in batch.shapes if shape), None)])
    own = [tf.TensorShape(shape) for shape in node.attr["output_shapes"].list.shape]
    sparse = [kind == tf.variant.as_datatype_enum for kind in node.attr["output_types"].list.type]
    alike = [shape if alone else batch_size.concatenate(shape) for shape, alone in zip(own, sparse, strict=True)]
    results = padded.shapes if padded is not None else alike

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

    def ragged(_: TensorFunction) -> TensorFunction:
        many = ManyElements(graph, function, count, padded.paddings if padded is not None else None)
        return lambda inputs: with_shapes(many(inputs))

    same_shapes = padded is None or all(shape.is_fully_defined() for shape in own)
    lists = not parses and any(map(parses_lists, function.node_def))
    ways: list[Callable[[TensorFunction], TensorFunction]] = [vectorised] if same_shapes and not lists else []
    ways += [unchanged] if (same_shapes and elementwise) or parses else []
    # Op by op, each is converted alone: nothing to try in vain on a function of hundreds.
    by_text = any(own_node.op in SPLITTING | DECODING for own_node in function.node_def)
    ways += [ragged] if lists or by_text or not same_shapes else []
    # TensorFlow's own vectorisation alone draws for each row.
    ways = [vectorised] if draws else ways
    instead = ragged if ragged not in ways and not draws else None
    name, specs = _first_traced(stage, ways, lambda way: retrace(graph, function, batch, way), instead)
    set_function(node, name)
    set_shapes(node, [spec.shape for spec in specs])


def _is_table(components: Sequence[Any]) -> bool:
    """Whether batches of many components are the columns of one table: numbers of one type."""
    return (
        len(components) >= _MANY
        and len({(one.dtype, one.shape.rank) for one in components}) == 1
        and (components[0].shape.rank == 1)
    )


def as_it_is(graph: EditableGraph, node: Any, batch: FlatElement) -> None:
    """Call the function of a map, whose ops treat each number alone, on whole batches."""
    import tensorflow as tf

    rows = tf.TensorShape([next((shape[0] for shape in batch.shapes if shape), None)])
    shapes = [rows.concatenate(tf.TensorShape(shape)) for shape in node.attr["output_shapes"].list.shape]

    def on_batch(call: TensorFunction) -> TensorFunction:
        return lambda inputs: [tf.ensure_shape(one, shape) for one, shape in zip(call(inputs), shapes, strict=True)]

    name, specs = retrace(graph, function_of(graph, node), batch, on_batch)
    set_function(node, name)
    set_shapes(node, [spec.shape for spec in specs])


def batch_size(graph: EditableGraph, stage: WrittenStage) -> tuple[int, bool]:
    """Return the size of a batch, and whether it drops what is left over at the end."""
    import tensorflow as tf

    given = data_inputs(graph.nodes[stage.head])
    constants = [graph.nodes[base_of(reference)] for reference in (given[1], given[-1])]
    if any(constant.op != "Const" for constant in constants):
        raise CannotEditError("the graph does not show the size of its batches", stage.address)
    size, drop = (tf.make_ndarray(constant.attr["value"].tensor) for constant in constants)
    return int(size), bool(drop)


def rows_of(batch: FlatElement) -> FlatElement:
    """Return the elements that are rows of batches."""
    return FlatElement(batch.types, tuple(None if shape is None else shape[1:] for shape in batch.shapes))


def keep_rows(graph: EditableGraph, stage: WrittenStage, node: Any, batch: FlatElement) -> None:
    """Make a filter a map of batches, which keeps the rows that its predicate is true for."""
    import tensorflow as tf

    function, rows = without_branches(graph, function_of(graph, node)), rows_of(batch)
    _check_shapes(stage, rows, ())
    _check_ops(graph, stage, function)
    count = len(batch.types)

    def masked(truths: Callable[[Sequence[Any]], Any]) -> TensorFunction:
        def on_batch(inputs: Sequence[Any]) -> list[Any]:
            kept = truths(inputs)
            kept = kept if kept.shape.rank == 1 else tf.ensure_shape(kept, [None])
            return [tf.boolean_mask(one, kept) for one in inputs[:count]]

        return on_batch

    def vectorised(call: TensorFunction) -> TensorFunction:
        def truths(inputs: Sequence[Any]) -> Any:
            captured = list(inputs[count:])
            return tf.vectorized_map(
                lambda one: call([*one, *captured])[0], list(inputs[:count]), fallback_to_while_loop=False, warn=False
            )

        return masked(truths)

    def ragged(_: TensorFunction) -> TensorFunction:
        many = ManyElements(graph, function, count)
        return masked(lambda inputs: many(inputs)[0])

    ways = [ragged] if any(map(parses_lists, function.node_def)) else [vectorised, ragged]
    name, specs = _first_traced(stage, ways, lambda way: retrace(graph, function, batch, way))
    node.op = "MapDataset"
    node.attr["f"].func.name = name
    del node.attr["predicate"]
    node.attr["output_types"].list.type[:] = batch.types
    node.attr["use_inter_op_parallelism"].b = node.attr["preserve_cardinality"].b = True
    set_shapes(node, [spec.shape for spec in specs])


def _first_traced(
    stage: WrittenStage,
    ways: Sequence[Callable[[TensorFunction], TensorFunction]],
    trace: Callable[[Callable[[TensorFunction], TensorFunction]], tuple[str, list[Any]]],
    instead: Callable[[TensorFunction], TensorFunction] | None = None,
) -> tuple[str, list[Any]]:
    """Trace a function in the first way that TensorFlow accepts.

    Args:
        instead: A way to try where TensorFlow does not convert an op that has a form of its own (`ragged`).

    Raises:
        CannotEditError: In none; the reason is that of the first, or why the rows cannot differ in length.
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
                first = error if first is None or isinstance(error, NoRowsError) else first
        first = _of_pfor(first)
        found = _NOT_CONVERTED.search(str(first))
        if instead is not None and found is not None and found[1] in OPS:
            return _first_traced(stage, [instead], trace)
    finally:
        logger.setLevel(level)
    assert first is not None  # noqa: S101 - there is a way
    raise CannotEditError(_reason(first), stage.address) from first


def _check_ops(graph: EditableGraph, stage: WrittenStage, function: Any, *, by_row: bool = False) -> bool:
    """Refuse ops that pfor does not convert, or that give other elements when they run once per batch.

    Args:
        by_row: Whether other random numbers are no reason, where each row has its own.
    """
    draws = False
    for op, kind in ops_with_effects(graph, function):
        if kind == "random" and by_row and random_part(graph.functions, function).by_number:
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


def _rows(batch: FlatElement, element: FlatElement) -> FlatElement:
    """The rows of batches, where edits before have made their shapes known; else the elements as they were."""
    rows = rows_of(batch)
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


def _of_pfor(error: Exception | None) -> Exception | None:
    """Why pfor did not convert an op: it fails once more where it lists the Python lines of an op that has none."""
    while isinstance(error, TypeError) and isinstance(error.__context__, Exception):
        error = error.__context__
    return error


def _reason(error: Exception) -> str:
    text = str(error)
    if isinstance(error, NoRowsError):
        return f"its function cannot be applied to whole batches whose rows differ in length: {text}"
    found = _NOT_CONVERTED.search(text)
    if found is not None:
        return f"TensorFlow cannot apply its op {found[1]} to whole batches"
    line = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return f"TensorFlow cannot apply its function to whole batches: {line[:200]}"
