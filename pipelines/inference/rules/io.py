"""Inference rules of the functions that read files, parse records and decode media."""

from __future__ import annotations

from collections.abc import Mapping

from pipeprof.pipelines.data.recipes import ImageFolder, TFRecord, length_range
from pipeprof.pipelines.inference.errors import CannotInfer
from pipeprof.pipelines.inference.recipe_sizes import estimated_bytes, feature_bytes
from pipeprof.pipelines.inference.rules.base import Arguments, Rule, dense, same
from pipeprof.pipelines.inference.rules.strings import lengths_differ
from pipeprof.pipelines.inference.tensor.shapes import Content, Shape, Structure, Tensor
from pipeprof.pipelines.inference.tensor.texts import refuse
from pipeprof.pipelines.ops.calls.element import Required
from pipeprof.pipelines.ops.constants import WIDTHS
from pipeprof.pipelines.ops.values.features import FeatureSpec

_IMAGE_CHANNELS = 3


def image_content(recipe: ImageFolder | TFRecord, size: list[int], mean_bytes: float) -> Content:
    """Return the known properties of an encoded image from a recipe."""
    width, height = size
    return Content("image", recipe, mean_bytes, (height, width, _IMAGE_CHANNELS))


def _read_file(arguments: Arguments) -> Structure:
    files = arguments.raw("filename")
    content = files.content if files is not None else None
    recipe = content.recipe if content is not None and content.kind == "files" else None
    if recipe is None:
        return Tensor("string", ())
    mean_bytes = estimated_bytes(recipe) / max(1, len(recipe.file_names()))
    if isinstance(recipe, ImageFolder):
        return Tensor("string", (), content=image_content(recipe, recipe.size, mean_bytes))
    return Tensor("string", (), content=Content("text", recipe, mean_bytes))


def _channels(arguments: Arguments) -> int | None:
    """The number of channels that was written.

    Raises:
        CannotInfer: It is a field of the element.
    """
    written = arguments.constant("channels") or None
    if written is not None and type(written) is not int:
        refuse(repr(written)[:60], "wrong-type", "a whole number", "channels")
    return written


def _decoded(arguments: Arguments, dtype: str, *, shape_known: bool = True) -> Structure:
    channels = _channels(arguments)
    contents = arguments.raw("contents")
    size = contents.content.size if contents is not None and contents.content is not None else None
    ratio = arguments.constant("ratio", 1)
    if size is not None and not arguments.strict and ratio == 1:
        return Tensor(dtype, (size[0], size[1], channels or size[2]))
    return Tensor(dtype, (None, None, channels) if shape_known else None)


def _decode_jpeg(arguments: Arguments) -> Structure:
    return _decoded(arguments, "uint8")


def _decode_image(arguments: Arguments) -> Structure:
    animated = arguments.constant("expand_animations", default=True)
    found = _decoded(arguments, arguments.dtype("dtype", "uint8"), shape_known=False)
    if found.shape is None and not animated:
        return found.of(shape=(None, None, _channels(arguments)))
    return found


def _decode_and_crop(arguments: Arguments) -> Structure:
    channels = _channels(arguments)
    try:
        window = arguments.integers("crop_window")
    except CannotInfer:
        # A window that is a field of the element says nothing of its size.
        return Tensor("uint8", (None, None, channels))
    if len(window) != 4:
        raise CannotInfer
    return Tensor("uint8", (window[2], window[3], channels))


def _decode_raw(arguments: Arguments) -> Structure:
    dtype = arguments.dtype("out_type")
    shape = arguments.tensor("input_bytes").shape
    length = arguments.constant("fixed_length")
    if length is not None and (type(length) is not int or not WIDTHS.get(dtype)):
        raise CannotInfer
    count = None if length is None else length // WIDTHS[dtype]
    return Tensor(dtype, None if shape is None else (*shape, count))


def _parse_example(arguments: Arguments) -> Structure:
    serialized = arguments.tensor("serialized")
    if serialized.shape is None or len(serialized.shape) != 1:
        raise CannotInfer
    return _parsed(arguments, serialized.shape)


def _parsed(arguments: Arguments, batch: Shape) -> Structure:
    features = arguments.constant("features")
    serialized = arguments.raw("serialized")
    content = serialized.content if serialized is not None else None
    if not isinstance(features, dict):
        raise CannotInfer
    return parsed_features(features, batch, content, strict=arguments.strict)


