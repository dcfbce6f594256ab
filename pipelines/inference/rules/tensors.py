"""Inference rules of the functions that make, shape and select tensors."""

from __future__ import annotations

import math

from pipeprof.pipelines.inference.errors import CannotInfer, Refused
from pipeprof.pipelines.inference.rules.base import Arguments, Rule, differing, of_shape, same, written_shape
from pipeprof.pipelines.inference.rules.math import matmul
from pipeprof.pipelines.inference.tensor.shapes import FLOATS, Shape, Structure, Tensor, broadcast, fits, merge
from pipeprof.pipelines.inference.tensor.texts import mismatch, refuse, shape_text, tensor_text


def _cast(name: str) -> Rule:
    def rule(arguments: Arguments) -> Structure:
        tensor, wanted = arguments.component(name), arguments.dtype()
        if (tensor.dtype == "string") != (wanted == "string"):
            hint = "tf.strings.to_number" if tensor.dtype == "string" else "tf.strings.as_string"
            refuse(f"dtype {wanted} for {tensor_text(tensor)}", "wrong-dtype", f"{hint}: no cast does that", "dtype")
        return tensor.as_dtype(wanted)

    return rule


def _axis(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if type(axis) is not int:
        raise CannotInfer
    if not -rank <= axis < rank:
        expected = f"a number from {-rank} to {rank - 1}" if rank else "a tensor with dimensions"
        refuse(f"axis {axis}", "wrong-axis", expected, "axis")
    return axis % rank


def _dimensions(tensor: Tensor) -> Shape:
    if tensor.shape is None:
        raise CannotInfer
    return tensor.shape


def _expand_dims(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("input")
    shape = _dimensions(tensor)
    axis = _axis(arguments.integer("axis"), len(shape) + 1)
    return tensor.of(shape=(*shape[:axis], 1, *shape[axis:]))


def _squeeze(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("input")
    shape = _dimensions(tensor)
    axis = arguments.constant("axis")
    if axis is None:
        if None in shape:
            return tensor.of(shape=None)
        return tensor.of(shape=tuple(size for size in shape if size != 1))
    gone = {_axis(one, len(shape)) for one in (axis if isinstance(axis, list | tuple) else [axis])}
    if any(shape[number] not in (1, None) for number in gone):
        refuse(tensor, "wrong-shape", "a size of 1 along the axis", "axis")
    return tensor.of(shape=tuple(size for index, size in enumerate(shape) if index not in gone))


def _reshape(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("tensor")
    wanted = arguments.integers("shape")
    if -1 not in wanted:
        if tensor.size is not None and tensor.size != math.prod(wanted):
            raise _miscounted(tensor, wanted)
        return tensor.of(shape=wanted)
    known = math.prod(size for size in wanted if size != -1)
    total = tensor.size
    if total is not None and known and total % known:
        raise _miscounted(tensor, wanted)
    free = None if total is None or known == 0 else total // known
    return tensor.of(shape=tuple(free if size == -1 else size for size in wanted))


def _miscounted(tensor: Tensor, wanted: tuple[int, ...]) -> Refused:
    got = f"the shape {shape_text(wanted)} for {tensor_text(tensor)}"
    return mismatch(got, "wrong-shape", f"one for {tensor.size} values", "shape")


def _ensure_shape(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("x")
    wanted = arguments.constant("shape")
    if not isinstance(wanted, list | tuple):
        raise CannotInfer
    if tensor.shape is not None and not fits(tensor.shape, tuple(wanted)):
        refuse(tensor, "wrong-shape", f"a shape that fits {shape_text(tuple(wanted))}", "shape")
    return tensor.of(shape=merge(tensor.shape, tuple(None if size == -1 else size for size in wanted)))


def _transpose(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("a")
    shape = _dimensions(tensor)
    if arguments.constant("perm") is None:
        return tensor.of(shape=shape[::-1])
    order = arguments.integers("perm")
    if any(number < 0 for number in order):
        raise CannotInfer
    if sorted(order) != list(range(len(shape))):
        refuse(f"perm {list(order)}", "wrong-shape", f"each of the {len(shape)} dimensions once", "perm")
    return tensor.of(shape=tuple(shape[index] for index in order))


def _one_dtype(tensors: list[Tensor]) -> str:
    if not tensors:
        raise CannotInfer
    for tensor in tensors[1:]:
        if tensor.dtype != tensors[0].dtype:
            raise differing(tensors[0], tensor)
    return tensors[0].dtype


def _stack(arguments: Arguments) -> Structure:
    tensors = arguments.tensors("values")
    dtype = _one_dtype(tensors)
    shapes = [tensor.shape for tensor in tensors]
    for tensor in tensors[1:]:
        if tensor.shape is not None and shapes[0] is not None and not fits(shapes[0], tensor.shape):
            refuse(f"{tensor_text(tensors[0])} and {tensor_text(tensor)}", "wrong-shape", "tensors of one shape")
    if any(shape is None or shape != shapes[0] for shape in shapes) or shapes[0] is None:
        if len(set(shapes)) > 1:
            raise CannotInfer
        return Tensor(dtype, None)
    axis = _axis(arguments.integer("axis", 0), len(shapes[0]) + 1)
    return Tensor(dtype, (*shapes[0][:axis], len(tensors), *shapes[0][axis:]))


def _concat(arguments: Arguments) -> Structure:
    tensors = arguments.tensors("values")
    dtype = _one_dtype(tensors)
    shapes = [_dimensions(tensor) for tensor in tensors]
    axis = _axis(arguments.integer("axis"), len(shapes[0]))
    _check_concat(tensors, shapes, axis)
    rest: Shape | None = (*shapes[0][:axis], *shapes[0][axis + 1 :])
    for shape in shapes[1:]:
        rest = merge(rest, (*shape[:axis], *shape[axis + 1 :]))
    along = [shape[axis] for shape in shapes]
    length = None if None in along else sum(size for size in along if size is not None)
    return Tensor(dtype, (*(rest or ())[:axis], length, *(rest or ())[axis:]))


def _check_concat(tensors: list[Tensor], shapes: list[Shape], axis: int) -> None:
    first = (*shapes[0][:axis], None, *shapes[0][axis + 1 :])
    for tensor, shape in zip(tensors[1:], shapes[1:], strict=True):
        if not fits(first, shape):
            got = f"{tensor_text(tensors[0])} and {tensor_text(tensor)}"
            refuse(got, "wrong-shape", "the same shape apart from the axis")


def _tile(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("input")
    shape, multiples = _dimensions(tensor), arguments.integers("multiples")
    if len(shape) != len(multiples):
        refuse(
            f"{len(multiples)} multiples",
            "wrong-length",
            f"one for each dimension of {tensor_text(tensor)}",
            "multiples",
        )
    return tensor.of(
        shape=tuple(None if size is None else size * times for size, times in zip(shape, multiples, strict=True))
    )


def _pad(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("tensor")
    shape, paddings = _dimensions(tensor), arguments.constant("paddings")
    if not isinstance(paddings, list):
        raise CannotInfer
    if len(paddings) != len(shape):
        refuse(
            f"{len(paddings)} paddings", "wrong-length", f"one for each dimension of {tensor_text(tensor)}", "paddings"
        )
    sizes: list[int | None] = []
    for size, padding in zip(shape, paddings, strict=True):
        if not isinstance(padding, list) or len(padding) != 2 or not all(type(value) is int for value in padding):
            raise CannotInfer
        sizes.append(None if size is None else size + padding[0] + padding[1])
    return tensor.of(shape=tuple(sizes))


def _one_hot(arguments: Arguments) -> Structure:
    indices = arguments.tensor("indices")
    depth = arguments.integer("depth")
    if any(arguments.constant(name) is not None for name in ("on_value", "off_value")):
        raise CannotInfer
    shape = _dimensions(indices)
    axis = arguments.constant("axis")
    place = len(shape) if axis is None else _axis(axis, len(shape) + 1)
    return Tensor(arguments.dtype("dtype", "float32"), (*shape[:place], depth, *shape[place:]))


def _slice(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("input_")
    shape = _dimensions(tensor)
    begin, size = arguments.integers("begin"), arguments.integers("size")
    if not len(shape) == len(begin) == len(size):
        refuse(
            f"begin and size of {len(begin)} and {len(size)} numbers",
            "wrong-length",
            f"one for each dimension of {tensor_text(tensor)}",
            "begin",
        )
    for length, start, count in zip(shape, begin, size, strict=True):
        if start < 0 or (length is not None and start + max(count, 0) > length):
            refuse(
                f"begin {list(begin)} and size {list(size)}", "wrong-shape", f"a part of {tensor_text(tensor)}", "begin"
            )
    return tensor.of(
        shape=tuple(
            count if count >= 0 else None if length is None else length - start
            for length, start, count in zip(shape, begin, size, strict=True)
        )
    )


def _gather(arguments: Arguments) -> Structure:
    params, indices = arguments.tensor("params"), arguments.tensor("indices")
    axis, batched = arguments.constant("axis"), arguments.integer("batch_dims", 0)
    shape, picked = _dimensions(params), _dimensions(indices)
    if batched:
        raise CannotInfer
    place = _axis(0 if axis is None else axis, len(shape))
    return params.of(shape=(*shape[:place], *picked, *shape[place + 1 :]))


def _where(arguments: Arguments) -> Structure:
    condition = arguments.tensor("condition")
    names = [name for name in ("x", "y") if name in arguments.inputs or arguments.constants.get(name) is not None]
    if not names:
        return Tensor("int64", (None, condition.rank))
    if len(names) == 1:
        raise CannotInfer
    first = arguments.tensor("x")
    second = arguments.tensor("y", first.dtype if "x" in arguments.inputs else None)
    if first.dtype != second.dtype:
        raise CannotInfer
    return Tensor(first.dtype, broadcast(condition.shape, broadcast(first.shape, second.shape)))


def _shape_of(arguments: Arguments) -> Structure:
    return Tensor(arguments.dtype("out_type", "int32"), (arguments.tensor("input").rank,))


def _count_of(arguments: Arguments) -> Structure:
    arguments.tensor("input")
    return Tensor(arguments.dtype("out_type", "int32"), ())


def _rank_of(arguments: Arguments) -> Structure:
    arguments.tensor("input")
    return Tensor("int32", ())


def _like(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("input")
    return tensor.of(arguments.dtype("dtype", tensor.dtype))


def _constant(arguments: Arguments) -> Structure:
    value = arguments.constant("value")
    dtype = arguments.constant("dtype")
    made = arguments.convert(value, str(dtype) if dtype is not None else None)
    if made is None:
        raise CannotInfer
    shape = arguments.constant("shape")
    return Tensor(
        str(dtype) if dtype is not None else made.dtype, made.shape if shape is None else written_shape(shape)
    )


def _convert_to_tensor(arguments: Arguments) -> Structure:
    if "value" in arguments.inputs:
        return arguments.tensor("value")
    return _constant(arguments)


def _range(arguments: Arguments) -> Structure:
    start = arguments.tensor("start")
    dtype = arguments.constant("dtype")
    if "start" not in arguments.inputs or arguments.constants.keys() - {"name", "dtype"} or start.dtype in FLOATS:
        raise CannotInfer
    return Tensor(str(dtype) if dtype is not None else start.dtype, (None,))


def _sequence_mask(arguments: Arguments) -> Structure:
    lengths = arguments.tensor("lengths")
    longest = arguments.constant("maxlen")
    if longest is not None and type(longest) is not int:
        raise CannotInfer
    return Tensor(arguments.dtype("dtype", "bool"), (*_dimensions(lengths), longest))


def _axis_of(arguments: Arguments, tensor: Tensor) -> int:
    axis, rank = arguments.integer("axis", 0), len(_dimensions(tensor))
    if not -rank <= axis < rank:
        refuse(f"axis {axis}", "wrong-axis", f"one of the dimensions of {tensor_text(tensor)}", "axis")
    return axis % rank


def _unstack(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("value")
    axis = _axis_of(arguments, tensor)
    shape = tensor.shape or ()
    count = shape[axis] if arguments.constant("num") is None else arguments.integer("num")
    if count is None:
        refuse(tensor, "wrong-shape", "a size that is known along the axis, or `num`")
    if shape[axis] not in (None, count):
        refuse(f"num {count}", "wrong-length", f"{shape[axis]}, the size of {tensor_text(tensor)}", "num")
    return (tensor.of(shape=(*shape[:axis], *shape[axis + 1 :])),) * count


def _split(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("value")
    axis = _axis_of(arguments, tensor)
    shape, wanted = tensor.shape or (), arguments.constant("num_or_size_splits")
    if type(wanted) is int:
        size = shape[axis]
        if wanted < 1 or (size is not None and size % wanted):
            expected = f"a number that divides {size}, the size of {tensor_text(tensor)}"
            refuse(f"{wanted} parts", "wrong-length", expected, "num_or_size_splits")
        sizes: list[int | None] = [None if size is None else size // wanted] * wanted
    elif isinstance(wanted, list) and all(type(value) is int and value >= 0 for value in wanted):
        sizes = list(wanted)
        if shape[axis] is not None and sum(wanted) != shape[axis]:
            expected = f"sizes of {shape[axis]} in all, the size of {tensor_text(tensor)}"
            refuse(f"sizes of {sum(wanted)} in all", "wrong-length", expected, "num_or_size_splits")
    else:
        raise CannotInfer
    return tuple(tensor.of(shape=(*shape[:axis], size, *shape[axis + 1 :])) for size in sizes)


def _broadcast_to(arguments: Arguments) -> Structure:
    tensor, wanted = arguments.tensor("input"), arguments.integers("shape")
    if any(size < 0 for size in wanted):
        raise CannotInfer
    if tensor.shape is not None:
        fits = len(tensor.shape) <= len(wanted) and all(
            size in (1, None, wanted[len(wanted) - len(tensor.shape) + index])
            for index, size in enumerate(tensor.shape)
        )
        if not fits:
            refuse(tensor, "wrong-shape", f"one that can be broadcast to {list(wanted)}", "shape")
    return tensor.of(shape=wanted)


RULES: dict[str, Rule] = {
    **{f"tf.{name}": same("input") for name in ("identity", "reverse_sequence", "roll", "stop_gradient")},
    "tf.argsort": same("values", "int32"),
    "tf.broadcast_to": _broadcast_to,
    "tf.cast": _cast("x"),
    "tf.clip_by_norm": same("t"),
    "tf.clip_by_value": same("t"),
    "tf.concat": _concat,
    "tf.constant": _constant,
    "tf.convert_to_tensor": _convert_to_tensor,
    "tf.ensure_shape": _ensure_shape,
    "tf.expand_dims": _expand_dims,
    "tf.fill": lambda arguments: arguments.tensor("value").of(shape=written_shape(arguments.constant("dims"))),
    "tf.gather": _gather,
    "tf.matmul": matmul,
    "tf.one_hot": _one_hot,
    "tf.ones": of_shape,
    "tf.ones_like": _like,
    "tf.pad": _pad,
    "tf.range": _range,
    "tf.rank": _rank_of,
    "tf.reshape": _reshape,
    "tf.reverse": same("tensor"),
    "tf.saturate_cast": _cast("value"),
    "tf.sequence_mask": _sequence_mask,
    "tf.shape": _shape_of,
    "tf.size": _count_of,
    "tf.slice": _slice,
    "tf.sort": same("values"),
    "tf.split": _split,
    "tf.squeeze": _squeeze,
    "tf.stack": _stack,
    "tf.tile": _tile,
    "tf.transpose": _transpose,
    "tf.unstack": _unstack,
    "tf.where": _where,
    "tf.zeros": of_shape,
    "tf.zeros_like": _like,
}
