"""Plain records of a pipeline's graph and performance model, and of a tf.data service that it reads from.

Graph and model are JSON as they stand, so that a worker can send them to its parent and tests can keep them in files.
A record holds structure, small numbers and the names of files that a reader of CSV opens, no other contents of tensors.

**Graph** (`GraphDict`): one serialised ``tf.data.Dataset``, as written or as TensorFlow would run it. Its nodes are
datasets; constants, captured tensors and the ops inside map functions are folded into the node they belong to.
Datasets that a function makes (``interleave``, ``flat_map``) are nodes of their own with ``owner`` and ``depth``;
their ids are ``<owner>::<function>::<node>``. ``root`` is None when there is no graph, and ``reason`` then says why.

**Model** (`ModelDict`): one snapshot of the model that ``autotune`` keeps of a running iterator. Its nodes are
iterators, and they carry no user names. What the numbers mean (tried on TensorFlow 2.21):

- ``processing_time``: nanoseconds inside this iterator alone, without its inputs (self time, not cumulative), summed
  over threads. It is wall time: sleeping and waiting for a core inside a map function count, waiting for an input or
  a full buffer does not. One exception: while a ``shuffle`` fills its buffer, the input's time is counted by the
  shuffle as well.
- All counters grow from the moment the iterator was made. ``repeat``, ``interleave`` and ``flat_map`` make their
  inner iterators anew for every epoch or element; the old ones vanish from the model and take their counters with
  them.
- An iterator that has ended drops its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict, TypeVar

from pipeprof.pipelines.wire import VARINT, DamagedError, read_fields


class _SomeFunctions(TypedDict, total=False):
    """Fields that only some functions have."""

    steady: list[str]  # op types that depend on no random numbers; missing of a function that draws none
    by_number: bool  # its random numbers are drawn for each number of an element apart; missing as before
    seeded: bool  # a seed of an op or of the program fixes its random numbers; missing where that is not known
    writes: str  # an op inside that writes files; missing where there is none
    tokens: list[str]  # what TensorFlow knows the Python functions by that it calls; missing where it calls none


class FunctionDict(_SomeFunctions):
    """Facts of a dataset's functions and all functions they call, without functions of datasets inside.

    Components are counted as TensorFlow flattens them: keys of a dict in alphabetical order.
    """

    ops: list[str]  # op types inside, sorted, each once; constants and ops that only pass values on are left out
    constant_bytes: int  # bytes of the constants inside, also those that datasets inside read; captured tensors are not
    python: bool  # a call runs Python
    random: bool | None  # it draws random numbers; None where Python may
    elementwise: bool | None  # it means the same on a batch; None where shapes are not known
    reads: list[int] | None  # components of the input that its ops read; None where there is no single input
    passes: list[int | None] | None  # for each component of the result, the one of the input that it is, unchanged


class NodeDict(TypedDict):
    """One dataset in a graph."""

    id: str
    op: str  # TensorFlow's op, e.g. "ParallelMapDatasetV2"
    name: str | None  # the user's `name=`, or None
    key: str | None  # the name TensorFlow carries, also when it made it up itself ("MapDataset:7"); joins two graphs
    inputs: list[str]  # ids of the dataset nodes it reads, in order
    owner: str | None  # id of the node whose function makes this dataset
    depth: int  # 0 in the pipeline itself, 1 inside a function of it, …
    functions: list[str]  # its functions' names in the graph, by attribute name
    calls: list[str]  # these and all functions they call; functions of datasets inside are theirs
    bodies: list[str]  # ids of the datasets that its functions return
    arguments: dict[str, Any]  # small constants by TensorFlow's names; -1 can mean AUTOTUNE
    stateful_op: str | None  # the first op with state in its functions: such a map is not made parallel
    stateful: bool  # TensorFlow's own flag on the function; also set by assertions and by datasets inside
    ops: dict[str, str]  # nodes inside its functions: path -> op; bounded
    output_types: list[str]
    output_shapes: list[list[int | None] | None]
    files: bool  # its elements are names of files (`list_files`, a reader's list)
    function: FunctionDict | None  # what its functions do, None if it has none
    held_bytes: int | None  # bytes of the tensors it reads: of a source in memory, or captured; None if not known
    length: int | None  # of a source in memory: how many elements it has
    constant: bool | None  # of a source in memory: its tensors are constants of a graph, that is, made while traced


def dataset_node(identity: str, op: str, inputs: list[str], owner: str | None = None, depth: int = 0) -> NodeDict:
    """Build the record of a dataset when only its op and inputs are known."""
    return {
        "id": identity,
        "op": op,
        "name": None,
        "key": None,
        "inputs": inputs,
        "owner": owner,
        "depth": depth,
        "functions": [],
        "calls": [],
        "bodies": [],
        "arguments": {},
        "stateful_op": None,
        "stateful": False,
        "ops": {},
        "output_types": [],
        "output_shapes": [],
        "files": False,
        "function": None,
        "held_bytes": None,
        "length": None,
        "constant": None,
    }


class _ReadGraph(TypedDict, total=False):
    """Fields of a graph that could be read."""

    options: dict[str, Any]  # tf.data.Options that are set, by dotted path (`threading.private_threadpool_size`)
    keys: list[str] | None  # names of the components of the pipeline's elements: dotted keys or indices


class GraphDict(_ReadGraph):
    """A serialised dataset."""

    root: str | None
    reason: str | None
    nodes: list[NodeDict]  # inputs before the nodes that read them, a function's datasets after their owner


class MadeDict(TypedDict):
    """An in-memory source observed during the build: one call of ``from_tensor_slices`` or ``from_tensors``."""

    method: str
    types: list[str]
    shapes: list[list[int | None] | None]  # of each component; None for an unknown rank or dimension
    elements: int | None
    traced: bool
    file: str | None
    line: int | None


class ConstantDict(TypedDict):
    """An array that became a constant of a graph; see `observe.without_arrays.ObservedConstant`."""

    bytes: int
    dtype: str
    shape: list[int]
    file: str | None
    line: int | None
    node: str | None  # id of the dataset whose function has it, in the graph as written; None where that is not known


class CallerDict(TypedDict):
    """A frame of the user's that led to a place."""

    file: str
    line: int
    function: str


