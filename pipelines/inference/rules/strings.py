"""Inference rules of the functions of tf.strings."""

from __future__ import annotations

import math

from pipeprof.pipelines.data.recipes import Text
from pipeprof.pipelines.inference.errors import CannotInfer
from pipeprof.pipelines.inference.rules.base import Arguments, Rule, same
from pipeprof.pipelines.inference.tensor.shapes import Structure, Tensor, drop_axes

_ALIKE = 1e-9


def lengths_differ(least: int, most: int, count: int) -> bool:
    """Whether numbers drawn from a range, each with its neighbour, are not alike in all pairs."""
    pairs, kinds = count // 2, most - least + 1
    return kinds > 1 and pairs * math.log(kinds) > -math.log(_ALIKE)


def _split_varies(text: Tensor) -> bool:
    recipe = text.content.recipe if text.content is not None and text.content.kind == "text" else None
    return isinstance(recipe, Text) and lengths_differ(recipe.words[0], recipe.words[1], recipe.lines)


def _split(arguments: Arguments) -> Structure:
    text = arguments.tensor("input")
    if text.shape is None:
        raise CannotInfer
    if not text.shape:
        return Tensor("string", (None,), varies=not arguments.constants and _split_varies(text))
    rows = (None, *text.shape[1:]) if arguments.strict else text.shape
    return Tensor("string", (*rows, None), "ragged")


def _reduce_join(arguments: Arguments) -> Structure:
    axis, keep = arguments.constant("axis"), bool(arguments.constant("keepdims"))
    tensor = arguments.tensor("inputs")
    return tensor.of(shape=drop_axes(tensor.shape, axis, keep=keep))


def _join(arguments: Arguments) -> Structure:
    shapes = {tensor.shape for tensor in arguments.tensors("inputs") if tensor.shape != ()}
    if len(shapes) > 1:
        raise CannotInfer
    return Tensor("string", shapes.pop() if shapes else ())


_SAME_TEXT = (
    "lower", "regex_replace", "strip", "substr", "unicode_transcode", "upper",
)  # fmt: skip

RULES: dict[str, Rule] = {
    **{f"tf.strings.{name}": same("input", "string") for name in (*_SAME_TEXT, "as_string")},
    **{
        f"tf.strings.{name}": same("input", "int64")
        for name in ("to_hash_bucket", "to_hash_bucket_fast", "to_hash_bucket_strong")
    },
    "tf.strings.bytes_split": _split,
    "tf.strings.join": _join,
    "tf.strings.length": same("input", "int32"),
    "tf.strings.reduce_join": _reduce_join,
    "tf.strings.regex_full_match": same("input", "bool"),
    "tf.strings.split": _split,
    "tf.strings.to_number": lambda arguments: arguments.tensor("input").of(arguments.dtype("out_type", "float32")),
}
