"""Inference rules of the functions of ``ops:``: what all rules share.

A rule takes the arguments of one call and returns the structure of its result. It raises `CannotInfer` where that is
unknown and `Refused` where TensorFlow is certain to refuse the call. Modules hold a table ``RULES`` by function.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeprof.pipelines.inference.errors import CannotInfer, Refused
from pipeprof.pipelines.inference.tensor.shapes import INTEGERS, Shape, Structure, Tensor, broadcast, literal
from pipeprof.pipelines.inference.tensor.texts import refuse, shape_text, tensor_text
from pipeprof.pipelines.ops.values.structures import ARRAYS, Array

Rule = Callable[["Arguments"], Structure]
ArrayLookup = Callable[[Array], Tensor | None]


@dataclass(frozen=True)
class Arguments:
    """The arguments of one call.

    Attributes:
        strict: Whether to say only what TensorFlow's own element specs say.
    """

    inputs: Mapping[str, Structure]
    constants: Mapping[str, Any]
    arrays: ArrayLookup
    strict: bool

    def raw(self, name: str) -> Tensor | None:
        """The input itself, also when nothing is known about it."""
        found = self.inputs.get(name)
        return found if isinstance(found, Tensor) else None

    def component(self, name: str) -> Tensor:
        """A tensor of any kind."""
        found = self.raw(name)
        return self.tensor(name) if found is None else found

    def tensor(self, name: str, dtype: str | None = None) -> Tensor:
        """A dense tensor: an input, or the constant that TensorFlow converts to ``dtype``.

        Raises:
            CannotInfer: The argument is unknown, sparse or ragged.
        """
        if name in self.inputs:
            return dense(self.inputs[name])
        if name not in self.constants or self.constants[name] is None:
            raise CannotInfer
        return dense(self.convert(self.constants[name], dtype))

    def convert(self, value: Any, dtype: str | None = None) -> Tensor | None:
        """The tensor of a constant."""
        if isinstance(value, ARRAYS):
            return self.arrays(value)
        return literal(value, dtype)

    def tensors(self, name: str) -> list[Tensor]:
        """The tensors of a parameter that takes a list of them."""
        found = self.inputs.get(name)
        if isinstance(found, tuple):
            return [dense(value) for value in found]
        if found is not None or name not in self.constants or not isinstance(self.constants[name], list | tuple):
            raise CannotInfer
        return [dense(self.convert(value)) for value in self.constants[name]]

    def constant(self, name: str, default: Any = None) -> Any:
        """Return the constant argument.

        Raises:
            CannotInfer: The argument is an input, known only in a run.
        """
        if name in self.inputs:
            raise CannotInfer
        return self.constants.get(name, default)

    def dtype(self, name: str = "dtype", default: str | None = None) -> str:
        """The dtype that was written."""
        found = self.constant(name)
        if found is None:
            if default is None:
                raise CannotInfer
            return default
        return str(found)

    def integers(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers.

        Raises:
            Refused: The argument is text.
        """
        found = self.constant(name)
        if isinstance(found, str):
            refuse(repr(found), "wrong-type", "a list of whole numbers", name)
        if not isinstance(found, list | tuple) or not all(type(item) is int for item in found):
            raise CannotInfer
        return tuple(found)

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number."""
        found = self.constant(name, default)
        if type(found) is not int:
            raise CannotInfer
        return found


def dense(value: Structure) -> Tensor:
    """``value`` as a dense tensor.

    Raises:
        CannotInfer: It is nested, sparse, ragged or unknown.
    """
    if not isinstance(value, Tensor) or value.kind != "dense":
        raise CannotInfer
    return value


@functools.cache
def rules() -> Mapping[str, Rule]:
    """Collect the rules of all modules of this folder, by the function's name."""
    package = importlib.import_module("pipeprof.pipelines.inference.rules")
    found: dict[str, Rule] = {}
    for module_info in pkgutil.iter_modules(package.__path__):
        found.update(vars(importlib.import_module(f"{package.__name__}.{module_info.name}")).get("RULES", {}))
    return found


