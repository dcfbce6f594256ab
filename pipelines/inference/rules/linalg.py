"""Inference rules of the functions of tf.linalg."""

from __future__ import annotations

from pipeprof.pipelines.inference.errors import CannotInfer
from pipeprof.pipelines.inference.rules.base import Arguments, Rule, pair, same
from pipeprof.pipelines.inference.tensor.shapes import Shape, Structure, broadcast
from pipeprof.pipelines.inference.tensor.texts import refuse, tensor_text


def matmul(arguments: Arguments) -> Structure:
    """Infer the product of two matrices, or of batches of them."""
    one, other = pair(arguments, "a", "b")
    if one.shape is None or other.shape is None:
        return one.of(shape=None)
    if arguments.constant("output_type") is not None:
        raise CannotInfer
    if len(one.shape) < 2 or len(other.shape) < 2:
        raise CannotInfer
    rows, inner = _turned(one.shape, arguments, "a")
    other_inner, columns = _turned(other.shape, arguments, "b")
    if inner is not None and other_inner is not None and inner != other_inner:
        got = f"{tensor_text(one)} and {tensor_text(other)}"
        refuse(got, "wrong-shape", "as many columns in `a` as rows in `b`")
    batch = broadcast(one.shape[:-2], other.shape[:-2])
    return one.of(shape=None if batch is None else (*batch, rows, columns))


def _turned(shape: Shape, arguments: Arguments, name: str) -> tuple[int | None, int | None]:
    turned = bool(arguments.constant(f"transpose_{name}")) or bool(arguments.constant(f"adjoint_{name}"))
    return (shape[-1], shape[-2]) if turned else (shape[-2], shape[-1])


RULES: dict[str, Rule] = {"tf.linalg.l2_normalize": same("x"), "tf.linalg.matmul": matmul}
