"""Graphs as plain dicts, and their comparison node by node, names aside; needs no TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

from pipeprof.pipelines.graph.opnames import argument_names

_PASSING: Final = frozenset({"Identity", "WrapDatasetVariant", "UnwrapDatasetVariant", "FinalizeDataset"})
# Ignored attributes: names, those redundant with the rest of the graph (such as a hash of it), the handling of
# incompatible shapes that distinguishes `==` from tf.math.equal, and whether an OutOfRangeError in a function ends the
# dataset, as it does in maps of tf.compat.v1.
_ASIDE: Final = frozenset(
    {
        "incompatible_shape_error", "metadata", "token", "shared_name", "container", "config", "config_proto",
        "executor_type", "hash", "stateful_parallelism", "preserve_cardinality",
    }
)  # fmt: skip
# Attributes that count the tensors captured by a dataset's function.
_CAPTURES: Final = {
    "f": "Targuments", "predicate": "Targuments", "key_func": "Tkey_func_other_arguments",
    "reduce_func": "Treduce_func_other_arguments", "window_size_func": "Twindow_size_func_other_arguments",
    "init_func": "Tinit_func_args", "next_func": "Tnext_func_args", "finalize_func": "Tfinalize_func_args",
    "reader_func": "Treader_func_args", "shard_func": "Tshard_func_args",
}  # fmt: skip
_CALLS: Final = {"PartitionedCall": 0, "StatefulPartitionedCall": 0, "If": 1, "StatelessIf": 1, "Case": 1}
_MOST: Final = 200
_DEPTH: Final = 100
Digest = Callable[[Any], Any]


class PlainNode(TypedDict):
    """A node: op, inputs (references unchanged), attributes, and functions by attribute."""

    op: str
    inputs: list[str]
    attributes: dict[str, Any]
    functions: dict[str, list[str]]


class PlainFunction(TypedDict):
    """A function: argument names, nodes, results, and ops that must run in addition."""

    arguments: list[str]
    nodes: dict[str, PlainNode]
    returns: list[str]
    controls: list[str]


class PlainGraph(TypedDict):
    """A graph; ``root`` is the reference that it returns."""

    root: str
    nodes: dict[str, PlainNode]
    functions: dict[str, PlainFunction]


@dataclass(frozen=True)
class Difference:
    """Difference of two graphs.

    Attributes:
        node: Name of the enclosing dataset in the second graph; empty if it has none.
        seed: The first graph's random seed, where only the seeds of a stage differ.
    """

    node: str
    what: str
    seed: int | None = None


@dataclass(frozen=True)
class _Outer:
    """Argument of a function: a reference in the enclosing scope."""

    scope: _CallScope
    reference: str


@dataclass(eq=False)
class _CallScope:
    """The graph, or the body of a function as one node calls it."""

    graph: PlainGraph
    nodes: Mapping[str, PlainNode]
    arguments: dict[str, int | _Outer] = field(default_factory=dict)

    def follow(self, reference: str) -> tuple[_CallScope, str, str] | int:
        """Resolve a reference to scope, node and output, or to the number of an argument."""
        scope, at = self, reference
        for _ in range(_DEPTH):
            name, _, part = at.partition(":")
            if name in scope.arguments and name not in scope.nodes:
                given = scope.arguments[name]
                if isinstance(given, int):
                    return given
                scope, at = given.scope, given.reference
                continue
            node = scope.nodes[name]
            if node["op"] not in _PASSING or not node["inputs"]:
                return scope, name, part
            at = node["inputs"][0]
        return scope, at, ""


@dataclass(frozen=True)
class _Pair:
    first: _CallScope
    first_reference: str
    second: _CallScope
    second_reference: str
    owner: str | None
    state: bool = False
    """Whether this input, if a resource, holds a dataset's state."""
    argument: str = ""
    """TensorFlow's name of this input of a dataset; empty where it is not known."""


