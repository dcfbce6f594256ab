"""Loaders of Keras: folders with a class in each subfolder, and windows of a time series."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, WithJsonSchema

from pipeprof.pipelines.ops.base import Source
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.problems import mismatch
from pipeprof.pipelines.ops.protocol import Building
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
    choice,
    is_integer,
)


def _labels(value: Any) -> str | tuple[int, ...]:
    if value == "inferred":
        return "inferred"
    if isinstance(value, list | tuple) and value and all(is_integer(item) for item in value):
        return tuple(value)
    raise mismatch(value, "labels", "inferred, a list of numbers, or null for no labels", ["inferred"])


def _one_of(*names: str) -> tuple[Checked, WithJsonSchema]:
    return Checked(choice(*names)), WithJsonSchema({"enum": list(names)})


_MODES = _one_of("int", "categorical", "binary")
_SUBSETS = _one_of("training", "validation")
_COLOURS = _one_of("grayscale", "rgb", "rgba")
_INTERPOLATIONS = _one_of("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")
_DATA_FORMATS = _one_of("channels_last", "channels_first")
_FORMATS = _one_of("tf")

Labels = Annotated[
    str | tuple[int, ...],
    Checked(_labels),
    WithJsonSchema({"anyOf": [{"const": "inferred"}, {"type": "array", "minItems": 1, "items": {"type": "integer"}}]}),
]
LabelMode = Annotated[str, _MODES[0], _MODES[1]]
Subset = Annotated[str, _SUBSETS[0], _SUBSETS[1]]
ColorMode = Annotated[str, _COLOURS[0], _COLOURS[1]]
Interpolation = Annotated[str, _INTERPOLATIONS[0], _INTERPOLATIONS[1]]
DataFormat = Annotated[str, _DATA_FORMATS[0], _DATA_FORMATS[1]]
Format = Annotated[str, _FORMATS[0], _FORMATS[1]]


class _Directory(Source):
    """Arguments that the three loaders share."""

    op: ClassVar[str] = ""
    holder: ClassVar[str] = "tf.keras.utils"
    takes_name: ClassVar[bool] = False

    directory: Folder = Field(description="The folder, relative to the spec; data:NAME for a generated one.")
    labels: Labels | None = Field(
        default="inferred", description="inferred (from the subfolders), a list of numbers, or null for no labels."
    )
    label_mode: LabelMode | None = Field(
        default="int", description="int, categorical or binary; null: elements have no label."
    )
    class_names: Texts | None = Field(default=None, description="Subfolders in the order of their labels.")
    batch_size: Positive | None = Field(default=32, description="Number of files in a batch; null for no batches.")
    shuffle: Flag = Field(default=True, description="Whether the files are shuffled.")
    seed: Seed | None = Field(default=None, description="Seed of the shuffle.")
    validation_split: PositiveNumber | None = Field(
        default=None, description="Fraction of the files for `subset: validation`."
    )
    subset: Subset | None = Field(default=None, description="training or validation, with validation_split.")
    follow_links: Flag = Field(default=False, description="Whether to follow links to folders.")
    verbose: Flag = Field(default=True, description="Whether Keras prints the number of files.")

    def build(self, building: Building, address: str) -> Any:
        """The dataset of batches."""
        return getattr(building.tf.keras.utils, self.op)(**building.arguments(self, address))


class ImageDatasetFromDirectory(_Directory):
    """Batches of images in folders, with a class for each subfolder."""

    op: ClassVar[str] = "image_dataset_from_directory"

    color_mode: ColorMode = Field(default="rgb", description="grayscale, rgb or rgba.")
    image_size: Integers = Field(default=(256, 256), description="Height and width that images are resized to.")
    interpolation: Interpolation = Field(default="bilinear", description="How images are resized.")
    crop_to_aspect_ratio: Flag = Field(default=False, description="Whether to crop images to keep the aspect ratio.")
    pad_to_aspect_ratio: Flag = Field(default=False, description="Whether to pad images to keep the aspect ratio.")
    data_format: DataFormat | None = Field(default=None, description="channels_last or channels_first.")
    format: Format = Field(default="tf", description="Only tf returns a tf.data.Dataset.")


class TextDatasetFromDirectory(_Directory):
    """Batches of text files in folders, with a class for each subfolder."""

    op: ClassVar[str] = "text_dataset_from_directory"

    max_length: Positive | None = Field(
        default=None, description="Maximum length in bytes; longer texts are truncated."
    )
    format: Format = Field(default="tf", description="Only tf returns a tf.data.Dataset.")


class AudioDatasetFromDirectory(_Directory):
    """Batches of WAV files in folders, with a class for each subfolder."""

    op: ClassVar[str] = "audio_dataset_from_directory"

    sampling_rate: Positive | None = Field(default=None, description="Sampling rate to which all files are resampled.")
    output_sequence_length: Positive | None = Field(
        default=None, description="Number of samples to which files are truncated or padded."
    )
    ragged: Flag = Field(default=False, description="Whether to return ragged batches instead of padding.")


class TimeseriesDatasetFromArray(Source):
    """Batches of windows over an array."""

    op: ClassVar[str] = "timeseries_dataset_from_array"
    holder: ClassVar[str] = "tf.keras.utils"
    takes_name: ClassVar[bool] = False

    data: Tensors = Field(description="The array, with time as its first dimension.")
    targets: Tensors | None = Field(description="Target of the window that starts at each time step; null: none.")
    sequence_length: Positive = Field(description="Steps in a window.")
    sequence_stride: Positive = Field(default=1, description="Steps between the starts of two windows.")
    sampling_rate: Positive = Field(default=1, description="Stride of the steps in a window.")
    batch_size: Positive | None = Field(default=128, description="Number of windows in a batch; null for no batches.")
    shuffle: Flag = Field(default=False, description="Whether to shuffle windows.")
    seed: Seed | None = Field(default=None, description="Seed of the shuffle.")
    start_index: NotNegative | None = Field(default=None, description="First time step to use.")
    end_index: NotNegative | None = Field(default=None, description="End of the time steps, exclusive.")
    format: Format = Field(default="tf", description="Only tf returns a tf.data.Dataset.")

    def build(self, building: Building, address: str) -> Any:
        """The dataset of windows."""
        return building.tf.keras.utils.timeseries_dataset_from_array(**building.arguments(self, address))
