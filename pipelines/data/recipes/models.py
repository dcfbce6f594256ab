"""The entries of a spec's ``data:`` section: recipes of input files that are made once and then kept.

An entry is a mapping with exactly one key, its kind, whose value is the recipe. A recipe alone settles which files
there will be, so a path such as ``data:photos/*/*.jpg`` can be checked without making or looking at a single file.
"""

import hashlib
import json
import math
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema, model_validator

from pipeprof.pipelines.data.recipes.recipe import (
    BYTES_PER_WORD,
    ArrayDtype,
    Columns,
    Count,
    FileCount,
    Files,
    Flag,
    OneOf,
    Quality,
    Recipe,
    Seed,
    Shape,
    Size,
    Span,
    Words,
    check_not_more,
    check_span,
    image_bytes,
    item_bytes,
    names_by_class,
    part_names,
)
from pipeprof.pipelines.data.recipes.record_features import (
    AnyFeature,
    FeatureEntry,
    FloatsFeature,
    IntsFeature,
    JpegFeature,
    LabelFeature,
)
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import SCHEMA_PLACEHOLDER
from pipeprof.pipelines.ops.problems import error, failure, mismatch

_NPY_HEADER_BYTES = 128


class ImageFolder(Recipe):
    """Photo-like images in one folder per class (``class_0/00000.jpg``)."""

    count: FileCount = Field(default=600, description="Total number of images; image i belongs to class i mod classes.")
    size: Size = Field(default=[480, 360], description="Width and height of each image, in pixels.")
    classes: Count = Field(default=4, description="Number of class folders, at most count.")
    format: Literal["jpeg", "png"] = Field(default="jpeg", description="Image encoding.")
    quality: Quality = Field(default=90, description="JPEG quality, 1 to 100; ignored for PNG.")
    seed: Seed = Field(default=0, description="The same seed gives the same bytes.")

    @model_validator(mode="after")
    def _check(self) -> "ImageFolder":
        check_not_more("classes", self.classes, "count", self.count)
        return self

    def file_names(self) -> list[str]:
        """Relative names, for example ``class_0/00000.jpg``."""
        return names_by_class(self.count, self.classes, "jpg" if self.format == "jpeg" else "png")

    def estimated_bytes(self) -> int:
        """Number of images times the size of a photo of this many pixels."""
        return self.count * image_bytes(self.size, quality=self.quality if self.format == "jpeg" else None)


class TFRecord(Recipe):
    """Shards of serialised ``tf.train.Example`` (``part-00000-of-00008.tfrecord``)."""

    shards: Files = Field(default=8, description="Number of files.")
    records: Count = Field(default=1024, description="Total number of records, distributed evenly over the shards.")
    compression_type: Literal["GZIP", "ZLIB"] | None = Field(
        default=None, description="Compression of the shards: GZIP, ZLIB, or null for none."
    )
    features: Annotated[dict[str, AnyFeature], Field(min_length=1)] = Field(
        default_factory=lambda: {
            "image": FeatureEntry(jpeg=JpegFeature()),
            "label": FeatureEntry(label=LabelFeature()),
        },
        description="Feature name to feature.",
    )
    sequences: dict[str, AnyFeature] | None = Field(
        default=None,
        description="Features of each sequence step; records are tf.train.SequenceExample with `features` as context.",
    )
    steps: Span = Field(default=[5, 20], description="Minimum and maximum number of sequence steps.")
    seed: Seed = Field(default=0, description="The same seed gives the same bytes.")

    @model_validator(mode="after")
    def _check(self) -> "TFRecord":
        check_not_more("shards", self.shards, "records", self.records)
        check_span("steps", self.steps)
        for name, entry in self.features.items():
            length = entry.feature.length if isinstance(entry.feature, IntsFeature | FloatsFeature) else None
            if isinstance(length, str) and not isinstance(self._length_of(length), int | list):
                expected = "the name of a feature of ints or floats with a length of its own"
                place = ("features", name, entry.kind, "length")
                raise failure(place, mismatch(length, "length", expected), length)
        return self

    def _length_of(self, name: str) -> int | list[int] | str | None:
        feature = self.features[name].feature if name in self.features else None
        return feature.length if isinstance(feature, IntsFeature | FloatsFeature) else None

    def file_names(self) -> list[str]:
        """Relative names; also a single shard is numbered."""
        return [f"part-{index:05d}-of-{self.shards:05d}.tfrecord" for index in range(self.shards)]

    def estimated_bytes(self) -> int:
        """Size before compression: JPEG, the usual bulk, does not get smaller."""
        names = sum(len(name.encode()) + 8 for name in self.features)
        steps = sum(entry.estimated_bytes() + 4 for entry in (self.sequences or {}).values()) * sum(self.steps) // 2
        return self.records * (20 + names + sum(entry.estimated_bytes() for entry in self.features.values()) + steps)