def differences(first: PlainGraph, second: PlainGraph) -> list[Difference]:
    """List differences of two graphs in structure, ops or arguments, from the sources on, up to a maximum.

    Constants that a function captures count as constants in it, and paths are the same if they lead to the same file.
    A dataset that is used in several places and keeps a state (a shuffle's order, a cache) must be one in both graphs.
    """
    walk = _GraphComparison()
    walk.todo.append(
        _Pair(
            _CallScope(first, first["nodes"]), first["root"], _CallScope(second, second["nodes"]), second["root"], None
        )
    )
    walk.run()
    return walk.found[::-1]


class _GraphComparison:
    def __init__(self) -> None:
        self.todo: list[_Pair] = []
        self.found: list[Difference] = []
        self._seen: set[tuple[Any, ...]] = set()
        self._scopes: dict[tuple[Any, ...], _CallScope] = {}
        self._states: set[tuple[Any, Any]] = set()

    def run(self) -> None:
        while self.todo and len(self.found) < _MOST:
            self._compare(self.todo.pop())

    def _compare(self, pair: _Pair) -> None:
        first = pair.first.follow(pair.first_reference)
        second = pair.second.follow(pair.second_reference)
        if isinstance(first, int) or isinstance(second, int):
            if first != second:
                self._add_difference(pair.owner, f"different inputs: {_text(_word(first), _word(second))}")
            return
        key = (id(first[0]), first[1], first[2], id(second[0]), second[1], second[2])
        if key in self._seen:
            return
        self._seen.add(key)
        one, other = first[0].nodes[first[1]], second[0].nodes[second[1]]
        owner = _owner(other) or pair.owner
        differs = one["op"] != other["op"]
        if differs or (one["op"] != "Const" and first[2] != second[2]):
            results = f"different results of {one['op']}: {_text(first[2] or 0, second[2] or 0)}"
            self._add_difference(owner, _text(one["op"], other["op"]) if differs else results)
            return
        if pair.argument == "dataset_id" and one["op"] == "Const":
            # A service gives each dataset that is registered a new one.
            return
        if pair.argument == "seed2" and one["op"] == "Const":
            self._compare_seeds(one["attributes"].get("value"), other["attributes"].get("value"), owner)
            return
        if pair.argument != "record_defaults" or _alone(one) is None or _alone(one) != _alone(other):
            self._attributes(one, other, owner)
        if pair.state and one["op"] == "Const":
            self._compare_states(one["attributes"].get("value"), other["attributes"].get("value"), owner)
        captured_one, captured_other = _captured_inputs(one), _captured_inputs(other)
        plain_one, plain_other = _inputs(one, captured_one), _inputs(other, captured_other)
        if len(plain_one) != len(plain_other):
            self._add_difference(owner, f"number of inputs of {one['op']}: {_text(len(plain_one), len(plain_other))}")
            return
        # A shuffle that keeps its order has no state that two iterators could share.
        state = "Dataset" in one["op"] and one["attributes"].get("reshuffle_each_iteration") is not False
        names = ["record_defaults" if one["op"] == "DecodeCSV" else ""] * len(plain_one)
        if "Dataset" in one["op"]:
            names = argument_names(one["op"], len(plain_one))
        self.todo += [
            _Pair(first[0], a, second[0], b, owner, state, name)
            for a, b, name in zip(plain_one, plain_other, names, strict=True)
        ]
        self._functions((first[0], one), (second[0], other), owner)

    def _attributes(self, one: PlainNode, other: PlainNode, owner: str | None) -> None:
        a, b = one["attributes"], other["attributes"]
        for name in sorted(a.keys() | b.keys()):
            aside = name.startswith("_") or name in _ASIDE or name in _CAPTURES.values()
            if not aside and not _same(a.get(name), b.get(name)):
                what = f"{one['op']}.{name}" if one["op"] != "Const" else "a constant"
                shown = _value_text(a.get(name)), _value_text(b.get(name))
                both = f"{shown[0]}, with different values" if shown[0] == shown[1] else _text(*shown)
                self._add_difference(owner, f"{what}: {both}")

    def _compare_seeds(self, one: Any, other: Any, owner: str | None) -> None:
        """Compare the second seed of a stage, which its ``seed`` argument is; the first one is the whole pipeline's."""
        first, second = _whole_number(one), _whole_number(other)
        if first != second:
            self.found.append(Difference(owner or "", f"random seed: {_text(first, second)}", first))

    def _compare_states(self, one: Any, other: Any, owner: str | None) -> None:
        """Compare the sharing of states: two states that are one in one graph must be one in the other."""
        if not (_is_handle(one) and _is_handle(other)) or (one[2], other[2]) in self._states:
            return
        if any((one[2] == a) != (other[2] == b) for a, b in self._states):
            op = str(other[2]).partition("/")[0]
            self._add_difference(owner, f"{op}: {_text('shared by several datasets', 'separate')}")
        self._states.add((one[2], other[2]))

    def _functions(
        self, first: tuple[_CallScope, PlainNode], second: tuple[_CallScope, PlainNode], owner: str | None
    ) -> None:
        one, other = first[1]["functions"], second[1]["functions"]
        if {name: len(each) for name, each in one.items()} != {name: len(each) for name, each in other.items()}:
            self._add_difference(owner, f"{first[1]['op']} calls different functions")
            return
        for name in one:
            for a, b in zip(one[name], other[name], strict=True):
                if a in first[0].graph["functions"] and b in second[0].graph["functions"]:
                    self._bodies(self._body(*first, name, a), self._body(*second, name, b), owner)

    def _bodies(
        self, first: tuple[_CallScope, PlainFunction], second: tuple[_CallScope, PlainFunction], owner: str | None
    ) -> None:
        (scope, one), (other_scope, other) = first, second
        if len(one["returns"]) != len(other["returns"]):
            self._add_difference(
                owner, f"number of results of a function: {_text(len(one['returns']), len(other['returns']))}"
            )
            return
        if len(one["controls"]) != len(other["controls"]):
            ops = [sorted(function["nodes"][name]["op"] for name in function["controls"]) for function in (one, other)]
            self._add_difference(owner, f"further ops in a function: {_text(*ops)}")
        self.todo += [
            _Pair(scope, a, other_scope, b, owner) for a, b in zip(one["returns"], other["returns"], strict=True)
        ]

    def _body(self, scope: _CallScope, node: PlainNode, attribute: str, name: str) -> tuple[_CallScope, PlainFunction]:
        """Return the scope of a function called by a node; captured tensors are the node's inputs."""
        key = (id(scope), id(node), attribute, name)
        function = scope.graph["functions"][name]
        if key not in self._scopes:
            arguments: dict[str, int | _Outer] = {each: index for index, each in enumerate(function["arguments"])}
            given = _data(node["inputs"])
            if node["op"] in _CALLS:
                bound = given[_CALLS[node["op"]] :]
            else:
                place = _captured_inputs(node).get(attribute, range(0))
                bound = [given[index] for index in place]
            names = function["arguments"][len(function["arguments"]) - len(bound) :] if bound else []
            arguments |= {each: _Outer(scope, one) for each, one in zip(names, bound, strict=False)}
            self._scopes[key] = _CallScope(scope.graph, function["nodes"], arguments)
        return self._scopes[key], function

    def _add_difference(self, owner: str | None, what: str) -> None:
        self.found.append(Difference(owner or "", what))


