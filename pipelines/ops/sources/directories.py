"""Loaders of Keras: folders with a class in each subfolder, and windows of a time series."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pipeprof.pipelines.ops.base import Source
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import argument
from pipeprof.pipelines.ops.problems import mismatch
from pipeprof.pipelines.ops.values.structures import Tensors
from pipeprof.pipelines.ops.values.values import (
    Flag,
    Folder,
    Integers,
    NotNegative,
    Positive,
    PositiveNumber,
    Seed,
    Texts,
    is_integer,
    one_of,
)


def _labels(value: Any) -> str | tuple[int, ...]:
    if value == "inferred":
        return "inferred"
    if isinstance(value, list | tuple) and value and all(is_integer(item) for item in value):
        return tuple(value)
    raise mismatch(value, "labels", "inferred, a list of numbers, or null for no labels", ["inferred"])


Labels = Annotated[
    str | tuple[int, ...],
    Checked(
        _labels, {"anyOf": [{"const": "inferred"}, {"type": "array", "minItems": 1, "items": {"type": "integer"}}]}
    ),
]
LabelMode = Annotated[str, one_of("int", "categorical", "binary")]
Subset = Annotated[str, one_of("training", "validation")]
ColorMode = Annotated[str, one_of("grayscale", "rgb", "rgba")]
Interpolation = Annotated[
    str, one_of("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")
]
DataFormat = Annotated[str, one_of("channels_last", "channels_first")]
Format = Annotated[str, one_of("tf")]


class _Directory(Source):
    """Arguments that the three loaders share."""

    holder: ClassVar[str] = "tf.keras.utils"
    takes_name: ClassVar[bool] = False

    directory: Folder = argument("The folder, relative to the spec; data:NAME for a generated one.")
    labels: Labels | None = argument(
        "inferred (from the subfolders), a list of numbers, or null for no labels.", default="inferred"
    )
    label_mode: LabelMode | None = argument("int, categorical or binary; null: elements have no label.", default="int")
    class_names: Texts | None = argument("Subfolders in the order of their labels.", default=None)
    batch_size: Positive | None = argument("Number of files in a batch; null for no batches.", default=32)
    shuffle: Flag = argument("Whether the files are shuffled.", default=True)
    seed: Seed | None = argument("Seed of the shuffle.", default=None)
    validation_split: PositiveNumber | None = argument("Fraction of the files for `subset: validation`.", default=None)
    subset: Subset | None = argument("training or validation, with validation_split.", default=None)
    follow_links: Flag = argument("Whether to follow links to folders.", default=False)
    verbose: Flag = argument("Whether Keras prints the number of files.", default=True)


class ImageDatasetFromDirectory(_Directory):
    """Batches of images in folders, with a class for each subfolder."""

    op: ClassVar[str] = "image_dataset_from_directory"

    color_mode: ColorMode = argument("grayscale, rgb or rgba.", default="rgb")
    image_size: Integers = argument("Height and width that images are resized to.", default=(256, 256))
    interpolation: Interpolation = argument("How images are resized.", default="bilinear")
    crop_to_aspect_ratio: Flag = argument("Whether to crop images to keep the aspect ratio.", default=False)
    pad_to_aspect_ratio: Flag = argument("Whether to pad images to keep the aspect ratio.", default=False)
    data_format: DataFormat | None = argument("channels_last or channels_first.", default=None)
    format: Format = argument("Only tf returns a tf.data.Dataset.", default="tf")


class TextDatasetFromDirectory(_Directory):
    """Batches of text files in folders, with a class for each subfolder."""

    op: ClassVar[str] = "text_dataset_from_directory"

    max_length: Positive | None = argument("Maximum length in bytes; longer texts are truncated.", default=None)
    format: Format = argument("Only tf returns a tf.data.Dataset.", default="tf")


class AudioDatasetFromDirectory(_Directory):
    """Batches of WAV files in folders, with a class for each subfolder."""

    op: ClassVar[str] = "audio_dataset_from_directory"

    sampling_rate: Positive | None = argument("Sampling rate to which all files are resampled.", default=None)
    output_sequence_length: Positive | None = argument(
        "Number of samples to which files are truncated or padded.", default=None
    )
    ragged: Flag = argument("Whether to return ragged batches instead of padding.", default=False)


class TimeseriesDatasetFromArray(Source):
    """Batches of windows over an array."""

    op: ClassVar[str] = "timeseries_dataset_from_array"
    holder: ClassVar[str] = "tf.keras.utils"
    takes_name: ClassVar[bool] = False

    data: Tensors = argument("The array, with time as its first dimension.")
    targets: Tensors | None = argument("Target of the window that starts at each time step; null: none.")
    sequence_length: Positive = argument("Steps in a window.")
    sequence_stride: Positive = argument("Steps between the starts of two windows.", default=1)
    sampling_rate: Positive = argument("Stride of the steps in a window.", default=1)
    batch_size: Positive | None = argument("Number of windows in a batch; null for no batches.", default=128)
    shuffle: Flag = argument("Whether to shuffle windows.", default=False)
    seed: Seed | None = argument("Seed of the shuffle.", default=None)
    start_index: NotNegative | None = argument("First time step to use.", default=None)
    end_index: NotNegative | None = argument("End of the time steps, exclusive.", default=None)
    format: Format = argument("Only tf returns a tf.data.Dataset.", default="tf")
