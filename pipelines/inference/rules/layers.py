"""Inference rules of Keras layers, as far as they hold for all supported TensorFlow versions."""

from __future__ import annotations

from pipeprof.pipelines.inference.errors import CannotInfer
from pipeprof.pipelines.inference.rules.base import Arguments, Rule
from pipeprof.pipelines.inference.tensor.shapes import Structure


def _as_float(arguments: Arguments) -> Structure:
    return arguments.tensor("inputs").of(arguments.dtype("dtype", "float32"))


def _sized(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("inputs")
    height, width = arguments.integer("height"), arguments.integer("width")
    channels_last = arguments.constant("data_format") in (None, "channels_last")
    if tensor.shape is None or len(tensor.shape) not in (3, 4) or not channels_last:
        raise CannotInfer
    shape = (*tensor.shape[:-3], height, width, tensor.shape[-1])
    return tensor.of(arguments.dtype("dtype", "float32"), shape)


def _numbered(arguments: Arguments) -> Structure:
    if arguments.constant("output_mode", "int") != "int":
        raise CannotInfer
    return arguments.tensor("inputs").of("int64")


LAYERS: dict[str, Rule] = {
    "CenterCrop": _sized,
    "Hashing": _numbered,
    "IntegerLookup": _numbered,
    "Normalization": _as_float,
    "RandomBrightness": _as_float,
    "RandomContrast": _as_float,
    "RandomCrop": _sized,
    "RandomFlip": _as_float,
    "RandomRotation": _as_float,
    "RandomTranslation": _as_float,
    "RandomZoom": _as_float,
    "Rescaling": _as_float,
    "Resizing": _sized,
    "StringLookup": _numbered,
}
"""By the name of the layer."""
