"""Features of generated records."""

import math
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema, model_validator

from pipeprof.pipelines.data.recipes.recipe import (
    BYTES_PER_WORD,
    ArrayDtype,
    Count,
    Flag,
    OneOf,
    PixelClasses,
    Quality,
    Shape,
    Size,
    Span,
    check_span,
    image_bytes,
    item_bytes,
)
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import SCHEMA_PLACEHOLDER, Document

Number = Annotated[int, Field(ge=0, le=10_000_000, strict=True)]
Name = Annotated[str, Field(min_length=1, strict=True)]


class JpegFeature(Document):
    """A photo-like JPEG (one bytes value), or several, such as video frames."""

    size: Size = Field(default=[224, 224], description="Width and height, in pixels.")
    quality: Quality = Field(default=90, description="JPEG quality, 1 to 100.")
    frames: Number | Span | None = Field(
        default=None, description="Number of images in a record, or [minimum, maximum]; default: one."
    )

    @model_validator(mode="after")
    def _check(self) -> "JpegFeature":
        check_span("frames", self.length_range)
        return self

    @property
    def length_range(self) -> list[int]:
        """Smallest and largest number of pictures."""
        return _range(1 if self.frames is None else self.frames)

    def estimated_bytes(self) -> int:
        """About how many bytes it takes in one record."""
        return sum(self.length_range) * image_bytes(self.size, quality=self.quality) // 2


class MaskFeature(Document):
    """A PNG of one channel whose pixels are class numbers, one bytes value."""

    size: Size = Field(default=[224, 224], description="Width and height, in pixels.")
    classes: PixelClasses = Field(default=3, description="Pixels are in 0 … classes - 1.")

    def estimated_bytes(self) -> int:
        """About how many bytes it takes in one record."""
        return self.size[0] * self.size[1] // 20 + 100


class DenseFeature(Document):
    """A fixed number of values; floats are uniform in [0, 1), integers below 1,000."""

    shape: Shape = Field(description="Shape of the parsed values.")
    dtype: Literal["float32", "int64"] = Field(
        default="float32", description="float32 or int64 (the number types of records)."
    )

    def estimated_bytes(self) -> int:
        """About how many bytes it takes in one record."""
        return math.prod(self.shape) * (4 if self.dtype == "float32" else 2) + 4


class _ListFeature(Document):
    """Values whose number may differ from record to record."""

    length: Number | Span | Name = Field(
        default=[1, 20], description="Length, [minimum, maximum] length, or the name of a feature with the same length."
    )

    @model_validator(mode="after")
    def _check(self) -> "_ListFeature":
        if self.length_range is not None:
            check_span("length", self.length_range)
        return self

    @property
    def length_range(self) -> list[int] | None:
        """Smallest and largest length; None where another feature says it."""
        return None if isinstance(self.length, str) else _range(self.length)

    @property
    def mean_length(self) -> float:
        """The mean length; where another feature says it, a guess."""
        return sum(self.length_range or [1, 20]) / 2


class IntsFeature(_ListFeature):
    """A list of int64 whose length may differ from record to record."""

    max: Annotated[int, Field(ge=1, lt=2**63, strict=True)] = Field(
        default=10_000, description="Values are in 0 … max - 1."
    )

    def estimated_bytes(self) -> int:
        """About how many bytes it takes in one record."""
        return int(self.mean_length * max(1, math.ceil(self.max.bit_length() / 7))) + 4


class FloatsFeature(_ListFeature):
    """A list of float32, uniform in [0, 1), whose length may differ from record to record."""

    def estimated_bytes(self) -> int:
        """About how many bytes it takes in one record."""
        return int(self.mean_length * 4) + 4


class LabelFeature(Document):
    """One int64 class number."""

    classes: Count = Field(default=10, description="Labels are in 0 … classes - 1.")

    def estimated_bytes(self) -> int:
        """About how many bytes it takes in one record."""
        return 6


class TextFeature(Document):
    """One bytes value: words separated by spaces."""

    words: Span = Field(default=[5, 20], description="Minimum and maximum number of words.")

    @model_validator(mode="after")
    def _check(self) -> "TextFeature":
        check_span("words", self.words)
        return self

    def estimated_bytes(self) -> int:
        """About how many bytes it takes in one record."""
        return sum(self.words) * BYTES_PER_WORD // 2 + 4


class RawFeature(Document):
    """The bytes of an array, one bytes value: for ``tf.io.decode_raw``, or serialised for ``tf.io.parse_tensor``."""

    shape: Shape = Field(description="Shape of the array.")
    dtype: ArrayDtype = Field(default="uint8", description="NumPy's name of the element type.")
    max: Annotated[int, Field(ge=1, lt=2**31, strict=True)] | None = Field(
        default=None, description="Integers are in 0 … max - 1; below 1,000 (or the type's limit) by default."
    )
    serialized: Flag = Field(
        default=False, description="Whether to serialize like tf.io.serialize_tensor, with shape and dtype."
    )

    def estimated_bytes(self) -> int:
        """About how many bytes it takes in one record."""
        return math.prod(self.shape) * item_bytes(self.dtype) + 4


Feature = (
    JpegFeature
    | MaskFeature
    | DenseFeature
    | IntsFeature
    | FloatsFeature
    | LabelFeature
    | TextFeature
    | RawFeature
)  # fmt: skip


class FeatureEntry(OneOf):
    """A feature of a generated ``tf.train.Example``: exactly one of these kinds."""

    jpeg: JpegFeature | None = Field(default=None, description="An encoded photo-like image, or several.")
    mask: MaskFeature | None = Field(default=None, description="An encoded image of class numbers.")
    dense: DenseFeature | None = Field(default=None, description="A fixed number of floats or integers.")
    ints: IntsFeature | None = Field(default=None, description="A list of integers, of fixed or varying length.")
    floats: FloatsFeature | None = Field(default=None, description="A list of floats, of fixed or varying length.")
    label: LabelFeature | None = Field(default=None, description="One class number.")
    text: TextFeature | None = Field(default=None, description="Words in one string.")
    raw: RawFeature | None = Field(default=None, description="The bytes of an array.")

    @property
    def feature(self) -> Feature:
        """The feature's own description."""
        return getattr(self, self.kind)  # type: ignore[no-any-return]  # the fields of this class, by name

    def estimated_bytes(self) -> int:
        """About how many bytes the feature takes in one record, before compression."""
        return self.feature.estimated_bytes()


AnyFeature = Annotated[
    FeatureEntry, Checked(FeatureEntry.model_validate), WithJsonSchema({SCHEMA_PLACEHOLDER: FeatureEntry.__name__})
]
"""The same, made ready when the first one is read and not with every recipe."""


def _range(length: int | list[int]) -> list[int]:
    return [length, length] if isinstance(length, int) else length
