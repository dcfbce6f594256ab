"""Base of the recipes under ``data:``: numbers, file names, size estimates."""

import string
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from pipeprof.pipelines.ops.model import Closed, Document
from pipeprof.pipelines.ops.problems import error, failure, mismatch

Count = Annotated[int, Field(ge=1, le=100_000_000, strict=True)]
FileCount = Annotated[int, Field(ge=1, le=200_000, strict=True)]
"""Number of files: a check lists them all."""
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
Pixels = Annotated[int, Field(ge=1, le=16_384, strict=True)]
Size = Annotated[list[Pixels], Field(min_length=2, max_length=2)]
Dimension = Annotated[int, Field(ge=0, strict=True)]
Shape = Annotated[list[Dimension], Field(max_length=16)]
Span = Annotated[list[Annotated[int, Field(ge=0, le=10_000_000, strict=True)]], Field(min_length=2, max_length=2)]
Flag = Annotated[bool, Field(strict=True)]
Files = Annotated[int, Field(ge=1, le=100_000, strict=True)]
Columns = Annotated[int, Field(ge=0, le=10_000, strict=True)]
Words = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
Quality = Annotated[int, Field(ge=1, le=100, strict=True)]
PixelClasses = Annotated[int, Field(ge=1, le=256, strict=True)]
ArrayDtype = Literal[
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64"
]

_JPEG_BYTES_PER_PIXEL_AT_90 = 0.25
_PNG_BYTES_PER_PIXEL = 1.5
BYTES_PER_WORD = 5


def image_bytes(size: list[int], *, quality: int | None) -> int:
    """Bytes of one photo-like image of ``size`` (width, height); ``quality`` None means PNG."""
    pixels = size[0] * size[1]
    if quality is None:
        return int(_PNG_BYTES_PER_PIXEL * pixels) + 100
    # A JPEG's size grows roughly like 1 / (101 - quality) ** 0.6, which is exact enough to plan disk space with.
    return int(_JPEG_BYTES_PER_PIXEL_AT_90 * pixels * (11 / (101 - quality)) ** 0.6) + 650


def item_bytes(dtype: str) -> int:
    """Bytes of one value."""
    return 1 if dtype == "bool" else int(dtype.strip(string.ascii_lowercase)) // 8


def part_names(files: int, suffix: str) -> list[str]:
    """One file has a plain name, several are numbered as TensorFlow's own tools number shards."""
    if files == 1:
        return [f"data.{suffix}"]
    return [f"part-{index:05d}-of-{files:05d}.{suffix}" for index in range(files)]


def names_by_class(count: int, classes: int, suffix: str) -> list[str]:
    """Names of files in one folder per class: file i belongs to class i mod classes."""
    digits, class_digits = max(5, len(str(count - 1))), len(str(classes - 1))
    return [f"class_{i % classes:0{class_digits}d}/{i:0{digits}d}.{suffix}" for i in range(count)]


def check_not_more(small: str, small_value: int, large: str, large_value: int) -> None:
    """Refuse a number that another one limits."""
    if small_value > large_value:
        raise failure(
            (small,),
            mismatch(got=small_value, code="number", expected=f"at most {large}, which is {large_value}"),
            small_value,
        )


def check_span(name: str, span: list[int]) -> None:
    """Refuse a smallest number above the largest."""
    if span[0] > span[1]:
        raise failure((name,), error(code="span", message=f"{span}: expected [smallest, largest]", got=span), span)


class Recipe(Document):
    """Base of recipes: the names and sizes of the files that it generates."""

    # Raised when the same recipe begins to give other bytes, so that kept files of the old kind are made again.
    version: ClassVar[int] = 1

    def file_names(self) -> list[str]:
        """Names of all files, relative to the entry's folder, with ``/``, in the order they are numbered."""
        raise NotImplementedError

    def estimated_bytes(self) -> int:
        """About how many bytes the files will take on disk."""
        raise NotImplementedError


class OneOf(Closed):
    """A mapping with exactly one key, the kind; null stands for all defaults."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})
    noun: ClassVar[str] = "kind"

    @model_validator(mode="before")
    @classmethod
    def _exactly_one(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if len(value) != 1:
            got = ", ".join(map(str, value)) or "none"
            message = f"{len(value)} kinds ({got}): expected exactly one of {', '.join(cls.keys())}"
            problem = error(code="kinds", message=message)
            raise problem
        return {key: {} if inner is None else inner for key, inner in value.items()}

    @property
    def kind(self) -> str:
        """The one key that was given."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)
