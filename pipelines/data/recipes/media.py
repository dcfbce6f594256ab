"""Recipes of files that are not tables, arrays or records: sounds, images with masks, texts, binary records, words."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeprof.pipelines.data.recipes.recipe import (
    BYTES_PER_WORD,
    ArrayDtype,
    Count,
    FileCount,
    Files,
    PixelClasses,
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
from pipeprof.pipelines.ops.model import Document
from pipeprof.pipelines.ops.problems import error

_WAV_HEADER_BYTES = 44
_SAMPLE_BYTES = 2
Samples = Annotated[int, Field(ge=1, le=10_000_000, strict=True)]


class AudioFolder(Recipe):
    """WAV files of 16 bits in one folder per class (``class_0/00000.wav``); sounds of a class have the same pitch."""

    count: FileCount = Field(default=200, description="Total number of files; file i belongs to class i mod classes.")
    samples: Samples | Annotated[list[Samples], Field(min_length=2, max_length=2)] = Field(
        default=16_000, description="Samples per file, or [minimum, maximum]."
    )
    sample_rate: Annotated[int, Field(ge=1, le=384_000, strict=True)] = Field(
        default=16_000, description="Samples per second."
    )
    channels: Annotated[int, Field(ge=1, le=8, strict=True)] = Field(default=1, description="1: mono, 2: stereo.")
    classes: Count = Field(default=4, description="Number of class folders, at most count.")
    seed: Seed = Field(default=0, description="The same seed gives the same bytes.")

    @model_validator(mode="after")
    def _check(self) -> "AudioFolder":
        check_not_more("classes", self.classes, "count", self.count)
        check_span("samples", self.sample_range)
        return self

    @property
    def sample_range(self) -> list[int]:
        """Smallest and largest number of samples."""
        return [self.samples, self.samples] if isinstance(self.samples, int) else self.samples

    def file_names(self) -> list[str]:
        """Relative names, for example ``class_0/00000.wav``."""
        return names_by_class(self.count, self.classes, "wav")

    def estimated_bytes(self) -> int:
        """Files of the mean length."""
        mean = sum(self.sample_range) * self.channels * _SAMPLE_BYTES // 2
        return self.count * (_WAV_HEADER_BYTES + mean)


class ImageMasks(Recipe):
    """Photo-like JPEGs, each with a PNG of class numbers (``images/00000.jpg``, ``masks/00000.png``)."""

    count: FileCount = Field(default=200, description="Number of images, and of masks.")
    size: Size = Field(default=[256, 256], description="Width and height of each image and mask, in pixels.")
    classes: PixelClasses = Field(default=3, description="Number of classes; pixels of masks are in 0 … classes - 1.")
    quality: Quality = Field(default=90, description="JPEG quality, 1 to 100.")
    seed: Seed = Field(default=0, description="The same seed gives the same bytes.")

    def file_names(self) -> list[str]:
        """The images, then the masks."""
        digits = max(5, len(str(self.count - 1)))
        return [f"images/{i:0{digits}d}.jpg" for i in range(self.count)] + [
            f"masks/{i:0{digits}d}.png" for i in range(self.count)
        ]

    def estimated_bytes(self) -> int:
        """Masks are far smaller than their images."""
        mask = self.size[0] * self.size[1] // 20 + 100
        return self.count * (image_bytes(self.size, quality=self.quality) + mask)


class TextFolder(Recipe):
    """Short texts in one folder per class (``class_0/00000.txt``)."""

    count: FileCount = Field(default=500, description="Total number of files; file i belongs to class i mod classes.")
    classes: Count = Field(default=2, description="Number of class folders, at most count.")
    words: Span = Field(default=[20, 200], description="Minimum and maximum number of words in a text.")
    vocabulary: Words = Field(default=5_000, description="Vocabulary size.")
    seed: Seed = Field(default=0, description="The same seed gives the same bytes.")

    @model_validator(mode="after")
    def _check(self) -> "TextFolder":
        check_not_more("classes", self.classes, "count", self.count)
        check_span("words", self.words)
        return self

    def file_names(self) -> list[str]:
        """Relative names, for example ``class_0/00000.txt``."""
        return names_by_class(self.count, self.classes, "txt")

    def estimated_bytes(self) -> int:
        """Files times the mean number of words."""
        return self.count * (sum(self.words) * BYTES_PER_WORD // 2 + 1)


class Vocabulary(Recipe):
    """The vocabulary of ``text`` with the same size and seed, one word per line, most frequent first."""

    size: Words = Field(default=5_000, description="Number of words, without special tokens.")
    special: list[Annotated[str, Field(pattern=r"^[^\r\n]+$", strict=True)]] = Field(
        default=[], description="Special tokens before the words, such as <pad> and <unk>."
    )
    seed: Seed = Field(default=0, description="Seed of the corresponding text.")

    def file_names(self) -> list[str]:
        """``vocabulary.txt``."""
        return ["vocabulary.txt"]

    def estimated_bytes(self) -> int:
        """Rare words are longer than frequent ones."""
        return self.size * (BYTES_PER_WORD + 2) + sum(len(line.encode()) + 1 for line in self.special)


class RecordField(Document):
    """One part of every record: an array's bytes, little-endian."""

    shape: Shape = Field(default=[], description="Shape of the part.")
    dtype: ArrayDtype = Field(default="uint8", description="NumPy's name of the element type.")
    max: Annotated[int, Field(ge=1, lt=2**31, strict=True)] | None = Field(
        default=None, description="Integers are in 0 … max - 1; below 1,000 (or the type's limit) by default."
    )

    @property
    def bytes(self) -> int:
        """Bytes in each record."""
        return math.prod(self.shape) * item_bytes(self.dtype)


class FixedRecords(Recipe):
    """Binary records of the same length, one after the other (``data.bin``)."""

    records: Count = Field(default=1_000, description="Total number of records.")
    fields: Annotated[dict[str, RecordField], Field(min_length=1)] = Field(
        default_factory=lambda: {"label": RecordField(max=10), "image": RecordField(shape=[3, 32, 32])},
        description="Fields of a record, in order; the names have no further meaning.",
    )
    header_bytes: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] = Field(
        default=0, description="Size of a header of zero bytes in each file."
    )
    compression_type: Literal["GZIP"] | None = Field(
        default=None, description="Compression of the files: GZIP, or null for none."
    )
    files: Files = Field(default=1, description="Number of files.")
    seed: Seed = Field(default=0, description="The same seed gives the same bytes.")

    @model_validator(mode="after")
    def _check(self) -> "FixedRecords":
        check_not_more("files", self.files, "records", self.records)
        if not self.record_bytes:
            raise error("records of 0 bytes: expected a field with at least one value", "fields")
        return self

    @property
    def record_bytes(self) -> int:
        """Bytes of each record."""
        return sum(field.bytes for field in self.fields.values())

    def file_names(self) -> list[str]:
        """``data.bin``, or numbered parts."""
        return part_names(self.files, "bin")

    def estimated_bytes(self) -> int:
        """Exact unless compressed."""
        return self.files * self.header_bytes + self.records * self.record_bytes
