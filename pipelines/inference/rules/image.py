"""Inference rules of the functions of tf.image."""

from __future__ import annotations

from pipeprof.pipelines.inference.errors import CannotInfer, Refused
from pipeprof.pipelines.inference.rules.base import Arguments, Rule, same
from pipeprof.pipelines.inference.tensor.shapes import Shape, Structure, Tensor
from pipeprof.pipelines.inference.tensor.texts import refuse, tensor_text
from pipeprof.pipelines.suggest import suggest


def _sized(tensor: Tensor, height: int | None, width: int | None, channels: int | None) -> Shape:
    """The shape of an image or a batch of images with another height and width.

    Raises:
        CannotInfer: The tensor has neither 3 nor 4 dimensions.
    """
    if tensor.shape is None or len(tensor.shape) not in (3, 4):
        raise CannotInfer
    return (*tensor.shape[:-3], height, width, channels)


def _channels(tensor: Tensor) -> int | None:
    return tensor.shape[-1] if tensor.shape else None


def _resized_dtype(arguments: Arguments, tensor: Tensor) -> str:
    return tensor.dtype if arguments.constant("method", "bilinear") == "nearest" else "float32"


_METHODS = ("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")


def _check_method(arguments: Arguments) -> None:
    method = arguments.constant("method", "bilinear")
    if isinstance(method, str) and method not in _METHODS:
        message = f"got {method!r}, expected one of {', '.join(_METHODS)}"
        raise Refused(message, "wrong-value", "method", suggestion=suggest(method, _METHODS))


def _resize(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("images")
    _check_method(arguments)
    size = arguments.constant("size")
    if type(size) is int or (isinstance(size, list | tuple) and len(size) != 2):
        got = f"a list of {len(size)}" if isinstance(size, list | tuple) else repr(size)
        raise Refused(f"got {got}, expected a height and a width such as [224, 224]", "wrong-shape", "size")
    numbers = arguments.integers("size")
    if len(numbers) != 2:
        raise CannotInfer
    height, width = numbers
    if arguments.constant("preserve_aspect_ratio", default=False):
        return tensor.of(_resized_dtype(arguments, tensor), _sized(tensor, None, None, _channels(tensor)))
    return tensor.of(_resized_dtype(arguments, tensor), _sized(tensor, height, width, _channels(tensor)))


def _resize_with_pad(arguments: Arguments) -> Structure:
    _check_method(arguments)
    tensor = arguments.tensor("image")
    shape = _target(arguments, tensor)
    return tensor.of(_resized_dtype(arguments, tensor), shape)


def _to_target(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("image")
    return tensor.of(shape=_target(arguments, tensor))


def _target(arguments: Arguments, tensor: Tensor) -> Shape:
    height, width = arguments.integer("target_height"), arguments.integer("target_width")
    return _sized(tensor, height, width, _channels(tensor))


def _random_crop(arguments: Arguments) -> Structure:
    size = arguments.integers("size")
    tensor = arguments.tensor("value")
    if any(number < 0 for number in size):
        raise CannotInfer
    if tensor.shape is not None:
        fits = len(size) == len(tensor.shape) and all(
            there is None or one <= there for one, there in zip(size, tensor.shape, strict=True)
        )
        if not fits:
            refuse(f"size {list(size)}", "wrong-shape", f"a part of {tensor_text(tensor)}", "size")
    return tensor.of(shape=size)


def _with_channels(name: str, channels: int) -> Rule:
    def rule(arguments: Arguments) -> Structure:
        tensor = arguments.tensor(name)
        if not tensor.shape:
            raise CannotInfer
        return tensor.of(shape=(*tensor.shape[:-1], channels))

    return rule


def _standardized(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("image")
    return tensor.of(tensor.dtype if tensor.dtype in ("float16", "float32") else "float32")


def _turned(arguments: Arguments) -> Structure:
    tensor = arguments.tensor("image")
    turned = _swapped(tensor) if arguments.integer("k", 1) % 2 else tensor.of()
    if arguments.strict and tensor.shape != _swapped(tensor).shape:
        # Every turn is in TensorFlow's graph, and what differs between them is not in its spec.
        return turned.of(shape=_sized(turned, None, None, _channels(turned)))
    return turned


def _swapped(tensor: Tensor) -> Tensor:
    if tensor.shape is None or len(tensor.shape) not in (3, 4):
        raise CannotInfer
    return tensor.of(shape=_sized(tensor, tensor.shape[-2], tensor.shape[-3], tensor.shape[-1]))


_SAME_IMAGE = (
    "adjust_brightness", "adjust_hue", "adjust_saturation", "flip_left_right", "flip_up_down", "random_brightness",
    "random_contrast", "random_flip_left_right", "random_flip_up_down", "random_hue", "random_saturation",
    "stateless_random_brightness", "stateless_random_contrast", "stateless_random_flip_left_right",
    "stateless_random_flip_up_down", "stateless_random_hue", "stateless_random_saturation",
)  # fmt: skip


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
    **{f"tf.image.{name}": same("image") for name in _SAME_IMAGE},
    **{f"tf.image.{name}": same("images") for name in ("adjust_contrast", "hsv_to_rgb", "rgb_to_hsv")},
    "tf.image.central_crop": _central_crop,
    "tf.image.convert_image_dtype": lambda arguments: arguments.tensor("image").of(arguments.dtype()),
    "tf.image.crop_to_bounding_box": _to_target,
    "tf.image.grayscale_to_rgb": _with_channels("images", 3),
    "tf.image.pad_to_bounding_box": _to_target,
    "tf.image.per_image_standardization": _standardized,
    "tf.image.random_crop": _random_crop,
    "tf.image.resize": _resize,
    "tf.image.resize_with_crop_or_pad": _to_target,
    "tf.image.resize_with_pad": _resize_with_pad,
    "tf.image.rgb_to_grayscale": _with_channels("images", 1),
    "tf.image.rot90": _turned,
    "tf.image.stateless_random_crop": _random_crop,
    "tf.image.transpose": lambda arguments: _swapped(arguments.tensor("image")),
}