def _data(inputs: list[str]) -> list[str]:
    return [input_ for input_ in inputs if not input_.startswith("^")]


def _captured_inputs(node: PlainNode) -> dict[str, range]:
    if not node["functions"] or node["op"] in _CALLS or "Dataset" not in node["op"]:
        return {}
    attributes = node["attributes"]
    at = 0 if "Generator" in node["op"] else 2 if "Snapshot" in node["op"] else 1
    at += len(attributes.get("Tstate", ())) if "Scan" in node["op"] else 0
    found = {}
    for name in _CAPTURES:
        if name in node["functions"]:
            count = len(attributes.get(_CAPTURES[name]) or ())
            found[name] = range(at, at + count)
            at += count
    return found


def _inputs(node: PlainNode, captured: Mapping[str, range]) -> list[str]:
    """Return the inputs, without captured ones and those of a call, which are compared inside the function."""
    given = _data(node["inputs"])
    if node["op"] in _CALLS:
        return given[: _CALLS[node["op"]]]
    beside = {index for each in captured.values() for index in each}
    return [one for index, one in enumerate(given) if index not in beside]


def _alone(node: PlainNode) -> tuple[str, Any] | None:
    """Return dtype and contents of a constant of one value: the default of a column may be a list of one."""
    value = node["attributes"].get("value")
    if isinstance(value, tuple) and len(value) == 3 and value[1] in ((), (1,)):
        return value[0], value[2]
    return None


