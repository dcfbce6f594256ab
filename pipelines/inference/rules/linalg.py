"""What comes out of functions that give several tensors, multiply matrices, or work on signals and sound."""

from __future__ import annotations

from pipeprof.pipelines.inference.errors import CannotInfer
from pipeprof.pipelines.inference.rules.base import Arguments, Rule, pair
from pipeprof.pipelines.inference.tensor.shapes import Shape, Structure, Tensor, broadcast
from pipeprof.pipelines.inference.tensor.texts import refuse, tensor_text


def _matmul(arguments: Arguments) -> Structure:
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


def _axis(arguments: Arguments, tensor: Tensor) -> int:
    axis = arguments.integer("axis", 0)
    rank = tensor.rank
    if rank is None:
        raise CannotInfer
    if not -rank <= axis < rank:
        refuse(f"axis {axis}", "wrong-axis", f"one of the dimensions of {tensor_text(tensor)}", "axis")
    return axis % rank


def _unstack(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("value")
    axis = _axis(arguments, tensor)
    shape = tensor.shape or ()
    count = shape[axis] if arguments.constant("num") is None else arguments.integer("num")
    if count is None:
        refuse(tensor, "wrong-shape", "a size that is known along the axis, or `num`")
    if shape[axis] not in (None, count):
        refuse(f"num {count}", "wrong-length", f"{shape[axis]}, the size of {tensor_text(tensor)}", "num")
    return (tensor.of(shape=(*shape[:axis], *shape[axis + 1 :])),) * count


def _split(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("value")
    axis = _axis(arguments, tensor)
    shape, wanted = tensor.shape or (), arguments.constant("num_or_size_splits")
    if type(wanted) is int:
        size = shape[axis]
        if wanted < 1 or (size is not None and size % wanted):
            expected = f"a number that divides {size}, the size of {tensor_text(tensor)}"
            refuse(f"{wanted} parts", "wrong-length", expected, "num_or_size_splits")
        sizes: list[int | None] = [None if size is None else size // wanted] * wanted
    elif isinstance(wanted, list) and all(type(one) is int and one >= 0 for one in wanted):
        sizes = list(wanted)
        if shape[axis] is not None and sum(wanted) != shape[axis]:
            expected = f"sizes of {shape[axis]} in all, the size of {tensor_text(tensor)}"
            refuse(f"sizes of {sum(wanted)} in all", "wrong-length", expected, "num_or_size_splits")
    else:
        raise CannotInfer
    return tuple(tensor.of(shape=(*shape[:axis], size, *shape[axis + 1 :])) for size in sizes)


def _decode_wav(arguments: Arguments) -> Structure:
    channels, samples = arguments.integer("desired_channels", -1), arguments.integer("desired_samples", -1)
    shape = (samples if samples >= 0 else None, channels if channels >= 0 else None)
    return (Tensor("float32", shape), Tensor("int32", ()))


def _extract_jpeg_shape(arguments: Arguments) -> Structure:
    return Tensor(arguments.dtype("output_type", "int32"), (3,))


def _complex_of(dtype: str) -> str:
    return "complex128" if dtype == "float64" else "complex64"


def _rfft(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("input_tensor")
    if arguments.constant("fft_length") is not None or not tensor.shape:
        raise CannotInfer
    size = tensor.shape[-1]
    return Tensor(_complex_of(tensor.dtype), (*tensor.shape[:-1], None if size is None else size // 2 + 1))


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


def _central_crop(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("image")
    fraction = arguments.constant("central_fraction")
    if tensor.shape is None or len(tensor.shape) not in (3, 4) or not isinstance(fraction, int | float):
        raise CannotInfer
    if fraction == 1.0:
        return tensor.of()
    if None in tensor.shape[-3:-1]:
        return tensor.of(shape=(*tensor.shape[:-3], None, None, tensor.shape[-1]))
    raise CannotInfer


RULES: dict[str, Rule] = {
    "tf.audio.decode_wav": _decode_wav,
    "tf.broadcast_to": _broadcast_to,
    "tf.image.central_crop": _central_crop,
    "tf.io.extract_jpeg_shape": _extract_jpeg_shape,
    "tf.linalg.matmul": _matmul,
    "tf.matmul": _matmul,
    "tf.signal.rfft": _rfft,
    "tf.split": _split,
    "tf.unstack": _unstack,
}
