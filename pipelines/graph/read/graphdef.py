"""Conversion of TensorFlow's ``GraphDef`` to a `GraphDict`, without TensorFlow itself."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from pipeprof.pipelines.addresses import ADDED
from pipeprof.pipelines.graph.opnames import argument_names, is_option
from pipeprof.pipelines.graph.read.function_facts import CALLS, SILENT, FunctionFacts, random_part
from pipeprof.pipelines.graph.read.records import (
    FunctionDict,
    GraphDict,
    NodeDict,
    base_of,
    data_inputs,
    function_names,
)
from pipeprof.pipelines.meaning.executed_ops import family, is_dataset
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.tables import read_table
from pipeprof.pipelines.wire import LENGTH, VARINT, DamagedError, read_fields

_AUTOMATIC = re.compile(rf"\w*Dataset(?:V\d+)?:\d+|{ADDED}_\w+")
_STATEFUL = re.compile(
    r"PyFunc|EagerPyFunc|Random(?:Uniform(?:Int)?|StandardNormal|Shuffle|Gamma|Poisson(?:V2)?|Crop)"
    r"|(?:Parameterized)?TruncatedNormal|Multinomial|SampleDistortedBoundingBox\w*"
    r"|Stateful(?!PartitionedCall)\w+|Rng\w+|NonDeterministicInts"
    r"|VarHandleOp|(?:Read|Assign\w*)VariableOp|Resource(?:Gather|Scatter)\w*|Variable(?:V2)?"
    r"|\w*HashTable(?:V2)?|Print(?:V2)?|WriteFile|LookupTable\w+V2|CheckNumerics(?:V2)?|\w*CandidateSampler|Timestamp|TensorArray(?:V3|\w+V3)"
)
_PASSING = ("Identity", "FinalizeDataset", "WrapDatasetVariant", "UnwrapDatasetVariant")
ATTRIBUTES = (
    "deterministic", "reshuffle_each_iteration", "drop_remainder", "preserve_cardinality", "force_synchronous",
    "data_transfer_protocol", "target_workers", "cross_trainer_cache_options",
)  # fmt: skip
_MAX_OPS: Final = 2000
_MAX_DEPTH: Final = 20
_MAX_TEXT: Final = 200
_FIRST_DEFAULT: Final = 8
"""Index of the first input of the reader of CSV files that is the default value of a column."""
_DTYPES: Final = {1: "float32", 2: "float64", 3: "int32", 7: "string", 9: "int64"}
"""Types of columns by their numbers in a graph."""
_PLAIN: Final = frozenset({1, 3})
"""Of those, the ones that numbers of Python become."""
_MOST_FILES: Final = 100
_POLICIES: Final = {-1: "OFF", 0: "AUTO", 1: "FILE", 2: "DATA", 3: "HINT"}
"""Names of tf.data.experimental.AutoShardPolicy."""
_NONE: Final[Mapping[str, str]] = {}


def read_options(message: bytes) -> dict[str, bool | int | str]:
    """Return the options that are set, by dotted path; those that pipeprof does not use are left out."""
    return dict(_read(message, ()))


@cache
def _options() -> dict[tuple[int, ...], tuple[str, Callable[[int], bool | int | str]]]:
    """The options by the numbers of the fields that lead to them, each with what its value is made by."""
    kinds: dict[str, Callable[[int], bool | int | str]] = {"bool": bool, "int": int, "policy": _policy}
    rows = read_table("pipeprof.pipelines.graph.read", "options")
    return {tuple(numbers): (path, kinds[kind]) for path, (kind, numbers) in rows.items()}


def _policy(number: int) -> str:
    return _POLICIES.get(number, str(number))


def _read(message: bytes, at: tuple[int, ...]) -> Iterator[tuple[str, bool | int | str]]:
    with suppress(DamagedError):
        for read in read_fields(message, 0, len(message)):
            place = (*at, read.number)
            if read.kind == LENGTH:
                yield from _read(message[read.begin : read.end], place)
            elif read.kind == VARINT and place in _options():
                path, kind = _options()[place]
                yield path, kind(read.value - (1 << 64) if read.value >= 1 << 63 else read.value)


@dataclass(frozen=True)
class _GraphScope:
    """The graph itself, or the body of one function."""

    members: dict[str, Any]
    ids: dict[str, str]
    """Ids of datasets by local name; also those of calls that return a dataset."""
    owner: str | None
    depth: int
    given: Mapping[str, str] = field(default_factory=dict)
    """Datasets outside that a function captures, by the names of its arguments."""

    def follow(self, reference: str) -> str | None:
        """Return the dataset behind ``reference``, looking through ops that only pass it on."""
        for _ in range(_MAX_DEPTH):
            name = base_of(reference)
            node = self.members.get(name)
            if reference.startswith("^"):
                return None
            if node is None:
                return self.given.get(name)
            if node.op not in _PASSING or not node.input:
                return self.ids.get(name)
            reference = node.input[0]
        return None


class GraphDefReader:
    """Reads one ``GraphDef``."""

    def __init__(self, graph: Any, dtype_name: Callable[[int], str]) -> None:
        self._graph = graph
        self._dtype_name = dtype_name
        self._functions = {function.signature.name: function for function in graph.library.function}
        self._facts = FunctionFacts(self._functions, dtype_name)
        self._nodes: list[NodeDict] = []
        self._by_id: dict[str, NodeDict] = {}
        self._marks: dict[str, dict[str, Any]] = {}

    def read(self) -> GraphDict:
        """Return the whole graph."""
        scope = self._scope({node.name: node for node in self._graph.node}, prefix="", owner=None, depth=0)
        returned = next((node for node in self._graph.node if node.op == "_Retval"), None)
        root = scope.follow(returned.input[0]) if returned is not None and returned.input else None
        reason = None if root is not None else "the graph returns no dataset"
        return {
            "root": root,
            "reason": reason,
            "nodes": self._nodes if root is not None else [],
            "options": self._options(root),
            "keys": None,
        }

    def _options(self, root: str | None) -> dict[str, Any]:
        found: dict[str, Any] = {}
        todo, seen = [root], set[str | None]()
        while todo:
            identity = todo.pop(0)
            if identity is None or identity in seen or identity not in self._by_id:
                continue
            seen.add(identity)
            found = {**self._marks.get(identity, {}), **found}
            todo.extend(self._by_id[identity]["inputs"])
        return found

    def _scope(
        self, members: dict[str, Any], prefix: str, owner: str | None, depth: int, given: Mapping[str, str] = _NONE
    ) -> _GraphScope:
        ids = {name: prefix + name for name, node in members.items() if is_dataset(node.op)}
        scope = _GraphScope(members, ids, owner, depth, given)
        if depth > _MAX_DEPTH:
            return scope
        for name, node in members.items():
            if node.op in CALLS:
                root = self._body(node.attr["f"].func.name, f"{prefix}{name}/", owner, depth)
                if root is not None:
                    ids[name] = root
        for node in members.values():
            if is_dataset(node.op) and node.op not in _PASSING:
                self._dataset(node, scope)
        return scope

    def _dataset(self, node: Any, scope: _GraphScope) -> None:
        functions = list(function_names(node))
        inner = list(self._called_functions(functions))
        key = metadata_name(node.attr["metadata"].s if "metadata" in node.attr else b"")
        identity = scope.ids[node.name]
        record: NodeDict = {
            "id": identity,
            "op": node.op,
            "name": given_name(key),
            "key": key,
            "inputs": [found for input_ in node.input if (found := scope.follow(input_)) is not None],
            "owner": scope.owner,
            "depth": scope.depth,
            "functions": functions,
            "calls": inner,
            "bodies": [],
            "arguments": _arguments(node, scope.members),
            "stateful_op": self._stateful_op(inner),
            "stateful": any(self._functions[name].signature.is_stateful for name in inner),
            "ops": self._ops(inner),
            "output_types": [self._dtype_name(type_) for type_ in _types(node)],
            "output_shapes": [_shape(length) for length in node.attr["output_shapes"].list.shape],
            "files": bool(node.attr["is_files"].b) if "is_files" in node.attr else False,
            "function": self._function(node, scope, inner) if inner else None,
            "held_bytes": self._held_bytes(node, scope.members),
            "length": _length(node, scope.members),
            "constant": _constant(node, scope),
        }
        self._nodes.append(record)
        self._by_id[identity] = record
        if is_option(node.op) and "serialized_options" in node.attr:
            self._marks[identity] = dict(read_options(node.attr["serialized_options"].s))
        captured = self._captured_datasets(node, functions, scope)
        for name in functions:
            root = self._body(name, f"{identity}::{name}::", identity, scope.depth + 1, captured)
            if root is not None:
                record["bodies"].append(root)
        # Inputs of the function are not inputs of the dataset itself.
        read = {name for other in self._nodes if other["owner"] == identity for name in other["inputs"]}
        record["inputs"] = [name for name in record["inputs"] if name not in captured.values() or name not in read]

    def _captured_datasets(self, node: Any, functions: list[str], scope: _GraphScope) -> dict[str, str]:
        definition = self._functions.get(functions[0]) if len(functions) == 1 else None
        count = len(node.attr["Targuments"].list.type) if "Targuments" in node.attr else 0
        if definition is None or not count:
            return {}
        names = [one.name for one in definition.signature.input_arg][-count:]
        found = {name: scope.follow(one) for name, one in zip(names, node.input[1 : count + 1], strict=False)}
        return {name: one for name, one in found.items() if one is not None}

    def _body(
        self, function: str, prefix: str, owner: str | None, depth: int, given: Mapping[str, str] = _NONE
    ) -> str | None:
        definition = self._functions.get(function)
        if definition is None or depth > _MAX_DEPTH:
            return None
        members = {node.name: node for node in definition.node_def}
        if not any(is_dataset(node.op) or node.op in CALLS for node in members.values()):
            return None
        scope = self._scope(members, prefix, owner, depth, given)
        found = (scope.follow(one) for one in definition.ret.values())
        return next((name for name in found if name is not None), None)

    def _called_functions(self, functions: list[str]) -> Iterator[str]:
        seen: set[str] = set()
        todo = list(reversed(functions))
        while todo:
            name = todo.pop()
            if name in seen or name not in self._functions:
                continue
            seen.add(name)
            yield name
            for node in self._functions[name].node_def:
                if not is_dataset(node.op):
                    todo.extend(function_names(node))

    def _function(self, node: Any, scope: _GraphScope, called: list[str]) -> FunctionDict:
        ranks = self._element_ranks(node, scope) if traits(node.op).single_function else None
        captured = node.input[1:] if ranks is not None else ()
        consts = [scope.members.get(base_of(never)) for never in captured[: len(node.attr["Targuments"].list.type)]]
        facts = self._facts.read(called, ranks, [_rank(const) for const in consts])
        if facts["random"] and ranks is not None:
            part = random_part(self._functions, self._functions[called[0]])
            facts["steady"], facts["by_number"] = part.steady_ops, part.by_number
        return facts

    def _element_ranks(self, node: Any, scope: _GraphScope) -> list[int | None] | None:
        below = scope.follow(node.input[0])
        record = self._by_id.get(below) if below is not None else None
        return None if record is None else [None if one is None else len(one) for one in record["output_shapes"]]

    def _held_bytes(self, node: Any, members: dict[str, Any]) -> int | None:
        sources = [members.get(base_of(input_)) for input_ in data_inputs(node)]
        if traits(node.op).in_memory and any(source is None or source.op != "Const" for source in sources):
            return None
        consts = (source for source in sources if source is not None and source.op == "Const")
        return sum(self._facts.bytes_of(const.attr["value"].tensor) for const in consts)

    def _stateful_op(self, functions: list[str]) -> str | None:
        ops = (node.op for name in functions for node in self._functions[name].node_def)
        return next((op for op in ops if _STATEFUL.fullmatch(op)), None)

    def _ops(self, functions: list[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in functions:
            for node in self._functions[name].node_def:
                if len(found) >= _MAX_OPS:
                    return found
                if node.op not in SILENT:
                    found.setdefault(node.name, node.op)
        return found


def _rank(node: Any | None) -> int | None:
    if node is None or node.op != "Const" or node.attr["value"].tensor.tensor_shape.unknown_rank:
        return None
    return len(node.attr["value"].tensor.tensor_shape.dim)


def _length(node: Any, members: dict[str, Any]) -> int | None:
    if family(node.op) == "Tensor":
        return 1
    if family(node.op) == "List":
        return len(node.attr["Tinput_types"].list.type) // max(1, len(node.attr["output_types"].list.type))
    source = members.get(base_of(node.input[0])) if family(node.op) == "TensorSlice" and node.input else None
    if source is None or not _rank(source):
        return None
    return int(source.attr["value"].tensor.tensor_shape.dim[0].size)


def _constant(node: Any, scope: _GraphScope) -> bool | None:
    """Return whether a source's tensors are graph constants; None outside functions (not in the graph)."""
    if not traits(node.op).in_memory or scope.owner is None:
        return None
    sources = [scope.members.get(base_of(input_)) for input_ in data_inputs(node)]
    return any(source is not None and source.op == "Const" for source in sources)


