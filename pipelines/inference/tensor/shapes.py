"""Tensors as known before a run, and arithmetic of shapes.

``None`` always means "not known": a dimension, a shape, or a whole tensor or structure of them. Nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pipeprof.pipelines.data.recipes import Recipe
from pipeprof.pipelines.ops.values.structures import Filling, MadeArray

Shape = tuple[int | None, ...]
INTEGERS = frozenset({"uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"})
FLOATS = frozenset({"bfloat16", "float16", "float32", "float64"})


@dataclass(frozen=True)
class Content:
    """Content of a string tensor, as far as a recipe under ``data:`` or the source determines it.

    Attributes:
        kind: Names of files, one encoded image, one serialised record, or text.
        recipe: The recipe that made it; None where only the source says how long it is.
        size: Height, width and channels of an encoded image.
    """

    kind: Literal["files", "image", "record", "text"]
    recipe: Recipe | None
    mean_bytes: float | None = None
    size: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Tensor:
    """One component of an element.

    Attributes:
        kind: Sparse and ragged tensors have the shape of the dense tensor they stand for.
        varies: Whether dimensions that are not known surely differ from element to element.
    """

    dtype: str
    shape: Shape | None
    kind: Literal["dense", "sparse", "ragged"] = "dense"
    content: Content | None = None
    varies: bool = field(default=False, compare=False)

    @property
    def rank(self) -> int | None:
        """Number of dimensions."""
        return None if self.shape is None else len(self.shape)

    @property
    def size(self) -> int | None:
        """Number of values."""
        if self.shape is None or None in self.shape:
            return None
        return math.prod(size for size in self.shape if size is not None)

    def as_dtype(self, dtype: str | None) -> Tensor:
        """A tensor of the same kind and shape with another dtype, whose text is not known."""
        return Tensor(dtype or self.dtype, self.shape, self.kind, varies=self.varies)

    def of(self, dtype: str | None = None, shape: Shape | Literal["same"] | None = "same") -> Tensor:
        """A dense tensor with another dtype or shape, whose text is not known."""
        if shape == "same":
            return Tensor(dtype or self.dtype, self.shape, varies=self.varies)
        return Tensor(dtype or self.dtype, shape)


@dataclass(frozen=True)
class Nested:
    """A dataset that is a component of an element, as ``window`` gives them.

    Attributes:
        shape: Dimensions of a tensor of datasets; empty for a single one.
        cardinality: Number of its elements, as for a pipeline.
    """

    structure: Structure
    shape: Shape | None = ()
    cardinality: int | None = None


Structure = Any
"""Dicts and tuples of `Tensor` and `Nested`; ``None`` where nothing is known."""


def leaves(structure: Structure) -> Iterator[Tensor | Nested | None]:
    """The components in TensorFlow's order: dicts by their sorted keys."""
    if isinstance(structure, Mapping):
        for key in sorted(structure):
            yield from leaves(structure[key])
    elif isinstance(structure, tuple):
        for inner in structure:
            yield from leaves(inner)
    else:
        yield structure


