"""What was seen of a dataset when it was made, and a pipeline's graph drawn from that (worker only: needs TensorFlow).

Drawing costs nothing: a run that dies before the graph could be read can still name its stages.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipeprof.pipelines.graph.opnames import argument_names
from pipeprof.pipelines.graph.read.graphdef import ATTRIBUTES
from pipeprof.pipelines.graph.read.records import FunctionDict, GraphDict, NodeDict, dataset_node, inputs_first
from pipeprof.pipelines.graph.stages import UNPACKS
from pipeprof.pipelines.meaning.executed_ops import family
from pipeprof.pipelines.meaning.traits import traits

_SMALL: Final = 1000
_MOST_DEPTH: Final = 8
_MOST_ARGUMENTS: Final = 12
_CAPTURES: Final = ("other_arguments", "other_args")
"""Ends of the names of the arguments that are tensors which a function captures."""
_UNPACKING: Final = FunctionDict(
    ops=[UNPACKS], constant_bytes=0, python=False, random=False, elementwise=False, reads=None, passes=None
)


@dataclass(frozen=True)
class Spot:
    """A frame of the user's: `end` is where the call ends, in line and UTF-8 bytes, where Python tells."""

    file: str
    line: int
    function: str
    end: tuple[int, int] | None = None


@dataclass(frozen=True)
class Facts:
    """What groups datasets into the stages of their user."""

    functions: tuple[str, ...] = ()
    stop: Any = None
    """Where numbers end, as a number or a tensor."""
    files: bool = False
    """Its elements are names of files."""
    unpacks: bool = False
    """It unpacks what a tf.data service gives."""
    python: bool = False
    seeds: tuple[Any, Any] | None = None


@dataclass(frozen=True, eq=False)
class CreatedDataset:
    """An observed dataset.

    Attributes:
        reads: The datasets it reads, in order; None for a tensor that may be one, but whose creation was not observed.
        arguments: What the op was given, `kept`; None while a function was traced.
        library: The frame of a library that made it for the user's code.
        inputs: The datasets that it reads; those that its functions capture are not among them.
        bodies: The datasets that its functions return.
    """

    op: str
    spots: tuple[Spot, ...]
    name: str | None
    reads: tuple[CreatedDataset | None, ...] = field(repr=False)
    arguments: Mapping[str, Any] | None = field(default=None, repr=False)
    functions: tuple[int, ...] = ()
    given: str | None = None
    library: Spot | None = None
    inputs: tuple[CreatedDataset | None, ...] = field(default=(), repr=False)
    bodies: tuple[CreatedDataset, ...] = field(default=(), repr=False)
    function: weakref.ref[Any] | None = field(default=None, repr=False)
    facts: Facts = field(default=Facts(), repr=False)


class Variant:
    """Placeholder for a tensor argument that may be a dataset."""


class Weak:
    """An argument that is not kept alive; of a tensor its spec."""

    def __init__(self, value: Any, spec: Any = None) -> None:
        try:
            self.get: Callable[[], Any] = weakref.ref(value)
        except TypeError:
            self.get = lambda: None
        self.spec = spec


def is_variant(value: Any) -> bool:
    """Return whether the value is a variant tensor, which may be a dataset."""
    import tensorflow as tf

    return isinstance(value, tf.Tensor) and bool(value.dtype == tf.variant)


def kept(value: Any) -> Any:
    """Return an op's argument for storage: nothing large is kept alive."""
    import tensorflow as tf

    if is_variant(value):
        return Variant
    if isinstance(value, (list, tuple)):
        return [kept(item) for item in value]
    if isinstance(value, tf.types.experimental.ConcreteFunction):
        return Weak(value)
    if isinstance(value, tf.Tensor):
        count = value.shape.num_elements()
        # While a shuffle's seed generator lives, TensorFlow keeps a copy of the array that was converted before.
        small = count is not None and count <= _SMALL and value.dtype != tf.resource
        return value if small else Weak(value, tf.TensorSpec.from_tensor(value))
    return value


def nbytes(tensor: Any) -> int:
    """Return the bytes of a tensor, or of one with a spec; 0 for strings, variants and handles."""
    import tensorflow as tf

    without_size = (tf.string, tf.variant, tf.resource)
    return 0 if tensor.dtype in without_size else int(tensor.dtype.size * (tensor.shape.num_elements() or 0))


