"""Inference rules of the functions of sparse and ragged tensors."""

from __future__ import annotations

from dataclasses import replace

from pipeprof.pipelines.inference.errors import CannotInfer
from pipeprof.pipelines.inference.rules.base import Arguments, Rule
from pipeprof.pipelines.inference.tensor.shapes import Structure


def _to_dense(arguments: Arguments) -> Structure:
    sparse = arguments.raw("sp_input")
    if sparse is None or sparse.kind != "sparse":
        raise CannotInfer
    # TensorFlow's own spec of the dense tensor keeps the number of dimensions alone.
    blurred = arguments.strict and sparse.shape is not None
    return replace(sparse, kind="dense", shape=(None,) * len(sparse.shape or ()) if blurred else sparse.shape)


def _ragged_to_tensor(arguments: Arguments) -> Structure:
    ragged = arguments.raw("self")
    if ragged is None or ragged.kind != "ragged" or arguments.constant("shape") is not None:
        raise CannotInfer
    return replace(ragged, kind="dense")


RULES: dict[str, Rule] = {"tf.RaggedTensor.to_tensor": _ragged_to_tensor, "tf.sparse.to_dense": _to_dense}
