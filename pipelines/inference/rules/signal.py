"""Inference rules of the functions of tf.signal."""

from __future__ import annotations

from pipeprof.pipelines.inference.errors import CannotInfer
from pipeprof.pipelines.inference.rules.base import Arguments, Rule
from pipeprof.pipelines.inference.tensor.shapes import Structure, Tensor


def _rfft(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("input_tensor")
    if arguments.constant("fft_length") is not None or not tensor.shape:
        raise CannotInfer
    size = tensor.shape[-1]
    return Tensor(
        "complex128" if tensor.dtype == "float64" else "complex64",
        (*tensor.shape[:-1], None if size is None else size // 2 + 1),
    )


RULES: dict[str, Rule] = {"tf.signal.rfft": _rfft}