class PlaceDict(TypedDict):
    """Place of a dataset's creation in the user's files: the innermost frame there, and its callers."""

    file: str
    line: int
    column: int | None  # of the method's name, from 1; None where Python does not provide it
    call: str | None  # the name: one call may make several datasets, `bucket_by_sequence_length` for instance
    function: str
    callers: list[CallerDict]  # from the inside out; bounded
    given: str | None  # name of the Python function that it was made with, `decode` in `map(decode)`
    library: CallerDict | None  # the frame of a library that made it for the user's code
    made: int | None  # the same for all datasets of a graph that the program made at once


class ParameterDict(TypedDict):
    """A parameter of an iterator, e.g. ``parallelism`` or ``buffer_size``."""

    state_value: float  # what is in force
    tunable: bool


class ModelNodeDict(TypedDict):
    """One iterator in the model."""

    id: int
    name: str
    num_elements: int
    processing_time: int
    bytes_produced: int
    buffered_bytes: int
    buffered_elements: int
    parameters: dict[str, ParameterDict]
    ratio: float
    inputs: list[int]


class ModelDict(TypedDict):
    """A snapshot of an iterator's model."""

    output: int  # id of the node "Root"
    nodes: list[ModelNodeDict]
    ram_budget: float


_Item = TypeVar("_Item", bound=Hashable)


def base_of(reference: str) -> str:
    """Return the name of the node that a reference is to."""
    return reference.lstrip("^").partition(":")[0]


def data_inputs(node: Any) -> list[str]:
    """List the inputs of a node without control inputs."""
    return [reference for reference in node.input if not reference.startswith("^")]


