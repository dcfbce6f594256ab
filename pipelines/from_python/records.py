"""Records of a build: calls of TensorFlow's public functions with inputs and results.

Tensors and datasets are numbers that link a call's result to the calls that use it; everything else is a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indices to a part of a structure."""


@dataclass(frozen=True)
class SourcePlace:
    """A line of the user's."""

    file: str
    line: int


@dataclass(frozen=True)
class RecordedTensor:
    """A tensor that is a part of the element, or a call's result; ``op`` is TensorFlow's op."""

    id: int
    op: str = field(default="", compare=False)
    dtype: str = field(default="", compare=False)


@dataclass(frozen=True)
class Dataset:
    """A dataset."""

    id: int


@dataclass(frozen=True)
class Array:
    """Known values: a NumPy array, an eager tensor.

    Attributes:
        made: ``{shape, dtype, fill}`` if a spec can make the same array.
        file: where it was loaded from: ``{npy: path}``, ``{npz: path, key: name}``.
    """

    dtype: str
    shape: tuple[int, ...]
    values: Any = None
    made: Mapping[str, Any] | None = None
    file: Mapping[str, str] | None = None
    number: int = 0


@dataclass(frozen=True)
class Dtype:
    """A dtype."""

    name: str


@dataclass(frozen=True)
class Shape:
    """A shape; None when nothing is known of it."""

    dimensions: tuple[int | None, ...] | None


@dataclass(frozen=True)
class RecordedSpec:
    """A tf.TensorSpec and its kin; ``kind`` is dense, ragged or sparse."""

    kind: str
    shape: tuple[int | None, ...] | None
    dtype: str
    ragged_rank: int | None = None


@dataclass(frozen=True)
class RecordedFeature:
    """A feature spec of tf.io; ``arguments`` are those that differ from the defaults."""

    kind: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class RecordedOptions:
    """A tf.data.Options; ``values`` holds what was set, nested by TensorFlow's names."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class RecordedKey:
    """The key of ``x[…]``: numbers, slices, Ellipsis, None, tensors."""

    items: tuple[Any, ...]
    alone: bool


@dataclass(frozen=True)
class Opaque:
    """A value that a spec cannot express; ``what`` describes it."""

    what: str


@dataclass(frozen=True)
class RecordedFunction:
    """A function of the user's.

    Attributes:
        file: Absolute path and name by which a spec can call it; None if it cannot.
        bodies: Recordings of its traces; empty if it was not observed.
    """

    name: str
    file: str | None = None
    why: str = ""
    where: SourcePlace | None = None
    bodies: tuple[RecordedBody, ...] = ()

    @property
    def body(self) -> RecordedBody | None:
        """The last one: TensorFlow may trace a function again to learn its shapes."""
        return self.bodies[-1] if self.bodies else None


@dataclass(frozen=True)
class Call:
    """A call of a public function of TensorFlow's.

    Attributes:
        name: ``map``, ``from_tensor_slices`` for sources and stages, ``tf.io.read_file`` for functions.
    """

    name: str
    kind: str
    arguments: Mapping[str, Any]
    result: Any
    where: SourcePlace | None = None
    id: int = 0
    function: RecordedFunction | None = None
    drawn: int | None = None

    @property
    def reference(self) -> str | None:
        """Return the reference by which a spec names a recorded user function."""
        return self.function.file if self.function is not None else None


@dataclass(frozen=True)
class RecordedBody:
    """Recording of a function traced by TensorFlow.

    Attributes:
        calls: In order; a ``user`` call stands behind those inside of it.
    """

    element: Any
    calls: tuple[Call, ...]
    result: Any
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecordedCalls:
    """Recording of a pipeline's build."""

    root: Dataset
    calls: Mapping[int, Call]
    users: tuple[Call, ...] = ()
    seed: int | None = None


@dataclass(frozen=True)
class Omission:
    """A part that could not be written as YAML, and why."""

    what: str
    why: str
    where: SourcePlace | None = None

    def __str__(self) -> str:
        place = f"{self.where.file}:{self.where.line}: " if self.where is not None else ""
        return f"{place}{self.what}: {self.why}"


class NotExpressible(Exception):
    """A value, call or stage cannot be expressed in a spec; the message is the reason."""


class InnerNotExpressible(NotExpressible):
    """Not expressible, of a stage of an inner pipeline; the notes have it already."""


@dataclass
class Notes:
    """Parts that could not be written as YAML so far."""

    found: list[Omission] = field(default_factory=list)
    asides: list[Omission] = field(default_factory=list)
    """Omitted parts that do not change the data."""

    def aside(self, what: str, why: str, where: SourcePlace | None) -> None:
        """Add to ``asides``, unless it is there already."""
        omission = Omission(what, why, where)
        if omission not in self.asides:
            self.asides.append(omission)

    def add(self, what: str, why: str, where: SourcePlace | None) -> None:
        """Add a part, unless it is there already."""
        omission = Omission(what, why, where)
        if omission not in self.found:
            self.found.append(omission)


def paths(value: Any, prefix: Path = ()) -> dict[int, Path]:
    """Return the path of each tensor in a structure, by the tensor's number."""
    if isinstance(value, RecordedTensor):
        return {value.id: prefix}
    known: dict[int, Path] = {}
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, tuple | list):
        items = enumerate(value)
    for key, item in items:
        for number, path in paths(item, (*prefix, key)).items():
            known.setdefault(number, path)
    return known


def field_of(path: Path) -> str | int:
    """Convert a path to the form of ``on``."""
    if len(path) == 1:
        return path[0]
    if any(not str(part) or "." in str(part) for part in path):
        raise NotExpressible("the name of a nested field has a dot")
    return ".".join(map(str, path))


def replaced_fields(state: Any, path: Path, value: Any) -> Any:
    """Copy a structure with another value at a path."""
    first, *rest = path
    if isinstance(state, dict):
        return {**state, first: replaced_fields(state[str(first)], tuple(rest), value) if rest else value}
    at = int(first)
    inner = replaced_fields(state[at], tuple(rest), value) if rest else value
    return (*state[:at], inner, *state[at + 1 :])