def parsed_features(
    features: Mapping[str, FeatureSpec], batch: Shape, content: Content | None, *, strict: bool
) -> dict[str, Tensor | None]:
    """Infer the result of parsing examples.

    Args:
        batch: Dimensions in front: none for a single example.
        content: Recipe of the examples, if one makes them.
    """
    sparse: Shape = (None,) * len(batch) if strict else batch
    return {
        name: _feature(name, feature, sparse if feature.kind == "VarLenFeature" else batch, content)
        for name, feature in features.items()
    }


def _feature(name: str, feature: FeatureSpec, batch: Shape, content: Content | None) -> Tensor | None:
    dtype = str(feature.arguments["dtype"])
    shape = tuple(feature.arguments.get("shape") or ())
    if feature.kind == "FixedLenFeature":
        return Tensor(dtype, (*batch, *shape), "dense", _value_content(name, content))
    varies = not batch and _varies(str(feature.arguments.get("value_key") or name), content)
    if feature.kind == "FixedLenSequenceFeature":
        return Tensor(dtype, (*batch, None, *shape), varies=varies)
    if feature.kind == "VarLenFeature":
        return Tensor(dtype, (*batch, None), "sparse", varies=varies)
    if feature.kind == "RaggedFeature":
        return Tensor(dtype, (*batch, None), "ragged", varies=varies)
    return None


def _value_content(name: str, content: Content | None) -> Content | None:
    """Return the content of a feature of records from a recipe."""
    recipe = content.recipe if content is not None and content.kind == "record" else None
    if not isinstance(recipe, TFRecord) or name not in recipe.features:
        return None
    feature = recipe.features[name]
    if "jpeg" in feature and feature["jpeg"]["frames"] is None:
        return image_content(recipe, feature["jpeg"]["size"], feature_bytes(feature))
    return Content("text", recipe, feature_bytes(feature)) if "text" in feature else None


"""Chance that is as good as none."""


def _varies(name: str, content: Content | None) -> bool:
    """Whether the lengths of a feature surely differ within some pair of records."""
    if content is None or content.kind != "record" or not isinstance(content.recipe, TFRecord):
        return False
    for settings in content.recipe.features.get(name, {}).values():
        length = settings.get("length", settings.get("frames"))
        if isinstance(length, int | list):
            least, most = length_range(length)
            return lengths_differ(least, most, content.recipe.records)
    return False


def _decode_csv(arguments: Arguments) -> Structure:
    shape = arguments.tensor("records").shape
    return tuple(Tensor(column_dtype(default), shape) for default in arguments.constant("record_defaults"))


def column_dtype(default: Required | str | float) -> str:
    """The dtype of a CSV column from what stands for it in ``record_defaults``."""
    if isinstance(default, Required):
        return default.dtype
    if isinstance(default, str):
        return "string"
    return "int32" if isinstance(default, int) else "float32"


def _scalar(dtype: str) -> Rule:
    def rule(arguments: Arguments) -> Structure:
        return Tensor(dtype, ())

    return rule


def _encode_png(arguments: Arguments) -> Structure:
    image = dense(arguments.tensor("image"))
    if image.shape is None or len(image.shape) < 3:
        raise CannotInfer
    return Tensor("string", image.shape[:-3])


def _decode_wav(arguments: Arguments) -> Structure:
    channels, samples = arguments.integer("desired_channels", -1), arguments.integer("desired_samples", -1)
    shape = (samples if samples >= 0 else None, channels if channels >= 0 else None)
    return (Tensor("float32", shape), Tensor("int32", ()))


RULES: dict[str, Rule] = {
    "tf.audio.decode_wav": _decode_wav,
    "tf.io.decode_and_crop_jpeg": _decode_and_crop,
    "tf.io.decode_base64": same("input"),
    "tf.io.decode_bmp": _decode_jpeg,
    "tf.io.decode_compressed": same("bytes"),
    "tf.io.decode_csv": _decode_csv,
    "tf.io.decode_image": _decode_image,
    "tf.io.decode_jpeg": _decode_jpeg,
    "tf.io.decode_png": lambda arguments: _decoded(arguments, arguments.dtype("dtype", "uint8")),
    "tf.io.decode_raw": _decode_raw,
    "tf.io.encode_base64": same("input"),
    "tf.io.encode_jpeg": _scalar("string"),
    "tf.io.encode_png": _encode_png,
    "tf.io.extract_jpeg_shape": lambda arguments: Tensor(arguments.dtype("output_type", "int32"), (3,)),
    "tf.io.is_jpeg": same("contents", "bool"),
    "tf.io.parse_example": _parse_example,
    "tf.io.parse_single_example": lambda arguments: _parsed(arguments, ()),
    "tf.io.parse_tensor": lambda arguments: Tensor(arguments.dtype("out_type"), None),
    "tf.io.read_file": _read_file,
    "tf.io.serialize_tensor": _scalar("string"),
}