def function_names(node: Any) -> Iterator[str]:
    """Yield the names of the functions that a node has as attributes, in the same order in every graph."""
    # The order of a protobuf map differs between graphs.
    for key in sorted(node.attr):
        value = node.attr[key]
        if value.func.name:
            yield value.func.name
        yield from (function.name for function in value.list.func)


def inputs_first(ends: Iterable[_Item], reads: Callable[[_Item], Iterable[_Item]]) -> Iterator[_Item]:
    """Yield all nodes that some nodes need, each once; iterative, because pipelines in loops grow long.

    Example:
        >>> list(inputs_first("a", {"a": "bc", "b": "c", "c": ""}.__getitem__))
        ['c', 'b', 'a']
    """
    seen: set[_Item] = set()
    todo = [(end, False) for end in ends]
    while todo:
        node, ready = todo.pop()
        if ready:
            yield node
        elif node not in seen:
            seen.add(node)
            todo.append((node, True))
            todo.extend((below, False) for below in reads(node))


POLICIES: Final = ("OFF", "DYNAMIC", "FILE", "DATA", "FILE_OR_DATA", "HINT")
"""TensorFlow's sharding policies by their numbers in a `ProcessingModeDef`."""
COMPRESSIONS: Final[Mapping[int, str | None]] = {1: None, 2: "AUTO", 3: "SNAPPY"}
"""Arguments `compression` of TensorFlow's API by their numbers in a `DataServiceMetadata`."""
UNKNOWN: Final = "unknown"
_COMPRESSION: Final = 2
"""Number of that field."""


@dataclass(frozen=True)
class ServiceFacts:
    """A tf.data service as a dataset reads from it; None for what the graph does not have or TensorFlow chooses."""

    address: str | None
    mode: str | None
    job_name: str | None = None
    consumer_index: int | None = None
    num_consumers: int | None = None
    max_outstanding_requests: int | None = None
    cross_trainer_cache: bool = False
    target_workers: str | None = None

    @property
    def shares(self) -> tuple[str, ...]:
        """The arguments by which this reader takes its elements from what others read as well."""
        given = (
            ("job_name", self.job_name is not None),
            ("num_consumers", self.num_consumers is not None),
            ("cross_trainer_cache", self.cross_trainer_cache),
        )
        return tuple(name for name, holds in given if holds)


def service_facts(arguments: Mapping[str, Any]) -> ServiceFacts:
    """Read the arguments of a dataset whose elements the workers of a service make, as `NodeDict` has them."""

    def number(name: str) -> int | None:
        value = arguments.get(name)
        return value if isinstance(value, int) and value >= 0 else None

    return ServiceFacts(
        address=arguments.get("address"),
        mode=_mode(arguments.get("processing_mode")),
        job_name=arguments.get("job_name") or None,
        consumer_index=number("consumer_index"),
        num_consumers=number("num_consumers"),
        max_outstanding_requests=number("max_outstanding_requests"),
        cross_trainer_cache=bool(arguments.get("cross_trainer_cache_options")),
        target_workers=arguments.get("target_workers"),
    )


def _mode(text: object) -> str | None:
    """The policy in a `ProcessingModeDef`, whose only field is its number; text where it was read as text."""
    if not isinstance(text, str):
        return None
    number = _number(text.encode(), 1) or 0
    return POLICIES[number] if number < len(POLICIES) else None


def compression(metadata: bytes) -> str | None:
    """How the elements of a registered dataset are compressed, by the argument of TensorFlow's API; else `UNKNOWN`."""
    return COMPRESSIONS.get(_number(metadata, _COMPRESSION) or 0, UNKNOWN)


def _number(message: bytes, field: int) -> int | None:
    try:
        return next(
            (
                read.value
                for read in read_fields(message, 0, len(message))
                if (read.number, read.kind) == (field, VARINT)
            ),
            None,
        )
    except DamagedError:
        return None
