"""Types of argument values with strict validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.problems import failure, mismatch


class AutotuneConstant(str):
    """The word AUTOTUNE where it stands for tf.data.AUTOTUNE, apart from text that is data."""

    __slots__ = ()


AUTOTUNE: Final = AutotuneConstant("AUTOTUNE")
DTYPES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "bfloat16", "float16", "float32", "float64", "complex64", "complex128", "string",
)  # fmt: skip
NUMPY_DTYPES = tuple(name for name in DTYPES if name not in ("bfloat16", "string"))


def is_integer(value: Any) -> bool:
    """Whether ``value`` is a whole number; true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def _integer(least: int | None, *, autotune: bool = False, note: str = "") -> Callable[[Any], Any]:
    expected = "a whole number" if least is None else f"a whole number of at least {least}{note}"
    if autotune:
        expected += " or AUTOTUNE"

    def check(value: Any) -> Any:
        if autotune and value == AUTOTUNE:
            return AUTOTUNE
        if is_integer(value) and abs(value) >= 2**63:
            raise mismatch(value, "number", "a whole number of at most 64 bits")
        if not is_integer(value) or (least is not None and value < least):
            raise mismatch(value, "number", expected, [AUTOTUNE] if autotune else [])
        return value

    return check


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise mismatch(value, "flag", "true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise mismatch(value, "text", "text (in quotes)")
    return value


def _filled_text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise mismatch(value, "text", "text that is not empty" if value == "" else "text (in quotes)")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise mismatch(value, "number", "a number")
    return float(value)


def _positive_number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise mismatch(value, "number", "a number above 0")
    return float(value)


def one_of(*names: str) -> Checked:
    """A check for one of a few words."""

    def check(value: Any) -> str:
        if value not in names:
            raise mismatch(value, "choice", _either(names), names)
        return str(value)

    return Checked(check, {"enum": list(names)})


def _either(names: tuple[str, ...]) -> str:
    names = tuple(name or '""' for name in names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


_DTYPE_EXPECTED: Final = "the name of a dtype such as float32, uint8 or string"


class DtypeName(str):
    """Name of a dtype, apart from text that is data."""

    __slots__ = ()


def dtype_among(names: tuple[str, ...], expected: str = _DTYPE_EXPECTED) -> Callable[[Any], DtypeName]:
    """A check for the name of one of a few dtypes."""

    def check(value: Any) -> DtypeName:
        plain = value[3:] if isinstance(value, str) and value.startswith("tf.") else value
        if plain not in names:
            raise mismatch(value, "dtype", expected, names)
        return DtypeName(plain)

    return check


check_dtype = dtype_among(DTYPES)


def _shape(*, known: bool) -> Callable[[Any], tuple[int | None, ...]]:
    expected = "a list of dimensions such as [224, 224, 3]" + ("" if known else " (null where unknown)")

    def check(value: Any) -> tuple[int | None, ...]:
        if not isinstance(value, list | tuple):
            raise mismatch(value, "shape", expected)
        for place, size in enumerate(value):
            if (size is None and not known) or (is_integer(size) and size >= 0):
                continue
            raise failure((place,), mismatch(size, "shape", expected), size)
        return tuple(value)

    return check


check_shape = _shape(known=False)


def _integers(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or not all(is_integer(item) for item in value):
        raise mismatch(value, "numbers", "a list of whole numbers")
    return tuple(value)


def check_shares(value: Any) -> tuple[float, ...]:
    """A list of shares."""
    if not isinstance(value, list | tuple) or not value:
        raise mismatch(value, "weights", "a list of shares such as [0.7, 0.3]")
    for index, share in enumerate(value):
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < float("inf"):
            raise failure((index,), mismatch(share, "number", "a number of at least 0"), share)
    return tuple(float(share) for share in value)


def _sizes(value: Any) -> int | tuple[int, ...]:
    listed = value if isinstance(value, list | tuple) and value else [value]
    if not all(is_integer(item) and item > 0 for item in listed):
        raise mismatch(value, "number", "a whole number of at least 1, or a list of them")
    return value if is_integer(value) else tuple(value)


def _seed(value: Any) -> int | tuple[int, ...]:
    if is_integer(value):
        return int(value)
    raise mismatch(value, "seed", "a whole number")


Field = str | int
"""The key (dotted into nested mappings) or the index of one component of an element."""


def parse_field(value: Any) -> Field:
    """A key or an index."""
    if is_integer(value) and value >= 0:
        return int(value)
    if isinstance(value, str) and value and all(value.split(".")):
        return value
    raise mismatch(value, "field", "a key or an index of the element")


@dataclass(frozen=True)
class OuterElement:
    """The element that a nested pipeline is made for, or one field of it."""

    on: Field | None = None


@dataclass(frozen=True)
class FilePatterns:
    """Files as written: literal paths and globs, in order; ``listed`` when they stood in a list."""

    patterns: tuple[str, ...]
    listed: bool


def _file_patterns(value: Any) -> FilePatterns | OuterElement:
    if isinstance(value, FilePatterns | OuterElement):
        return value
    if isinstance(value, str) and value:
        return FilePatterns((value,), listed=False)
    expected = 'a path or a glob such as "data:photos/*/*.jpg", or a list of them'
    if not isinstance(value, list) or not value:
        raise mismatch(value, "files", expected)
    for place, item in enumerate(value):
        if not isinstance(item, str) or not item:
            raise failure((place,), mismatch(item, "files", expected), item)
    return FilePatterns(tuple(value), listed=True)


class ArrayFile(str):
    """Path of a saved array, relative to the spec."""

    __slots__ = ()


class InputFolder(str):
    """Path of a folder that is read, relative to the spec."""

    __slots__ = ()


class OutputFile(str):
    """Path of a file that TensorFlow writes itself, relative to the spec."""

    __slots__ = ()


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value or not all(isinstance(item, str) for item in value):
        raise mismatch(value, "texts", "a list of texts")
    return tuple(value)


def array_of(items: dict[str, Any], least: int = 1) -> dict[str, Any]:
    """The JSON schema of a list with at least so many items."""
    return {"type": "array", "items": items, **({"minItems": least} if least else {})}


_INTEGER = {"type": "integer"}
_POSITIVE = {"type": "integer", "minimum": 1}
_FILLED = {"type": "string", "minLength": 1}
_PATHS = {"anyOf": [_FILLED, array_of(_FILLED)]}
_FIELD = {"type": ["string", "integer"], "description": "Field of the outer element."}
_ELEMENT = {"type": "object", "properties": {"on": _FIELD}, "required": ["on"], "additionalProperties": False}

ElementField = Annotated[str | int, Checked(parse_field, {"anyOf": [_FILLED, {"type": "integer", "minimum": 0}]})]
Flag = Annotated[bool, Checked(_flag, {"type": "boolean"})]
Text = Annotated[str, Checked(_text, {"type": "string"})]
FilledText = Annotated[str, Checked(_filled_text, _FILLED)]
Integer = Annotated[int, Checked(_integer(None), _INTEGER)]
Positive = Annotated[int, Checked(_integer(1), _POSITIVE)]
NotNegative = Annotated[int, Checked(_integer(0), {**_INTEGER, "minimum": 0})]
Count = Annotated[int, Checked(_integer(-1, note=" (-1: all)"), {**_INTEGER, "minimum": -1})]
PositiveOrAutotune = Annotated[
    int | Literal["AUTOTUNE"], Checked(_integer(1, autotune=True), {"anyOf": [_POSITIVE, {"const": str(AUTOTUNE)}]})
]
Number = Annotated[float, Checked(_number, {"type": "number"})]
PositiveNumber = Annotated[float, Checked(_positive_number, {"type": "number", "exclusiveMinimum": 0})]
Dtype = Annotated[str, Checked(check_dtype, {"enum": [*DTYPES, *(f"tf.{name}" for name in DTYPES)]})]
NumpyDtype = Annotated[str, Checked(dtype_among(NUMPY_DTYPES), {"enum": list(NUMPY_DTYPES)})]
KnownShape = Annotated[tuple[int, ...], Checked(_shape(known=True), array_of({"type": "integer", "minimum": 0}, 0))]
_SIZES = array_of({"type": ["integer", "null"], "minimum": 0}, 0)
Shape = Annotated[tuple[int | None, ...], Checked(check_shape, _SIZES)]
Integers = Annotated[tuple[int, ...], Checked(_integers, array_of(_INTEGER, 0))]
Shares = Annotated[tuple[float, ...], Checked(check_shares, array_of({"type": "number", "minimum": 0}))]
Sizes = Annotated[int | tuple[int, ...], Checked(_sizes, {"anyOf": [_POSITIVE, array_of(_POSITIVE)]})]
Seed = Annotated[int, Checked(_seed, _INTEGER)]
Compression = Annotated[Literal["", "GZIP", "ZLIB"], one_of("GZIP", "ZLIB", "")]
OwnFiles = Annotated[FilePatterns, Checked(_file_patterns, _PATHS)]
Files = Annotated[FilePatterns | OuterElement, Checked(_file_patterns, {"anyOf": [*_PATHS["anyOf"], _ELEMENT]})]
ArrayPath = Annotated[ArrayFile, Checked(lambda value: ArrayFile(_filled_text(value)), _FILLED)]
OutputPath = Annotated[OutputFile, Checked(lambda value: OutputFile(_text(value)), {"type": "string"})]
Folder = Annotated[InputFolder, Checked(lambda value: InputFolder(_filled_text(value)), _FILLED)]
Texts = Annotated[tuple[str, ...], Checked(_texts, array_of({"type": "string"}))]
FilledOutputPath = Annotated[OutputFile, Checked(lambda value: OutputFile(_filled_text(value)), _FILLED)]
