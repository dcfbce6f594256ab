"""The entries of a spec's ``data:`` section: recipes of input files that are made once and then kept.

An entry is a mapping with exactly one key, its kind, whose value is the recipe. A recipe alone settles which files
there will be, so a path such as ``data:photos/*/*.jpg`` can be checked without making or looking at a single file.
"""

from __future__ import annotations

import hashlib
import json
import math
import string
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from pipeprof.pipelines.ops.model import Closed, Document
from pipeprof.pipelines.ops.problems import error, failure, mismatch

Count = Annotated[int, Field(ge=1, le=100_000_000, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
Pixels = Annotated[int, Field(ge=1, le=16_384, strict=True)]
Size = Annotated[list[Pixels], Field(min_length=2, max_length=2)]
Dimension = Annotated[int, Field(ge=0, strict=True)]
Shape = Annotated[list[Dimension], Field(max_length=16)]
Span = Annotated[list[Annotated[int, Field(ge=0, le=10_000_000, strict=True)]], Field(min_length=2, max_length=2)]
Flag = Annotated[bool, Field(strict=True)]
ArrayDtype = Literal[
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64"
]

_JPEG_BYTES_PER_PIXEL_AT_90 = 0.25
_PNG_BYTES_PER_PIXEL = 1.5
_BYTES_PER_WORD = 5
_NPY_HEADER_BYTES = 128


def _image_bytes(size: list[int], *, quality: int | None) -> int:
    """Bytes of one photo-like image of ``size`` (width, height); ``quality`` None means PNG."""
    pixels = size[0] * size[1]
    if quality is None:
        return int(_PNG_BYTES_PER_PIXEL * pixels) + 100
    # A JPEG's size grows roughly like 1 / (101 - quality) ** 0.6, which is exact enough to plan disk space with.
    return int(_JPEG_BYTES_PER_PIXEL_AT_90 * pixels * (11 / (101 - quality)) ** 0.6) + 650


def _item_bytes(dtype: str) -> int:
    return 1 if dtype == "bool" else int(dtype.strip(string.ascii_lowercase)) // 8


def _part_names(stem: str, files: int, suffix: str) -> list[str]:
    """One file has a plain name, several are numbered as TensorFlow's own tools number shards."""
    if files == 1:
        return [f"{stem}.{suffix}"]
    return [f"part-{index:05d}-of-{files:05d}.{suffix}" for index in range(files)]


def _check_not_more(small: str, small_value: int, large: str, large_value: int) -> None:
    if small_value > large_value:
        raise failure(
            (small,),
            mismatch(got=small_value, code="number", expected=f"at most {large}, which is {large_value}"),
            small_value,
        )


def _check_span(name: str, span: list[int]) -> None:
    if span[0] > span[1]:
        raise failure((name,), error(code="span", message=f"got {span}, expected [smallest, largest]", got=span), span)


class Recipe(Document):
    """What every recipe can tell about the files it stands for."""

    # Raised when the same recipe begins to give other bytes, so that kept files of the old kind are made again.
    version: ClassVar[int] = 1

    def file_names(self) -> list[str]:
        """Names of all files, relative to the entry's folder, with ``/``, in the order they are numbered."""
        raise NotImplementedError

    def estimated_bytes(self) -> int:
        """About how many bytes the files will take on disk."""
        raise NotImplementedError


class ImageFolder(Recipe):
    """Photo-like images in one folder per class (``class_0/00000.jpg``)."""

    count: Count = Field(default=600, description="Number of images in all; image i belongs to class i mod classes.")
    size: Size = Field(default=[480, 360], description="Width and height of each image, in pixels.")
    classes: Count = Field(default=4, description="Number of class folders, at most count.")
    format: Literal["jpeg", "png"] = Field(default="jpeg", description="How the images are encoded.")
    quality: Annotated[int, Field(ge=1, le=100, strict=True)] = Field(
        default=90, description="JPEG quality, 1 to 100; without effect on PNG."
    )
    seed: Seed = Field(default=0, description="The same seed gives the same bytes.")

    @model_validator(mode="after")
    def _check(self) -> ImageFolder:
        _check_not_more("classes", self.classes, "count", self.count)
        return self

    def file_names(self) -> list[str]:
        """Relative names, for example ``class_0/00000.jpg``."""
        digits = max(5, len(str(self.count - 1)))
        class_digits = len(str(self.classes - 1))
        suffix = "jpg" if self.format == "jpeg" else "png"
        return [f"class_{i % self.classes:0{class_digits}d}/{i:0{digits}d}.{suffix}" for i in range(self.count)]

    def estimated_bytes(self) -> int:
        """Number of images times the size of a photo of this many pixels."""
        return self.count * _image_bytes(self.size, quality=self.quality if self.format == "jpeg" else None)


class JpegFeature(Document):
    """A photo-like JPEG, one bytes value."""

    size: Size = Field(default=[224, 224], description="Width and height, in pixels.")
    quality: Annotated[int, Field(ge=1, le=100, strict=True)] = Field(default=90, description="JPEG quality, 1 to 100.")


class DenseFeature(Document):
    """A fixed number of values; floats are uniform in [0, 1), integers below 1,000."""

    shape: Shape = Field(description="Shape that the flat values are meant to be parsed to.")
    dtype: Literal["float32", "int64"] = Field(default="float32", description="The two number types a record can hold.")


class IntsFeature(Document):
    """A list of int64 whose length may differ from record to record."""

    length: Annotated[int, Field(ge=0, le=10_000_000, strict=True)] | Span = Field(
        default=[1, 20], description="A fixed length, or [smallest, largest] length."
    )
    max: Annotated[int, Field(ge=1, lt=2**63, strict=True)] = Field(
        default=10_000, description="Values are in 0 … max - 1."
    )

    @model_validator(mode="after")
    def _check(self) -> IntsFeature:
        _check_span("length", self.length_range)
        return self

    @property
    def length_range(self) -> list[int]:
        """Smallest and largest length."""
        return [self.length, self.length] if isinstance(self.length, int) else self.length


class LabelFeature(Document):
    """One int64 class number."""

    classes: Count = Field(default=10, description="Labels are in 0 … classes - 1.")


class TextFeature(Document):
    """One bytes value: words separated by spaces."""

    words: Span = Field(default=[5, 20], description="Smallest and largest number of words.")

    @model_validator(mode="after")
    def _check(self) -> TextFeature:
        _check_span("words", self.words)
        return self


class _OneOf(Closed):
    """A mapping with exactly one key, the kind; null stands for all defaults."""

    noun: ClassVar[str] = "kind"

    @model_validator(mode="before")
    @classmethod
    def _exactly_one(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if len(value) != 1:
            got = ", ".join(map(str, value)) or "none"
            message = f"got {len(value)} kinds ({got}), expected exactly one of {', '.join(cls.keys())}"
            problem = error(code="kinds", message=message)
            raise problem
        return {key: {} if inner is None else inner for key, inner in value.items()}

    @property
    def kind(self) -> str:
        """The one key that was given."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)


class FeatureEntry(_OneOf):
    """One feature of a synthesised ``tf.train.Example``: exactly one of the kinds below."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    jpeg: JpegFeature | None = Field(default=None, description="An encoded photo-like image.")
    dense: DenseFeature | None = Field(default=None, description="A fixed number of floats or integers.")
    ints: IntsFeature | None = Field(default=None, description="A list of integers, of fixed or varying length.")
    label: LabelFeature | None = Field(default=None, description="One class number.")
    text: TextFeature | None = Field(default=None, description="Words in one string.")

    @property
    def feature(self) -> JpegFeature | DenseFeature | IntsFeature | LabelFeature | TextFeature:
        """The feature's own description."""
        return getattr(self, self.kind)  # type: ignore[no-any-return]  # the fields of this class, by name

    def estimated_bytes(self) -> int:
        """About how many bytes the feature takes in one record, before compression."""
        feature = self.feature
        if isinstance(feature, JpegFeature):
            return _image_bytes(feature.size, quality=feature.quality)
        if isinstance(feature, DenseFeature):
            return math.prod(feature.shape) * (4 if feature.dtype == "float32" else 2) + 4
        if isinstance(feature, IntsFeature):
            return sum(feature.length_range) * max(1, math.ceil(feature.max.bit_length() / 7)) // 2 + 4
        if isinstance(feature, TextFeature):
            return sum(feature.words) * _BYTES_PER_WORD // 2 + 4
        return 6


def _default_features() -> dict[str, FeatureEntry]:
    return {"image": FeatureEntry(jpeg=JpegFeature()), "label": FeatureEntry(label=LabelFeature())}


class TFRecord(Recipe):
    """Shards of serialised ``tf.train.Example`` (``part-00000-of-00008.tfrecord``)."""

    shards: Annotated[int, Field(ge=1, le=100_000, strict=True)] = Field(default=8, description="Number of files.")
    records: Count = Field(default=1024, description="Number of records over all shards, dealt out evenly.")
    compression_type: Literal["GZIP"] | None = Field(
        default=None, description="GZIP compresses the shards; null leaves them plain."
    )
    features: Annotated[dict[str, FeatureEntry], Field(min_length=1)] = Field(
        default_factory=_default_features, description="Feature name to feature."
    )
    seed: Seed = Field(default=0, description="The same seed gives the same bytes.")

    @model_validator(mode="after")
    def _check(self) -> TFRecord:
        _check_not_more("shards", self.shards, "records", self.records)
        return self

    def file_names(self) -> list[str]:
        """Relative names; also a single shard is numbered."""
        return [f"part-{index:05d}-of-{self.shards:05d}.tfrecord" for index in range(self.shards)]

    def estimated_bytes(self) -> int:
        """Size before compression: JPEG, the usual bulk, does not get smaller."""
        names = sum(len(name.encode()) + 8 for name in self.features)
        return self.records * (20 + names + sum(entry.estimated_bytes() for entry in self.features.values()))


class Npy(Recipe):
    """NumPy arrays (``data.npy``, or ``part-00000-of-00004.npy`` with several files)."""

    shape: Shape = Field(default=[1024, 32, 32, 3], description="Shape of the array in each file.")
    dtype: ArrayDtype = Field(default="float32", description="NumPy's name of the element type.")
    fill: Literal["random", "zeros", "arange"] = Field(
        default="random",
        description="random: floats in [0, 1), integers below 1,000 (or the type's limit); arange counts up and wraps.",
    )
    files: Annotated[int, Field(ge=1, le=100_000, strict=True)] = Field(
        default=1, description="Number of files, each with an array of this shape."
    )
    seed: Seed = Field(default=0, description="The same seed gives the same bytes.")

    def file_names(self) -> list[str]:
        """``data.npy``, or numbered parts."""
        return _part_names("data", self.files, "npy")

    def estimated_bytes(self) -> int:
        """Exact but for the padding of the header."""
        return self.files * (_NPY_HEADER_BYTES + math.prod(self.shape) * _item_bytes(self.dtype))


class Csv(Recipe):
    """Comma separated values (``data.csv``): float columns x0…, integers i0…, strings s0…, then ``label``."""

    rows: Count = Field(default=10_000, description="Number of rows over all files, headers not counted.")
    columns: Annotated[int, Field(ge=0, le=10_000, strict=True)] = Field(
        default=10, description="Number of float columns (x0, x1, …)."
    )
    ints: Annotated[int, Field(ge=0, le=10_000, strict=True)] = Field(
        default=0, description="Number of integer columns (i0, i1, …), values below 1,000."
    )
    strings: Annotated[int, Field(ge=0, le=10_000, strict=True)] = Field(
        default=0, description="Number of string columns (s0, s1, …), one word each."
    )
    label: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] = Field(
        default=2, description="Number of classes of the last column, label; 0 leaves it out."
    )
    header: Flag = Field(default=True, description="Whether each file begins with the names of the columns.")
    files: Annotated[int, Field(ge=1, le=100_000, strict=True)] = Field(default=1, description="Number of files.")
    seed: Seed = Field(default=0, description="The same seed gives the same bytes.")

    @model_validator(mode="after")
    def _check(self) -> Csv:
        _check_not_more("files", self.files, "rows", self.rows)
        if not self.column_names():
            problem = error(
                code="columns", message="got no columns, expected columns, ints, strings or label to be above 0"
            )
            raise problem
        return self

    def column_names(self) -> list[str]:
        """Names of the columns, from left to right."""
        counted = (("x", self.columns), ("i", self.ints), ("s", self.strings))
        return [f"{letter}{i}" for letter, count in counted for i in range(count)] + (["label"] if self.label else [])

    def file_names(self) -> list[str]:
        """``data.csv``, or numbered parts."""
        return _part_names("data", self.files, "csv")

    def estimated_bytes(self) -> int:
        """Floats have six decimals, words about four letters."""
        return self.rows * (self.columns * 9 + self.ints * 4 + self.strings * _BYTES_PER_WORD + bool(self.label) * 3)


class Text(Recipe):
    """Lines of words (``data.txt``); words are drawn as in a language, few of them often."""

    lines: Count = Field(default=10_000, description="Number of lines over all files.")
    words: Span = Field(default=[5, 20], description="Smallest and largest number of words in a line.")
    vocabulary: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = Field(
        default=5_000, description="Number of different words to draw from."
    )
    files: Annotated[int, Field(ge=1, le=100_000, strict=True)] = Field(default=1, description="Number of files.")
    seed: Seed = Field(default=0, description="The same seed gives the same bytes.")

    @model_validator(mode="after")
    def _check(self) -> Text:
        _check_not_more("files", self.files, "lines", self.lines)
        _check_span("words", self.words)
        return self

    def file_names(self) -> list[str]:
        """``data.txt``, or numbered parts."""
        return _part_names("data", self.files, "txt")

    def estimated_bytes(self) -> int:
        """Lines times the mean number of words."""
        return self.lines * (sum(self.words) * _BYTES_PER_WORD // 2 + 1)


class DataEntry(_OneOf):
    """One entry of ``data:``, made on the first run and kept by its recipe's hash: exactly one of the kinds below."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    image_folder: ImageFolder | None = Field(default=None, description="Photo-like images in one folder per class.")
    tfrecord: TFRecord | None = Field(default=None, description="Shards of serialised tf.train.Example.")
    npy: Npy | None = Field(default=None, description="NumPy arrays.")
    csv: Csv | None = Field(default=None, description="Comma separated values.")
    text: Text | None = Field(default=None, description="Lines of words.")

    @property
    def recipe(self) -> Recipe:
        """The recipe of the one kind that was given."""
        return getattr(self, self.kind)  # type: ignore[no-any-return]  # the fields of this class, by name


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
