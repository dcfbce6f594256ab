"""Inference rules of arithmetic, comparisons, reductions, products, random numbers, sparse and ragged tensors."""

from __future__ import annotations

from dataclasses import replace

from pipeprof.pipelines.inference.errors import CannotInfer
from pipeprof.pipelines.inference.rules.base import Arguments, Rule, binary, check_axes, of_shape, pair, same, stretched
from pipeprof.pipelines.inference.tensor.shapes import Shape, Structure, Tensor, broadcast, drop_axes
from pipeprof.pipelines.inference.tensor.texts import refuse, tensor_text


def _real(name: str) -> Rule:
    def rule(arguments: Arguments) -> Structure:
        tensor = arguments.tensor(name)
        if tensor.dtype.startswith("complex"):
            raise CannotInfer
        return tensor.of()

    return rule


def _quotient(arguments: Arguments) -> Structure:
    one, other = pair(arguments, "x", "y")
    wide = {"int32": "float64", "int64": "float64", "uint32": "float64", "uint64": "float64"}
    narrow = dict.fromkeys(("int8", "uint8", "int16", "uint16"), "float32")
    return Tensor((wide | narrow).get(one.dtype, one.dtype), stretched(one, other))


def _reduction(name: str, dtype: str | None = None, *, real: bool = False) -> Rule:
    def rule(arguments: Arguments) -> Structure:
        axis = arguments.constant("axis")
        keep = bool(arguments.constant("keepdims"))
        tensor = arguments.tensor(name)
        if real and tensor.dtype.startswith("complex"):
            raise CannotInfer
        check_axes(tensor, axis)
        return tensor.of(dtype, drop_axes(tensor.shape, axis, keep=keep))

    return rule


def _arg_reduction(arguments: Arguments) -> Structure:
    axis = arguments.constant("axis")
    tensor = arguments.tensor("input")
    check_axes(tensor, 0 if axis is None else axis)
    shape = drop_axes(tensor.shape, 0 if axis is None else axis, keep=False)
    return tensor.of(arguments.dtype("output_type", "int64"), shape)


def _rfft(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("input_tensor")
    if arguments.constant("fft_length") is not None or not tensor.shape:
        raise CannotInfer
    size = tensor.shape[-1]
    return Tensor(
        "complex128" if tensor.dtype == "float64" else "complex64",
        (*tensor.shape[:-1], None if size is None else size // 2 + 1),
    )


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


_SAME_X = (
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "conj", "cos", "cosh", "cumprod", "cumsum", "digamma",
    "erf", "exp", "expm1", "floor", "lgamma", "log", "log1p", "log_sigmoid", "negative", "reciprocal", "rint", "round",
    "rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh",
)  # fmt: skip
_BINARY = (
    "add", "floordiv", "floormod", "maximum", "minimum", "mod", "multiply", "multiply_no_nan", "pow",
    "squared_difference", "subtract", "xdivy", "xlogy",
)  # fmt: skip
_COMPARISONS = ("equal", "greater", "greater_equal", "less", "less_equal", "not_equal")
_REDUCTIONS = (
    "reduce_euclidean_norm", "reduce_logsumexp", "reduce_max", "reduce_mean", "reduce_min", "reduce_prod", "reduce_sum",
)  # fmt: skip

_MATH: dict[str, Rule] = {
    **{name: same("x") for name in _SAME_X},
    **{name: binary("x", "y") for name in _BINARY},
    **{name: binary("x", "y", "bool") for name in _COMPARISONS},
    **{name: binary("x", "y", "bool") for name in ("logical_and", "logical_or", "logical_xor")},
    **{name: same("x", "bool") for name in ("is_finite", "is_inf", "is_nan", "logical_not")},
    **{name: _reduction("input_tensor") for name in _REDUCTIONS},
    **{name: _reduction("input_tensor", "bool") for name in ("reduce_all", "reduce_any")},
    **{name: _reduction("input_tensor", real=True) for name in ("reduce_std", "reduce_variance")},
    "abs": _real("x"),
    "argmax": _arg_reduction,
    "argmin": _arg_reduction,
    "atan2": binary("y", "x"),
    "count_nonzero": _reduction("input", "int64"),
    "divide": _quotient,
    "divide_no_nan": _quotient,
    "truediv": _quotient,
    "softmax": same("logits"),
    "log_softmax": same("logits"),
    "softplus": same("features"),
    "softsign": same("features"),
    "l2_normalize": same("x"),
}
_SHORT = (
    "abs", "add", "argmax", "argmin", "cos", "cumsum", "divide", "equal", "exp", "floor", "greater", "greater_equal",
    "less", "less_equal", "logical_and", "logical_not", "logical_or", "maximum", "minimum", "multiply", "negative",
    "not_equal", "pow", "reduce_all", "reduce_any", "reduce_logsumexp", "reduce_max", "reduce_mean", "reduce_min",
    "reduce_prod", "reduce_sum", "round", "sigmoid", "sign", "sin", "sqrt", "square", "subtract", "tanh", "truediv",
)  # fmt: skip

RULES: dict[str, Rule] = {
    **{f"tf.math.{name}": rule for name, rule in _MATH.items()},
    **{f"tf.{name}": _MATH[name] for name in _SHORT},
    **{
        f"tf.bitwise.{name}": binary("x", "y")
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift")
    },
    **dict.fromkeys(("tf.random.normal", "tf.random.truncated_normal", "tf.random.uniform"), of_shape),
    **{f"tf.random.stateless_{name}": of_shape for name in ("normal", "truncated_normal", "uniform")},
    "tf.RaggedTensor.to_tensor": _ragged_to_tensor,
    "tf.linalg.l2_normalize": same("x"),
    "tf.linalg.matmul": matmul,
    "tf.nn.l2_normalize": same("x"),
    "tf.nn.relu": same("features"),
    "tf.nn.sigmoid": same("x"),
    "tf.nn.softmax": same("logits"),
    "tf.random.shuffle": same("value"),
    "tf.signal.rfft": _rfft,
    "tf.sparse.to_dense": _to_dense,
}