def given_name(key: str | None) -> str | None:
    """The name of a dataset if a user gave it; None of one that TensorFlow, or an edit of the graph, has made.

    Example:
        >>> given_name("decode"), given_name("MapDataset:57"), given_name("pipeprof_edit_2")
        ('decode', None, None)
    """
    return None if key is None or _AUTOMATIC.fullmatch(key) else key


def metadata_name(data: bytes) -> str | None:
    """Return the name in a dataset's ``metadata``: a message whose first field (tag 10, length, bytes) is the name."""
    try:
        first = next(read_fields(data, 0, len(data)), None)
    except DamagedError:
        return None
    is_name = first is not None and (first.number, first.kind) == (1, LENGTH)
    return bytes(data[first.begin : first.end]).decode("utf-8", "replace") or None if first and is_name else None


def _types(node: Any) -> Any:
    key = "output_types" if "output_types" in node.attr else "Toutput_types"
    return node.attr[key].list.type if key in node.attr else ()


def _shape(shape: Any) -> list[int | None] | None:
    return None if shape.unknown_rank else [None if dim.size < 0 else int(dim.size) for dim in shape.dim]


def _arguments(node: Any, members: dict[str, Any]) -> dict[str, Any]:
    inputs = data_inputs(node)
    found: dict[str, Any] = {}
    for name, reference in zip(argument_names(node.op, len(inputs)), inputs, strict=True):
        source = members.get(base_of(reference))
        if name and source is not None and source.op == "Const":
            tensor = source.attr["value"].tensor
            value = _texts(tensor) if name == "filenames" else scalar(tensor)
            if value is not None:
                found[name] = value
    if family(node.op) == "CSV":
        types = node.attr["output_types"].list.type
        consts = [members.get(base_of(reference)) for reference in inputs[_FIRST_DEFAULT:][: len(types)]]
        defaults = [_default(const) for const in consts]
        if None not in defaults:
            found["record_defaults"] = defaults
    for name in ATTRIBUTES:
        if name in node.attr:
            kind = node.attr[name].WhichOneof("value")
            found[name] = (
                node.attr[name].s.decode("utf-8", "replace") if kind == "s" else getattr(node.attr[name], kind)
            )
    return found


