"""Structures of elements: a graph has only their components."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pipeprof.pipelines.graph.edit.editable import FlatElement
from pipeprof.pipelines.graph.edit.functions import component_specs
from pipeprof.pipelines.graph.observe.in_memory_sources import is_component
from pipeprof.pipelines.ops.traits import traits

Shape = tuple[int | None, ...] | None


def structured(spec: Any, element: FlatElement) -> Any | None:
    """Return a structure with other static shapes; None where its components are not those of the element."""
    import tensorflow as tf

    leaves = components(spec)
    if len(leaves) != len(element.types):
        return None
    found = []
    for leaf, kind, shape in zip(leaves, element.types, element.shapes, strict=True):
        if isinstance(leaf, tf.TensorSpec):
            if leaf.dtype.as_datatype_enum != kind:
                return None
            found.append(tf.TensorSpec(shape, leaf.dtype))
        elif kind == tf.variant.as_datatype_enum:
            found.append(leaf)
        else:
            return None
    return with_components(spec, found)


def components(structure: Any) -> list[Any]:
    """Return the components of an element or of its spec; a None is none."""
    import tensorflow as tf

    return list(filter(is_component, tf.nest.flatten(structure)))


def with_components(structure: Any, given: Iterable[Any]) -> Any:
    """Return a structure with other components."""
    import tensorflow as tf

    rest = iter(given)
    leaves = [next(rest) if is_component(leaf) else leaf for leaf in tf.nest.flatten(structure)]
    return tf.nest.pack_sequence_as(structure, leaves)


def unstructured(element: FlatElement) -> Any:
    """Return an element's components as a tuple: enough for a stage that does not look into elements."""
    return tuple(component_specs(element))


def needs_structure(op: str) -> bool:
    """Return whether a stage depends on how its elements are structured."""
    row = traits(op)
    known = row.same_components and not (row.unbatches or row.combines or row.predicate or row.computes)
    return row.opaque or not known or (row.batches is not None and not row.stacks)


def at_least_as_specific(shapes: Sequence[Shape], traced: Sequence[Shape]) -> bool:
    """Return whether a function that was traced for some shapes takes others.

    Example:
        >>> at_least_as_specific([(32, 8)], [(None, 8)]), at_least_as_specific([(None, 8)], [(32, 8)])
        (True, False)
    """
    return all(_takes(new, old) for new, old in zip(shapes, traced, strict=True))


def _takes(new: Shape, old: Shape) -> bool:
    if old is None or new is None:
        return old is None
    return len(new) == len(old) and all(known is None or size == known for size, known in zip(new, old, strict=True))


def shape_text(element: FlatElement) -> str:
    """Return an element's components in words, e.g. ``float32 (?, 28), int64 ()``."""
    import tensorflow as tf

    parts = []
    for kind, shape in zip(element.types, element.shapes, strict=True):
        sizes = "…" if shape is None else ", ".join("?" if size is None else str(size) for size in shape)
        parts.append(f"{tf.dtypes.as_dtype(kind).name} ({sizes})")
    return ", ".join(parts)