class Npy(Recipe):
    """NumPy arrays (``data.npy``, or ``part-00000-of-00004.npy`` with several files)."""

    shape: Shape = Field(default=[1024, 32, 32, 3], description="Shape of the array in each file.")
    dtype: ArrayDtype = Field(default="float32", description="NumPy's name of the element type.")
    fill: Literal["random", "zeros", "arange"] = Field(
        default="random",
        description="random: floats in [0, 1), integers below 1,000 (or the type's limit); arange counts up and wraps.",
    )
    files: Files = Field(default=1, description="Number of files, each with an array of this shape.")
    seed: Seed = Field(default=0, description="The same seed gives the same bytes.")

    def file_names(self) -> list[str]:
        """``data.npy``, or numbered parts."""
        return part_names(self.files, "npy")

    def estimated_bytes(self) -> int:
        """Exact but for the padding of the header."""
        return self.files * (_NPY_HEADER_BYTES + math.prod(self.shape) * item_bytes(self.dtype))


class Csv(Recipe):
    """Comma separated values (``data.csv``): float columns x0…, integers i0…, strings s0…, then ``label``."""

    rows: Count = Field(default=10_000, description="Total number of rows, without headers.")
    columns: Columns = Field(default=10, description="Number of float columns (x0, x1, …).")
    ints: Columns = Field(default=0, description="Number of integer columns (i0, i1, …), values below 1,000.")
    strings: Columns = Field(default=0, description="Number of string columns (s0, s1, …), one word each.")
    label: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] = Field(
        default=2, description="Number of classes in the last column, label; 0: no label column."
    )
    header: Flag = Field(default=True, description="Whether the first line of each file holds the column names.")
    files: Files = Field(default=1, description="Number of files.")
    seed: Seed = Field(default=0, description="The same seed gives the same bytes.")

    @model_validator(mode="after")
    def _check(self) -> "Csv":
        check_not_more("files", self.files, "rows", self.rows)
        if not self.column_names():
            problem = error(code="columns", message="no columns: columns, ints, strings or label must be above 0")
            raise problem
        return self

    def column_names(self) -> list[str]:
        """Names of the columns, from left to right."""
        counted = (("x", self.columns), ("i", self.ints), ("s", self.strings))
        return [f"{letter}{i}" for letter, count in counted for i in range(count)] + (["label"] if self.label else [])

    def file_names(self) -> list[str]:
        """``data.csv``, or numbered parts."""
        return part_names(self.files, "csv")

    def estimated_bytes(self) -> int:
        """Floats have six decimals, words about four letters."""
        return self.rows * (self.columns * 9 + self.ints * 4 + self.strings * BYTES_PER_WORD + bool(self.label) * 3)


class Text(Recipe):
    """Lines of words (``data.txt``) with a natural word frequency distribution."""

    lines: Count = Field(default=10_000, description="Total number of lines.")
    words: Span = Field(default=[5, 20], description="Minimum and maximum number of words in a line.")
    vocabulary: Words = Field(default=5_000, description="Vocabulary size.")
    files: Files = Field(default=1, description="Number of files.")
    seed: Seed = Field(default=0, description="The same seed gives the same bytes.")

    @model_validator(mode="after")
    def _check(self) -> "Text":
        check_not_more("files", self.files, "lines", self.lines)
        check_span("words", self.words)
        return self

    def file_names(self) -> list[str]:
        """``data.txt``, or numbered parts."""
        return part_names(self.files, "txt")

    def estimated_bytes(self) -> int:
        """Lines times the mean number of words."""
        return self.lines * (sum(self.words) * BYTES_PER_WORD // 2 + 1)


class DataEntry(OneOf):
    """An entry of ``data:``, generated on the first run and cached: exactly one of these kinds."""

    image_folder: ImageFolder | None = Field(default=None, description="Photo-like images in one folder per class.")
    tfrecord: TFRecord | None = Field(default=None, description="Shards of serialised tf.train.Example.")
    npy: Npy | None = Field(default=None, description="NumPy arrays.")
    csv: Csv | None = Field(default=None, description="Comma separated values.")
    text: Text | None = Field(default=None, description="Lines of words.")

    @property
    def recipe(self) -> Recipe:
        """The recipe of the one kind that was given."""
        return getattr(self, self.kind)  # type: ignore[no-any-return]  # the fields of this class, by name


AnyEntry = Annotated[
    DataEntry, Checked(DataEntry.model_validate), WithJsonSchema({SCHEMA_PLACEHOLDER: DataEntry.__name__})
]
"""The same, made ready when the first one is read and not with every spec."""


def file_names(entry: DataEntry) -> list[str]:
    """All files of an entry, relative to its folder, with ``/`` between parts.

    Example:
        >>> file_names(DataEntry.model_validate({"tfrecord": {"shards": 1, "records": 3}}))
        ['part-00000-of-00001.tfrecord']
    """
    return entry.recipe.file_names()


def estimated_bytes(entry: DataEntry) -> int:
    """About how many bytes the files of an entry take on disk."""
    return entry.recipe.estimated_bytes()


def fingerprint(entry: DataEntry) -> str:
    """Hash (64 hexadecimal digits) of the recipe and of the version of the code that makes it."""
    recipe = entry.recipe
    text = json.dumps([entry.kind, recipe.version, recipe.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