def _default(const: Any | None) -> str | float | None:
    """Return the default value of a column as a spec has it, the dtype of one without; None where that is not clear."""
    if const is None or const.op != "Const":
        return None
    tensor = const.attr["value"].tensor
    if any(dim.size == 0 for dim in tensor.tensor_shape.dim):
        return _DTYPES.get(tensor.dtype)
    values = (*tensor.float_val, *tensor.int_val)
    return values[0] if len(values) == 1 and tensor.dtype in _PLAIN else None


def _texts(tensor: Any) -> list[str] | None:
    """Return the texts of a constant, unless they are many; of equal ones at its end TensorFlow writes the first."""
    count = math.prod(dim.size for dim in tensor.tensor_shape.dim)
    texts = [bytes(text).decode("utf-8", "replace") for text in tensor.string_val]
    return texts + texts[-1:] * (count - len(texts)) if texts and count <= _MOST_FILES else None


def scalar(tensor: Any) -> int | bool | str | None:
    """Return the value of a constant that holds one number, truth value or short text, be it the only one in a list."""
    if tensor.tensor_shape.unknown_rank or any(dim.size != 1 for dim in tensor.tensor_shape.dim):
        return None
    for values, kind in ((tensor.int64_val, int), (tensor.int_val, int), (tensor.bool_val, bool)):
        if values:
            return kind(values[0])
    if tensor.string_val:
        return bytes(tensor.string_val[0])[:_MAX_TEXT].decode("utf-8", "replace")
    raw = bytes(tensor.tensor_content)
    if len(raw) in (1, 4, 8):
        number = int.from_bytes(raw, "little", signed=True)
        return bool(number) if len(raw) == 1 else number
    return None
