"""Nodes of stages where they are: in the graph itself, or in the body of a function that one stage calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any, Protocol

from pipeprof.pipelines.graph.edit.editable import EditableGraph, new_name
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.functions import Callee, replace_call
from pipeprof.pipelines.graph.read.references import base_of, function_names
from pipeprof.pipelines.ops.executed_ops import is_dataset


class NodeScope(Protocol):
    """The nodes of a graph or of a function's body."""

    def node(self, name: str) -> Any:
        """Return a node's message."""

    def has(self, name: str) -> bool:
        """Return whether there is such a node."""

    def add(self, node: Any, output: str) -> str:
        """Add a node; return the reference to its one output."""


class GraphScope:
    """The graph itself."""

    def __init__(self, graph: EditableGraph) -> None:
        self._graph = graph

    def node(self, name: str) -> Any:
        """Return a node's message."""
        return self._graph.nodes[name]

    def has(self, name: str) -> bool:
        """Return whether there is such a node."""
        return name in self._graph.nodes

    def add(self, node: Any, output: str) -> str:
        """Add a node; return the reference to its one output."""
        del output
        return self._graph.add(node)


class FunctionScope:
    """The body of a function: a copy that only one stage calls."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self._nodes = {node.name: node for node in function.node_def}

    def node(self, name: str) -> Any:
        """Return a node's message."""
        return self._nodes[name]

    def has(self, name: str) -> bool:
        """Return whether there is such a node."""
        return name in self._nodes

    def add(self, node: Any, output: str) -> str:
        """Add a node; return the reference to its one output."""
        added = self.function.node_def.add()
        added.CopyFrom(node)
        added.name = node.name.replace("/", "_")
        self._nodes[added.name] = added
        return f"{added.name}:{output}:0"

    def readers(self, name: str, among: Sequence[str] | None) -> list[tuple[str, int]]:
        """Return the inputs that read a dataset, by node and index.

        Args:
            among: Nodes that may read it; None for all that are no datasets, and for the function's results (index -1).
        """
        found = [
            (node.name, index)
            for node in self.function.node_def
            if (node.name in among if among is not None else not is_dataset(node.op))
            for index, reference in enumerate(node.input)
            if base_of(reference) == name and not reference.startswith("^")
        ]
        results = self.function.ret.items() if among is None else ()
        return [*found, *((key, -1) for key, reference in results if base_of(reference) == name)]

    def connect(self, readers: Iterable[tuple[str, int]], reference: str) -> None:
        """Make inputs read another dataset."""
        for name, index in readers:
            if index < 0:
                self.function.ret[name] = reference
            else:
                self._nodes[name].input[index] = reference

    def inline(self, call: Any, callee: Callee) -> str:
        """Add the body of a function that is called once; return the reference to its result."""
        self.function.node_def.append(call)
        # All ops with state run: those of the body do, as if it had been traced with this function.
        self.function.control_ret[call.name] = call.name
        returned = replace_call(self.function, call, callee)
        self._nodes = {node.name: node for node in self.function.node_def}
        return returned[0]


class Scopes:
    """All scopes of a graph, by the ids of the datasets in them."""

    def __init__(self, graph: EditableGraph) -> None:
        self._graph = graph
        self._known: dict[str, NodeScope] = {"": GraphScope(graph)}

    def find(self, node_id: str) -> tuple[NodeScope, str]:
        """Return the scope of a dataset and its name there."""
        prefix, separator, name = node_id.rpartition("::")
        scope = self._scope(prefix) if separator else self._known[""]
        if not scope.has(name):
            raise CannotEditError("it is made in a function that the stage's function calls")
        return scope, name

    def _scope(self, prefix: str) -> NodeScope:
        if prefix not in self._known:
            owner, _, function = prefix.rpartition("::")
            scope, name = self.find(owner)
            copy = deepcopy(self._graph.functions[function])
            copy.signature.name = new_name(function).replace("/", "_")
            self._graph.functions[copy.signature.name] = copy
            node = scope.node(name)
            for value in node.attr.values():
                if value.func.name == function:
                    value.func.name = copy.signature.name
                for one in value.list.func:
                    one.name = copy.signature.name if one.name == function else one.name
            self._known[prefix] = FunctionScope(copy)
        return self._known[prefix]


def function_of(graph: EditableGraph, node: Any) -> Any:
    """Return the first function of a node."""
    return graph.functions[next(function_names(node))]


def set_function(node: Any, name: str) -> None:
    """Give a node a function of another name in place of its first one."""
    next(value for value in node.attr.values() if value.func.name).func.name = name


def captured_count(node: Any) -> int:
    """Return how many tensors the one function of a node captures."""
    return len(node.attr["Targuments"].list.type) if "Targuments" in node.attr else 0
