"""Structures as tf.data has them (dicts and tuples of components), written in YAML: tensors, arrays, shapes, dtypes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import SCHEMA_PLACEHOLDER, Closed, argument
from pipeprof.pipelines.ops.problems import Problems, mismatch
from pipeprof.pipelines.ops.values.arrays import (
    CsvArray,
    FilesArray,
    LinesArray,
    RaggedArray,
    SparseArray,
    written_array,
)
from pipeprof.pipelines.ops.values.values import (
    ArrayPath,
    FilledText,
    KnownShape,
    NotNegative,
    NumpyDtype,
    OuterElement,
    check_dtype,
    check_shape,
    is_integer,
    one_of,
)

Place = tuple[str | int, ...]


class NpyArray(Closed):
    """An array saved by numpy.save."""

    npy: ArrayPath = argument("Path of the .npy file, relative to the spec; data:NAME/… for a generated file.")
    mmap_mode: Annotated[str, one_of("r", "c")] | None = argument(
        "r or c maps the file into memory instead of reading it (numpy.load's argument).", default=None
    )


class NpzArray(Closed):
    """One array of an archive saved by numpy.savez."""

    npz: ArrayPath = argument("Path of the .npz file, relative to the spec.")
    key: FilledText = argument("Name of the array in the archive.")


class Filling(Closed):
    """Contents of a generated array."""

    shape: KnownShape = argument("The array's shape.")
    dtype: NumpyDtype = argument("The array's dtype.", default="float32")
    fill: Annotated[str, one_of("random", "zeros", "arange")] = argument(
        "random: floats in [0, 1), integers in [0, 256) or the dtype's range; zeros; arange: 0, 1, 2, …",
        default="random",
    )
    seed: NotNegative = argument("The same seed gives the same values.", default=0)


class MadeArray(Closed):
    """An array generated in memory."""

    array: Filling = argument("Shape, dtype and contents.")


Array = NpyArray | NpzArray | MadeArray | FilesArray | LinesArray | CsvArray | RaggedArray | SparseArray
ARRAYS = (NpyArray, NpzArray, MadeArray, FilesArray, LinesArray, CsvArray, RaggedArray, SparseArray)


@dataclass(frozen=True)
class Structure:
    """A checked structure: dicts and tuples of components; a component is an array or a literal."""

    value: Any


def walk(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """All components of a nested value with their places."""
    if isinstance(value, Structure):
        yield from walk(value.value, place)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, (*place, key))
    elif isinstance(value, tuple | list):
        for index, inner in enumerate(value):
            yield from walk(inner, (*place, index))
    else:
        yield place, value


def map_leaves(function: Callable[[Any], Any], value: Any) -> Any:
    """``value`` with every component replaced by ``function`` of it."""
    if isinstance(value, dict):
        return {key: map_leaves(function, inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(map_leaves(function, inner) for inner in value)
    if isinstance(value, list):
        return [map_leaves(function, inner) for inner in value]
    return function(value)


def _array_kind(value: dict[Any, Any]) -> type[Closed] | None:
    """The kind of array that a mapping stands for; None for a structure, also one with a component called array."""
    if isinstance(value.get("npy"), str):
        return NpyArray
    if isinstance(value.get("npz"), str):
        return NpzArray
    made = value.get("array")
    if isinstance(made, dict) and made.keys() & Filling.model_fields.keys():
        return MadeArray
    return written_array(value)


def _components(value: Any, place: Place, problems: Problems) -> Any:
    if isinstance(value, dict):
        kind = _array_kind(value)
        if kind is not None:
            return problems.read(kind.model_validate, value, *place)
        for key in value:
            if not isinstance(key, str):
                problems.add((*place, str(key)), mismatch(key, "component", "a component's name (text)"))
        return {key: _components(inner, (*place, key), problems) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        inner = [_components(item, (*place, index), problems) for index, item in enumerate(value)]
        return tuple(inner) if _holds_components(value) else inner
    if value is None:
        problems.add(place, mismatch(value, "tensor", "a number, text, a list or an array"), value)
    elif not isinstance(value, str | int | float | bool):
        problems.add(place, mismatch(str(value), "tensor", "a number, text, a list or an array"), value)
    return value


def _holds_components(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(isinstance(item, dict | Closed) or _holds_components(item) for item in value)
    return False


def parse_tensors(value: Any) -> Structure | OuterElement:
    """A structure of arrays and literals."""
    if isinstance(value, Structure | OuterElement):
        return value
    problems = Problems()
    result = _components(value, (), problems)
    problems.raise_if_any()
    return Structure(result)


def parse_constant(value: Any) -> Any:
    """An argument of a function: a literal (null too), an array, or lists and mappings of them."""
    if value is None or isinstance(value, Closed):
        return value
    problems = Problems()
    result = _components(map_leaves(lambda leaf: _NULL if leaf is None else leaf, value), (), problems)
    problems.raise_if_any()
    return map_leaves(lambda leaf: None if isinstance(leaf, str) and leaf == _NULL else leaf, result)


_NULL = "\0null"


@dataclass(frozen=True)
class TensorSpec:
    """Shape and dtype of one component."""

    shape: tuple[int | None, ...] | None
    dtype: str
    kind: str = "dense"
    """dense, ragged or sparse."""
    ragged_rank: int | None = None

    def made(self, tf: Any) -> Any:
        """TensorFlow's own object."""
        dtype = tf.as_dtype(str(self.dtype))
        if self.kind == "sparse":
            return tf.SparseTensorSpec(self.shape, dtype)
        if self.kind == "ragged":
            return tf.RaggedTensorSpec(self.shape, dtype, ragged_rank=self.ragged_rank)
        return tf.TensorSpec(self.shape, dtype)