def paths(structure: Structure, prefix: str = "") -> Iterator[str]:
    """Dotted keys of the components in TensorFlow's order; a single tensor is the empty text."""
    if isinstance(structure, Mapping):
        for key in sorted(structure):
            yield from paths(structure[key], f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(structure, tuple):
        for index, inner in enumerate(structure):
            yield from paths(inner, f"{prefix}.{index}" if prefix else str(index))
    else:
        yield prefix


def each(function: Any, structure: Structure) -> Structure:
    """``structure`` with every known component replaced."""
    if isinstance(structure, Mapping):
        return {key: each(function, inner) for key, inner in structure.items()}
    if isinstance(structure, tuple):
        return tuple(each(function, inner) for inner in structure)
    return None if structure is None else function(structure)


def broadcast(first: Shape | None, second: Shape | None) -> Shape | None:
    """The shape of an element-wise operation on two tensors; ``None`` if unknown, or if they do not fit."""
    if first is None or second is None:
        return None
    rank = max(len(first), len(second))
    pairs = zip((1,) * (rank - len(first)) + first, (1,) * (rank - len(second)) + second, strict=True)
    result: list[int | None] = []
    for one, other in pairs:
        if one in (1, other):
            result.append(other)
        elif other == 1:
            result.append(one)
        elif one is None or other is None:
            # The known one is larger than 1, and so is the result; or it is 0, which TensorFlow leaves open.
            result.append((one if other is None else other) or None)
        else:
            return None
    return tuple(result)


def fits(first: Shape, second: Shape) -> bool:
    """Whether both may be the shape of one tensor.

    Example:
        >>> fits((None, 3), (2, 3)), fits((2, 3), (2, 4)), fits((2,), (2, 3))
        (True, False, False)
    """
    return len(first) == len(second) and all(
        one is None or other is None or one == other for one, other in zip(first, second, strict=True)
    )


def merge(first: Shape | None, second: Shape | None) -> Shape | None:
    """Combine what two shapes state about one tensor; the second one wins a contradiction."""
    if first is None or second is None:
        return first if second is None else second
    if len(first) != len(second):
        return second
    return tuple(one if other is None else other for one, other in zip(first, second, strict=True))


def drop_axes(shape: Shape | None, axis: Any, *, keep: bool) -> Shape | None:
    """The shape after a reduction along ``axis``: a number, a list of them, or ``None`` for all."""
    if axis is None:
        if not keep:
            return ()
        return None if shape is None else (1,) * len(shape)
    if shape is None:
        return None
    axes = axis if isinstance(axis, list | tuple) else [axis]
    if not all(isinstance(ax, int) and -len(shape) <= ax < len(shape) for ax in axes):
        return None
    gone = {ax % len(shape) for ax in axes}
    return tuple(1 if index in gone else size for index, size in enumerate(shape) if keep or index not in gone)


def settled(component: Tensor | Nested) -> Tensor | Nested:
    """A component of elements that were chosen among others: those that are left may be alike."""
    return replace(component, varies=False) if isinstance(component, Tensor) and component.varies else component


def literal(value: Any, dtype: str | None = None) -> Tensor | None:
    """The tensor that TensorFlow makes of a literal or an array made in memory; ``dtype`` where the context sets it."""
    if isinstance(value, MadeArray):
        return array(value.array)
    shape = nesting(value)
    if shape is None:
        return None
    kinds = {type(item) for item in _scalars(value)}
    natural = "string" if kinds == {str} else "bool" if kinds == {bool} else None
    if natural is None and kinds <= {int, float}:
        natural = "int32" if kinds == {int} else "float32"
        if natural == "int32" and any(not -(2**31) <= item < 2**31 for item in _scalars(value)):
            natural = "int64"
    return Tensor(dtype or natural, shape) if natural is not None else None


def array(filling: Filling) -> Tensor:
    """The tensor of an array that a spec describes."""
    return Tensor(str(filling.dtype), tuple(filling.shape))


def is_uneven(value: Any) -> bool:
    """Whether lists that stand side by side have different lengths.

    Example:
        >>> is_uneven([[1], [2, 3]]), is_uneven([[1], [2]]), is_uneven([])
        (True, False, False)
    """
    if not isinstance(value, list | tuple) or not value:
        return False
    lists = [item for item in value if isinstance(item, list | tuple)]
    return len({len(item) for item in lists}) > 1 or 0 < len(lists) < len(value) or any(map(is_uneven, lists))


def nesting(value: Any) -> Shape | None:
    """Shape of nested lists of scalars; ``None`` when their lengths differ."""
    if not isinstance(value, list | tuple):
        return () if isinstance(value, str | int | float | bool) else None
    inner = [nesting(item) for item in value]
    if not inner:
        return (0,)
    if inner[0] is None or any(shape != inner[0] for shape in inner):
        return None
    return (len(inner), *inner[0])


def _scalars(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _scalars(item)
    else:
        yield value