def held_in_memory(made: CreatedDataset) -> tuple[int | None, int | None]:
    """Return the bytes of the tensors of a source in memory, and the rows of the first one; None where not known."""
    import tensorflow as tf

    components = (made.arguments or {}).get("components") if traits(made.op).in_memory else None
    if not isinstance(components, list) or not components:
        return None, None
    specs = [component.spec if isinstance(component, Weak) else component for component in components]
    if any(not isinstance(spec, (tf.TensorSpec, tf.Tensor)) for spec in specs):
        return None, None
    return sum(map(nbytes, specs)), int(specs[0].shape[0]) if specs[0].shape.rank else None


def captured(made: CreatedDataset) -> list[Weak]:
    """Return the large tensors that the functions of a dataset capture."""
    values = [value for name, value in (made.arguments or {}).items() if name.endswith(_CAPTURES)]
    items = [item for value in values if isinstance(value, list) for item in value]
    return [item for item in items if isinstance(item, Weak) and nbytes(item.spec)]


def datasets_of(end: CreatedDataset) -> Iterator[CreatedDataset]:
    """Yield all datasets of a pipeline, each once, inputs first, with those that its functions capture."""
    return inputs_first([end], lambda made: [below for below in made.reads if below is not None])


def draw(end: CreatedDataset | None) -> tuple[GraphDict, dict[str, CreatedDataset]]:
    """Draw the pipeline that ends with a dataset, without nodes for None; return also its datasets by their ids."""
    if end is None:
        return {"root": None, "reason": "how the dataset was made was not seen", "nodes": []}, {}
    nodes: list[NodeDict] = []
    created: dict[str, CreatedDataset] = {}
    root = _draw(end, nodes, created)
    return {"root": root, "reason": None, "nodes": nodes, "options": {}, "keys": None}, created


def _draw(
    end: CreatedDataset,
    nodes: list[NodeDict],
    created: dict[str, CreatedDataset],
    owner: str | None = None,
    depth: int = 0,
) -> str:
    """Add a pipeline with all that it reads; return the id of its last dataset."""
    ids: dict[CreatedDataset, str] = {}
    for made in inputs_first([end], lambda one: [below for below in one.inputs if below is not None]):
        ids[made] = identity = str(len(nodes))
        created[identity] = made
        given = made.arguments or {}
        held, length = held_in_memory(made)
        types = given.get("output_types") or given.get("Toutput_types") or ()
        record: NodeDict = {
            **dataset_node(identity, made.op, [ids[one] for one in made.inputs if one is not None], owner, depth),
            "name": made.name,
            "key": made.name,
            "functions": [*made.facts.functions],
            "arguments": _arguments(made),
            "output_types": [str(one.name) for one in types],
            "output_shapes": [shape_of(one) for one in given.get("output_shapes") or ()],
            "files": made.facts.files,
            "function": _UNPACKING if made.facts.unpacks else None,
            "held_bytes": held,
            "length": 1 if family(made.op) == "Tensor" else length,
        }
        nodes.append(record)
        if depth < _MOST_DEPTH:
            record["bodies"] += [_draw(body, nodes, created, identity, depth + 1) for body in made.bodies]
    return ids[end]


def _arguments(made: CreatedDataset) -> dict[str, Any]:
    names = {name for count in range(_MOST_ARGUMENTS) for name in argument_names(made.op, count)} | {*ATTRIBUTES}
    given = {"stop": made.facts.stop, **(made.arguments or {})}
    plain = {name: plain_argument(value) for name, value in given.items() if name in names}
    return {name: value for name, value in plain.items() if value is not None}


def plain_argument(value: Any) -> int | bool | str | None:
    """Return one number, truth value or short text as Python has it; None for anything else."""
    import tensorflow as tf

    if isinstance(value, tf.Tensor):
        if tf.is_symbolic_tensor(value) or value.shape.num_elements() != 1 or value.dtype in (tf.variant, tf.resource):
            return None
        value = value.numpy()
        value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value if isinstance(value, (bool, int, str)) else None


def shape_of(shape: Any) -> list[int | None] | None:
    """Return a shape of TensorFlow's as plain data; None for an unknown rank or dimension."""
    rank = getattr(shape, "rank", None)
    return None if rank is None else [None if size is None else int(size) for size in shape.as_list()]