_OptionalShape = Annotated[
    tuple[int | None, ...] | None, Checked(lambda value: None if value is None else check_shape(value))
]


class _TensorSpecModel(Closed):
    shape: _OptionalShape
    dtype: Annotated[str, Checked(check_dtype)]


class _RaggedSpecModel(_TensorSpecModel):
    ragged_rank: NotNegative | None = None


class _KindModel(Closed):
    ragged: _RaggedSpecModel | None = None
    sparse: _TensorSpecModel | None = None


def _leaves(value: Any, is_leaf: Callable[[Any], bool], check: Callable[[Any], Any], expected: str) -> Structure:
    """A structure whose leaves are recognised by ``is_leaf`` and checked by ``check``."""
    problems = Problems()

    def visit(value: Any, place: Place) -> Any:
        if is_leaf(value):
            return problems.read(check, value, *place, instead=("structure", expected))
        if isinstance(value, dict):
            return {key: visit(inner, (*place, key)) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return tuple(visit(inner, (*place, index)) for index, inner in enumerate(value))
        problems.add(place, mismatch(value, "structure", expected), value)
        return None

    result = value.value if isinstance(value, Structure) else visit(value, ())
    problems.raise_if_any()
    return Structure(result)


def _check_tensor_spec(value: Any) -> TensorSpec:
    if value.keys() & {"ragged", "sparse"}:
        other = _KindModel.model_validate(value)
        if other.sparse is not None:
            return TensorSpec(other.sparse.shape, other.sparse.dtype, "sparse")
        ragged = _RaggedSpecModel.model_validate(value["ragged"])
        rank = ragged.ragged_rank if ragged.ragged_rank is not None else _ragged_rank(ragged.shape)
        return TensorSpec(ragged.shape, ragged.dtype, "ragged", rank)
    model = _TensorSpecModel.model_validate(value)
    return TensorSpec(model.shape, model.dtype)


def _ragged_rank(shape: tuple[int | None, ...] | None) -> int | None:
    """TensorFlow's default ragged rank; None for an unknown shape."""
    return None if shape is None else max(len(shape) - 1, 0)


def _is_tensor_spec(item: Any) -> bool:
    if not isinstance(item, dict) or not item:
        return False
    of_kind = item.keys() in ({"ragged"}, {"sparse"}) and all(
        isinstance(inner, dict) and "dtype" in inner and isinstance(inner["dtype"], str) for inner in item.values()
    )
    return of_kind or item.keys() <= {"shape", "dtype"}


def parse_signature(value: Any) -> Structure:
    """A structure of ``{shape, dtype}``."""
    return _leaves(value, _is_tensor_spec, _check_tensor_spec, "a mapping with shape and dtype, or a structure of them")


def _is_shape(item: Any) -> bool:
    return isinstance(item, list | tuple) and all(part is None or is_integer(part) for part in item)


@dataclass(frozen=True)
class ShapeOf:
    """Shape of one component; None when nothing is known about it."""

    dimensions: tuple[int | None, ...] | None


def _check_padded_shape(item: Any) -> ShapeOf:
    return ShapeOf(None if item is None else check_shape([None if part == -1 else part for part in item]))


def _structure_of(
    is_leaf: Callable[[Any], bool], check: Callable[[Any], Any], expected: str, schema: dict[str, Any]
) -> Checked:
    return Checked(lambda value: _leaves(value, is_leaf, check, expected), schema)


_ANYTHING: dict[str, Any] = {}
Tensors = Annotated[Structure | OuterElement, Checked(parse_tensors, {SCHEMA_PLACEHOLDER: "tensors"})]
Constant = Annotated[Any, Checked(parse_constant, _ANYTHING)]
Signature = Annotated[Structure, Checked(parse_signature, {SCHEMA_PLACEHOLDER: "signature"})]
Shapes = Annotated[
    Structure,
    _structure_of(
        lambda item: item is None or _is_shape(item),
        _check_padded_shape,
        "a shape such as [null, 3], or a structure of shapes",
        {SCHEMA_PLACEHOLDER: "shapes"},
    ),
]
"""A list of numbers and nulls (or -1) is a shape, any other list a tuple."""
Dtypes = Annotated[
    Structure,
    _structure_of(
        lambda item: isinstance(item, str),
        check_dtype,
        "a dtype such as float32, or a structure of them",
        {SCHEMA_PLACEHOLDER: "dtypes"},
    ),
]
Scalars = Annotated[
    Structure,
    _structure_of(
        lambda item: item is None or isinstance(item, str | int | float),
        lambda item: item,
        "a number or text, or a structure of them",
        _ANYTHING,
    ),
]
"""Numbers, texts and flags; null stands for TensorFlow's default."""