def same(name: str, dtype: str | None = None) -> Rule:
    """The shape of one argument, and its dtype unless another one is always the result."""

    def rule(arguments: Arguments) -> Structure:
        return arguments.component(name).as_dtype(dtype)

    return rule


def pair(arguments: Arguments, first: str, second: str) -> tuple[Tensor, Tensor]:
    """Two operands of one dtype: a constant takes that of the tensor before it."""
    one = arguments.tensor(first)
    other = arguments.tensor(second, one.dtype if first in arguments.inputs else None)
    if first in arguments.inputs and second not in arguments.inputs:
        _check_constant(one, arguments.constants[second], second)
    elif one.dtype != other.dtype:
        raise differing(one, other)
    return one, other


def _check_constant(tensor: Tensor, value: Any, name: str) -> None:
    """Refuse a constant that TensorFlow does not convert to the dtype of the other operand."""
    if isinstance(value, ARRAYS):
        return
    natural = literal(value)
    if natural is None:
        return
    fits = natural.dtype == "string" if tensor.dtype == "string" else natural.dtype != "string"
    whole = tensor.dtype in INTEGERS and natural.dtype == "float32"
    if not fits or whole:
        hint = ": put tf.cast before it" if whole else ""
        expected = f"{_values_of(tensor)}, to match {tensor_text(tensor)}{hint}"
        refuse("a list" if isinstance(value, list | tuple) else repr(value), "wrong-dtype", expected, name)


def _values_of(tensor: Tensor) -> str:
    if tensor.dtype == "string":
        return "text"
    return "whole numbers" if tensor.dtype in INTEGERS else "numbers"


def differing(one: Tensor, other: Tensor) -> Refused:
    """Two operands of different dtypes."""
    text = "string" in (one.dtype, other.dtype)
    names = "tf.strings.to_number or tf.strings.as_string" if text else "tf.cast"
    message = f"dtypes differ: {tensor_text(one)} and {tensor_text(other)}: put {names} before one of them"
    return Refused(message, "wrong-dtype")


def stretched(one: Tensor, other: Tensor) -> Shape | None:
    """The shape of an element-wise operation.

    Raises:
        Refused: The shapes do not fit each other.
    """
    shape = broadcast(one.shape, other.shape)
    if shape is None and one.shape is not None and other.shape is not None:
        got = f"shapes {shape_text(one.shape)} and {shape_text(other.shape)}"
        refuse(got, "wrong-shape", "shapes that can be broadcast")
    return shape


def binary(first: str, second: str, dtype: str | None = None) -> Rule:
    """Element by element on two tensors that are stretched to each other's shape."""

    def rule(arguments: Arguments) -> Structure:
        one, other = pair(arguments, first, second)
        return Tensor(dtype or one.dtype, stretched(one, other))

    return rule


def check_axes(tensor: Tensor, axis: Any) -> None:
    """Refuse axes that a tensor does not have."""
    if tensor.shape is None:
        return
    for one in axis if isinstance(axis, list | tuple) else [axis]:
        if type(one) is int and not -len(tensor.shape) <= one < len(tensor.shape):
            count = len(tensor.shape)
            refuse(f"axis {one}", "wrong-axis", f"one of the {count} dimensions of {tensor_text(tensor)}", "axis")


def of_shape(arguments: Arguments) -> Structure:
    """Infer a tensor from the written ``shape`` and ``dtype``."""
    return Tensor(arguments.dtype("dtype", "float32"), written_shape(arguments.constant("shape")))


def written_shape(shape: object) -> Shape:
    """Convert a written shape."""
    items = shape if isinstance(shape, list | tuple) else [shape]
    if not all(type(item) is int and item >= 0 for item in items):
        raise CannotInfer
    return tuple(items)
