"""Arrays that a spec or its files hold: names of files, lines, tables, ragged and sparse tensors."""

from typing import Annotated, Any

from pydantic import model_validator

from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import Closed, argument
from pipeprof.pipelines.ops.problems import error, failure, mismatch
from pipeprof.pipelines.ops.values.values import ArrayPath, Dtype, KnownShape, NotNegative, OwnFiles, Text


def _nested(value: Any, expected: str) -> tuple[Any, ...]:
    """Lists as tuples, which can be looked up."""
    if not isinstance(value, list | tuple):
        raise mismatch(value, "numbers", expected)
    return tuple(_nested(item, expected) if isinstance(item, list | tuple) else _scalar(item) for item in value)


def _scalar(value: Any) -> Any:
    if not isinstance(value, str | int | float):
        raise mismatch(value, "number", "a number or text")
    return value


def _rows(value: Any) -> tuple[Any, ...]:
    return _nested(value, "a list of lists such as [[1], [2, 3]]")


def _values(value: Any) -> tuple[Any, ...]:
    values = _nested(value, "a list of numbers or texts")
    if any(isinstance(item, tuple) for item in values):
        raise mismatch(value, "numbers", "a flat list of numbers or texts")
    return values


def _indices(value: Any) -> tuple[tuple[int, ...], ...]:
    rows = _nested(value, "a list of indices such as [[0, 1], [2, 0]]")
    flat = [item for row in rows for item in (row if isinstance(row, tuple) else (None,))]
    if any(not isinstance(item, int) or isinstance(item, bool) or item < 0 for item in flat):
        raise mismatch(value, "numbers", "a list of indices such as [[0, 1], [2, 0]]")
    return rows


Rows = Annotated[tuple[Any, ...], Checked(_rows, {"type": "array"})]
Values = Annotated[
    tuple[Any, ...], Checked(_values, {"type": "array", "items": {"type": ["number", "string", "boolean"]}})
]
Indices = Annotated[
    tuple[tuple[int, ...], ...],
    Checked(_indices, {"type": "array", "items": {"type": "array", "items": {"type": "integer", "minimum": 0}}}),
]


class FilesArray(Closed):
    """The names of files as an array of texts, sorted."""

    files: OwnFiles = argument("Paths and globs, relative to the spec; data:NAME/… for generated files.")


class LinesArray(Closed):
    """The lines of a text file as an array of texts."""

    lines: ArrayPath = argument("Path of the file, relative to the spec.")


class CsvArray(Closed):
    """The columns of a CSV file with a header as a mapping of arrays."""

    csv: ArrayPath = argument("Path of the file, relative to the spec.")
    field_delim: Text = argument("Field separator.", default=",")


class RaggedArray(Closed):
    """A ragged tensor (tf.ragged.constant)."""

    ragged: Rows = argument("Lists of lists, of any lengths.")
    dtype: Dtype | None = argument("dtype of the values; inferred by default.", default=None)
    ragged_rank: NotNegative | None = argument("Number of ragged dimensions.", default=None)


class SparseParts(Closed):
    """The parts of a tf.SparseTensor."""

    indices: Indices = argument("Index of each value, in ascending order.")
    values: Values = argument("The values.")
    dense_shape: KnownShape = argument("Shape of the dense tensor.")
    dtype: Dtype | None = argument("dtype of the values; inferred by default.", default=None)

    @model_validator(mode="after")
    def _fits(self) -> "SparseParts":
        if len(self.indices) != len(self.values):
            message = f"{len(self.values)} values for {len(self.indices)} indices: expected one for each"
            raise failure(("values",), error(message, "numbers", got=len(self.values)))
        for number, index in enumerate(self.indices):
            if len(index) != len(self.dense_shape) or any(
                a >= b for a, b in zip(index, self.dense_shape, strict=False)
            ):
                raise failure(
                    ("indices", number), mismatch(index, "numbers", f"an index inside of {list(self.dense_shape)}")
                )
        return self


class SparseArray(Closed):
    """A sparse tensor."""

    sparse: SparseParts = argument("indices, values and dense_shape.")


def written_array(value: dict[Any, Any]) -> type[Closed] | None:
    """The kind of array of this module that a mapping stands for; None for any other mapping."""
    keys = value.keys()
    for kind, first, holds in _KINDS:
        if first in keys and keys <= kind.model_fields.keys() and isinstance(value[first], holds):
            return kind
    return None


_KINDS: tuple[tuple[type[Closed], str, Any], ...] = (
    (FilesArray, "files", str | list),
    (LinesArray, "lines", str),
    (CsvArray, "csv", str),
    (RaggedArray, "ragged", list),
    (SparseArray, "sparse", dict),
)
