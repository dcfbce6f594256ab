"""Texts of tensors and structures in messages, and refusals that name what was received."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from pipeprof.pipelines.inference.errors import Refused
from pipeprof.pipelines.inference.tensor.shapes import Nested, Shape, Structure, Tensor


def shape_text(shape: Shape | None) -> str:
    """A shape as a spec writes it.

    Example:
        >>> shape_text((None, 3)), shape_text(None)
        ('[null, 3]', 'of unknown rank')
    """
    if shape is None:
        return "of unknown rank"
    return f"[{', '.join('null' if size is None else str(size) for size in shape)}]"


def tensor_text(tensor: Tensor) -> str:
    """A tensor in a few words.

    Example:
        >>> tensor_text(Tensor("string", (None,))), tensor_text(Tensor("int64", ())), tensor_text(Tensor("int64", None))
        ('a string tensor of shape [null]', 'a single int64', 'an int64 tensor of unknown rank')
    """
    article = "an " if tensor.dtype.startswith("int") else "a "
    if tensor.kind != "dense":
        return f"a {tensor.kind} {tensor.dtype} tensor of shape {shape_text(tensor.shape)}"
    if tensor.shape == ():
        return f"a single {tensor.dtype}"
    shape = shape_text(tensor.shape)
    return f"{article}{tensor.dtype} tensor {shape if tensor.shape is None else f'of shape {shape}'}"


def structure_text(structure: Structure) -> str:
    """Any structure in a few words.

    Example:
        >>> structure_text({"a": None, "b": None}), structure_text((None, None)), structure_text(None)
        ('a mapping with a, b', 'a tuple of 2', 'something')
    """
    if isinstance(structure, Tensor):
        return tensor_text(structure)
    if isinstance(structure, Mapping):
        return f"a mapping with {', '.join(map(str, structure))}"
    if isinstance(structure, tuple):
        return f"a tuple of {len(structure)}"
    return "a dataset" if isinstance(structure, Nested) else "something"


def mismatch(got: Any, code: str, expected: str, *argument: str | int, excess: int = 0) -> Refused:
    """The usual refusal: got this, expected that."""
    shown = got if isinstance(got, str) else structure_text(got)
    return Refused(f"got {shown}, expected {expected}", code, *argument, excess=excess)


def refuse(got: Any, code: str, expected: str, *argument: str | int, excess: int = 0) -> NoReturn:
    """Say that TensorFlow refuses it: got this, expected that."""
    raise mismatch(got, code, expected, *argument, excess=excess)