def _whole_number(value: Any) -> int | None:
    content = value[2] if isinstance(value, tuple) and len(value) == 3 else None
    return int.from_bytes(content, "little", signed=True) if isinstance(content, bytes) else None


def _is_handle(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and value[0] == "resource" and value[2] is not None


def _same(a: Any, b: Any) -> bool:
    if a == b or (_is_handle(a) and _is_handle(b)):
        return True
    texts, others = list(_texts(a)), list(_texts(b))
    if not texts or len(texts) != len(others):
        return False
    return all(os.path.abspath(one) == os.path.abspath(other) for one, other in zip(texts, others, strict=True))  # noqa: PTH100  # no links are followed


def _texts(value: Any) -> Iterator[bytes]:
    if isinstance(value, tuple) and len(value) == 3 and value[0] == "string":
        yield from value[2]


def _owner(node: PlainNode) -> str | None:
    data = node["attributes"].get("metadata")
    if not isinstance(data, bytes) or len(data) < 2 or data[0] != 0x0A or data[1] >= 0x80:
        return None
    return data[2 : 2 + data[1]].decode("utf-8", "replace") or None


def _word(end: Any) -> str:
    return f"component {end}" if isinstance(end, int) else end[0].nodes[end[1]]["op"]


def _text(first: object, second: object) -> str:
    return f"{first} in A, {second} in B"


def _value_text(value: Any) -> str:
    if isinstance(value, tuple) and len(value) == 3 and isinstance(value[2], bytes) and not value[2].isascii():
        return f"{value[0]} {list(value[1])}"
    text = repr(value[2] if isinstance(value, tuple) and len(value) == 3 else value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def plain_graph(graph: Any, digest: Digest) -> PlainGraph:
    """Convert a ``GraphDef`` to plain dicts."""
    returned = next(node for node in graph.node if node.op == "_Retval")
    return {
        "root": returned.input[0],
        "nodes": {node.name: _plain_node(node, digest) for node in graph.node},
        "functions": {one.signature.name: _plain_function(one, digest) for one in graph.library.function},
    }


def _plain_function(function: Any, digest: Digest) -> PlainFunction:
    signature = function.signature
    return {
        "arguments": [one.name for one in signature.input_arg],
        "nodes": {node.name: _plain_node(node, digest) for node in function.node_def},
        "returns": [function.ret[one.name] for one in signature.output_arg],
        "controls": sorted(function.control_ret.values()),
    }


def _plain_node(node: Any, digest: Digest) -> PlainNode:
    values: Mapping[str, Any] = node.attr
    functions = {}
    attributes = {}
    for name in sorted(values):
        value = values[name]
        names = [value.func.name] if value.func.name else [function.name for function in value.list.func]
        if names:
            functions[name] = names
        else:
            attributes[name] = _plain_value(value, digest)
    return {"op": node.op, "inputs": list(node.input), "attributes": attributes, "functions": functions}


def _plain_value(value: Any, digest: Digest) -> Any:
    kind = value.WhichOneof("value")
    if kind == "tensor":
        return digest(value.tensor)
    if kind == "shape":
        return _plain_shape(value.shape)
    if kind == "list":
        listed = value.list
        return [
            *listed.s, *listed.i, *listed.f, *listed.b, *listed.type,
            *(_plain_shape(length) for length in listed.shape), *(digest(one) for one in listed.tensor),
        ]  # fmt: skip
    return getattr(value, kind) if kind is not None else None


def _plain_shape(shape: Any) -> Any:
    return None if shape.unknown_rank else [int(dim.size) for dim in shape.dim]
