"""Inference for padding in ``padded_batch`` and ``bucket_by_sequence_length``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeprof.pipelines.inference.errors import Refused
from pipeprof.pipelines.inference.tensor.shapes import Nested, Structure, Tensor, leaves, paths
from pipeprof.pipelines.inference.tensor.texts import mismatch, refuse, shape_text, structure_text, tensor_text
from pipeprof.pipelines.ops.values.padding import fits
from pipeprof.pipelines.ops.values.structures import ShapeOf
from pipeprof.pipelines.ops.values.structures import Structure as WrittenStructure


def padded(structure: Structure, shapes: WrittenStructure | None, values: WrittenStructure | None) -> Structure:
    """An element with its components padded to shapes.

    Raises:
        Refused: A component cannot be padded, or the shapes or values do not fit the element.
    """
    _check_dense(structure)
    if shapes is not None:
        structure = _shaped(structure, shapes.value, ("padded_shapes",))
    if values is not None:
        if isinstance(values.value, Mapping | tuple):
            _check_each(structure, values.value, ("padding_values",))
        elif values.value is not None:
            for component, path in zip(leaves(structure), paths(structure), strict=True):
                _check_value(component, values.value, ("padding_values",), path)
    return structure


def _check_dense(structure: Structure) -> None:
    if isinstance(structure, Mapping | tuple):
        for inner in structure.values() if isinstance(structure, Mapping) else structure:
            _check_dense(inner)
    elif isinstance(structure, Nested) or (isinstance(structure, Tensor) and structure.kind != "dense"):
        hint = "" if isinstance(structure, Nested) else ": put tf.sparse.to_dense before it"
        hint = hint.replace("sparse.to_dense", "RaggedTensor.to_tensor") if _is_ragged(structure) else hint
        refuse(structure, "wrong-kind", f"dense tensors for padding{hint}")


def _is_ragged(structure: Structure) -> bool:
    return isinstance(structure, Tensor) and structure.kind == "ragged"


def _shaped(structure: Structure, shapes: Any, place: tuple[str | int, ...]) -> Structure:
    if structure is None:
        return None
    if isinstance(structure, Tensor):
        if not isinstance(shapes, ShapeOf):
            raise _misfit(shapes, f"one shape for {tensor_text(structure)}", place)
        if shapes.dimensions is None:
            return structure
        if structure.shape is not None:
            fits = len(structure.shape) == len(shapes.dimensions) and all(
                size is None or most is None or size <= most
                for size, most in zip(structure.shape, shapes.dimensions, strict=True)
            )
            if not fits:
                expected = f"at least {shape_text(structure.shape)}, the shape of the component"
                refuse(shape_text(shapes.dimensions), "wrong-shape", expected, *place)
        return replace(structure, shape=shapes.dimensions)
    if isinstance(structure, Mapping) and isinstance(shapes, dict) and shapes.keys() == structure.keys():
        return {key: _shaped(inner, shapes[key], (*place, key)) for key, inner in structure.items()}
    if isinstance(structure, tuple) and isinstance(shapes, tuple) and len(shapes) == len(structure):
        pairs = zip(structure, shapes, strict=True)
        return tuple(_shaped(inner, shape, (*place, index)) for index, (inner, shape) in enumerate(pairs))
    if isinstance(structure, tuple) and isinstance(shapes, ShapeOf) and shapes.dimensions is not None:
        # A list of numbers is a shape; TensorFlow takes it apart when the element is a tuple of scalars, say.
        return None
    raise _misfit(shapes, f"the element's structure, {structure_text(structure)}", place)


def _misfit(shapes: Any, expected: str, place: tuple[str | int, ...]) -> Refused:
    got = f"the shape {shape_text(shapes.dimensions)}" if isinstance(shapes, ShapeOf) else structure_text(shapes)
    return mismatch(got, "wrong-structure", expected, *place)


def _check_each(structure: Structure, values: Any, place: tuple[str | int, ...]) -> None:
    if structure is None or values is None:
        return
    if isinstance(values, Mapping) and isinstance(structure, Mapping) and values.keys() == structure.keys():
        for key, inner in structure.items():
            _check_each(inner, values[key], (*place, key))
    elif isinstance(values, tuple) and isinstance(structure, tuple) and len(values) == len(structure):
        for index, inner in enumerate(structure):
            _check_each(inner, values[index], (*place, index))
    elif isinstance(structure, Tensor) and not isinstance(values, Mapping | tuple):
        _check_value(structure, values, place)
    else:
        got = structure_text(values) if isinstance(values, Mapping | tuple) else repr(values)
        refuse(got, "wrong-structure", f"the element's structure, {structure_text(structure)}", *place)


def _check_value(component: Any, value: Any, place: tuple[str | int, ...], path: str = "") -> None:
    if isinstance(component, Tensor) and not fits(value, component.dtype):
        of = f"`{path}`, " if path else ""
        refuse(repr(value), "wrong-dtype", f"a value for {of}{tensor_text(component)}", *place)
