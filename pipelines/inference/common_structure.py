"""Common element structure of several pipelines."""

from __future__ import annotations

from collections.abc import Mapping

from pipeprof.pipelines.inference.errors import Refused
from pipeprof.pipelines.inference.tensor.shapes import Nested, Shape, Structure, Tensor
from pipeprof.pipelines.inference.tensor.texts import structure_text


def common_structure(first: Structure, second: Structure, field: str = "") -> Structure:
    """The structure that elements of both have, with dimensions in which they differ left open.

    Raises:
        Refused: They differ in structure, dtype or kind, which TensorFlow does not mix.
    """
    if first is None or second is None:
        return None
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        if first.keys() != second.keys():
            raise _different(first, second, field)
        return {key: common_structure(inner, second[key], _below(field, key)) for key, inner in first.items()}
    if isinstance(first, tuple) and isinstance(second, tuple):
        if len(first) != len(second):
            raise _different(first, second, field)
        pairs = zip(first, second, strict=True)
        return tuple(common_structure(one, other, _below(field, index)) for index, (one, other) in enumerate(pairs))
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        if first.dtype != second.dtype or first.kind != second.kind:
            raise _different(first, second, field)
        content = first.content if first.content == second.content else None
        return Tensor(first.dtype, common_shape(first.shape, second.shape), first.kind, content)
    if isinstance(first, Nested) and isinstance(second, Nested):
        inner = common_structure(first.structure, second.structure, field)
        return Nested(inner, common_shape(first.shape, second.shape))
    raise _different(first, second, field)


def common_shape(first: Shape | None, second: Shape | None) -> Shape | None:
    """The shape that fits both."""
    if first is None or second is None or len(first) != len(second):
        return None
    return tuple(one if one == other else None for one, other in zip(first, second, strict=True))


def _below(field: str, key: object) -> str:
    return f"{field}.{key}" if field else str(key)


def _different(first: Structure, second: Structure, field: str) -> Refused:
    where = f" in `{field}`" if field else ""
    message = (
        f"elements differ: {structure_text(first)} and {structure_text(second)}{where}, expected pipelines "
        "whose elements have the same structure and dtypes"
    )
    return Refused(message, "different-elements")
