"""Arrays that become constants of a graph, seen while TensorFlow traces a function (worker only: needs TensorFlow).

Size, user and name are noted when it happens: afterwards the graph has an array only as bytes, which take many times
their size to read. Arrays are neither called, copied nor kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from types import FrameType
from typing import Any, Final

from pipeprof.pipelines.graph.observe.build_hook import callers
from pipeprof.pipelines.graph.observe.created import Spot
from pipeprof.pipelines.graph.read.records import ConstantDict
from pipeprof.pipelines.late import np

NOTED_FROM: Final = 100_000
"""Bytes; every function has smaller ones."""
_MOST_FRAMES: Final = 60
_MOST_ITEMS: Final = 64
_LISTED_FROM: Final = 1_000


@dataclass(frozen=True)
class ObservedConstant:
    """An array that became a constant.

    Attributes:
        nbytes: Its size as a tensor; of texts their lengths.
        graphs: Numbers of the graph that has it and of those around that one, innermost first.
        name: The user's name for it where one is known: a variable, ``self.table`` or ``module.TABLE``.
    """

    nbytes: int
    dtype: str
    shape: tuple[int, ...]
    graphs: tuple[int, ...]
    name: str | None = None
    spot: Spot | None = None

    def to_dict(self, node: str | None) -> ConstantDict:
        """Return plain data for JSON."""
        return {
            "bytes": self.nbytes,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "name": self.name,
            "file": self.spot.file if self.spot is not None else None,
            "line": self.spot.line if self.spot is not None else None,
            "node": node,
        }


def constant_size(operation: Any) -> int | None:
    """Return the bytes of the tensor that an op of a graph holds as a constant; None for other ops."""
    if operation.type != "Const":
        return None
    tensor = operation.outputs[0]
    count = tensor.shape.num_elements() or 0
    if tensor.dtype.name != "string":
        return count * int(tensor.dtype.size)
    # Texts have no fixed size: where there are many, the op itself is read.
    return sum(map(len, operation.node_def.attr["value"].tensor.string_val)) if count >= _LISTED_FROM else 0


def name_of_array(frame: FrameType, users: Callable[[str], bool]) -> str | None:
    """Find the user's name for the array that is being converted in `frame` or its callers.

    It is the very object that TensorFlow's frames hold: nothing is compared by its value.
    """
    given: dict[int, Any] = {}
    for at in islice(chain((frame,), callers(frame)), _MOST_FRAMES):
        if not users(at.f_code.co_filename):
            for value in at.f_locals.values():
                given |= {id(part): part for part in _parts(value) if _is_large(part)}
        elif (name := _name_in(at, given)) is not None:
            return name
    return None


def _parts(value: Any) -> Sequence[Any]:
    if type(value) in (tuple, list):
        return [value, *value[:_MOST_ITEMS]]
    if type(value) is dict:
        return list(value.values())[:_MOST_ITEMS]
    return [value]


def _is_large(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return bool(value.nbytes >= NOTED_FROM)
    return type(value) in (list, tuple) and len(value) >= _LISTED_FROM


def _name_in(frame: FrameType, given: Mapping[int, Any]) -> str | None:
    """Find the name by which the code of a frame reaches one of the objects: variables first, then attributes."""
    if not given:
        return None
    names = frame.f_code.co_names
    variables = {**{name: frame.f_globals.get(name) for name in names}, **frame.f_locals}
    for name, value in variables.items():
        if id(value) in given:
            return name
    for name, value in variables.items():
        held = attributes_of(value)
        for attribute in names:
            if id(held.get(attribute)) in given:
                return f"{name}.{attribute}"
    return None


def attributes_of(value: Any) -> Mapping[str, Any]:
    """Return the attributes of an object or a module, without calling any code of its class."""
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return held if isinstance(held, Mapping) else {}
