"""A dataset's serialised graph whose nodes can be exchanged, and the datasets made of parts of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pipeprof.pipelines.graph.edit.errors import CannotEditError, first_line
from pipeprof.pipelines.graph.observe.held import Held, LightGraph, variant_of
from pipeprof.pipelines.graph.observe.light_graph import light_again
from pipeprof.pipelines.graph.observe.reading import serialise
from pipeprof.pipelines.graph.read.graphdef import GraphDefReader
from pipeprof.pipelines.graph.read.records import GraphDict
from pipeprof.pipelines.graph.read.references import base_of, function_names, inputs_first, rename_functions
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.ops.executed_ops import is_dataset

_NUMBERS = itertools.count()


@dataclass(frozen=True)
class FlatElement:
    """An element as its components: their dtypes as numbers, and their shapes; the structure is not in a graph."""

    types: tuple[int, ...]
    shapes: tuple[tuple[int | None, ...] | None, ...]


class EditableGraph:
    """The nodes and functions of one serialised dataset."""

    def __init__(self, graph: Any, held: Held | None = None) -> None:

        self.held = held or Held()
        own = deepcopy(graph)
        self._versions = own.versions
        self.functions: dict[str, Any] = {function.signature.name: function for function in own.library.function}
        self.nodes: dict[str, Any] = {node.name: node for node in own.node if node.op != "_Retval"}
        self._returned = next(node for node in own.node if node.op == "_Retval")
        self.root: str = self._returned.input[0]

    @property
    def producer(self) -> int:
        """TensorFlow's version of the graph's format."""
        return int(self._versions.producer)

    def read(self) -> StageGraph:
        """Return the stages of the graph."""
        import tensorflow as tf

        reader = GraphDefReader(self.graph_def(self.root), lambda enum: str(tf.dtypes.as_dtype(enum).name))
        found: GraphDict = reader.read()
        return StageGraph.from_dict(found)

    def graph_def(self, end: str) -> Any:
        """Return the part of the graph that makes the dataset at a reference, with all functions that it uses."""
        import tensorflow as tf

        part = tf.compat.v1.GraphDef(versions=self._versions)
        kept = [self.nodes[name] for name in inputs_first([base_of(end)], self._reads)]
        part.node.extend(kept)
        returned = part.node.add()
        returned.CopyFrom(self._returned)
        returned.input[:] = [end]
        part.library.function.extend(self.functions[name] for name in self.used_functions(kept))
        return part

    def _reads(self, name: str) -> list[str]:
        return [base_of(reference) for reference in self.nodes[name].input]

    def used_functions(self, nodes: Iterable[Any]) -> list[str]:
        """List the functions that nodes have, and all that these use."""
        found: dict[str, None] = {}
        todo = list(nodes)
        while todo:
            for name in function_names(todo.pop()):
                if name in self.functions and name not in found:
                    found[name] = None
                    todo.extend(self.functions[name].node_def)
        return list(found)

    def variant(self, end: str) -> Any:
        """Return the variant tensor of the dataset at a reference without its large tensors: to be read, not run."""
        return self._variant(LightGraph(self.graph_def(end)))

    def real_variant(self, end: str) -> Any:
        """Return the variant tensor of the dataset at a reference."""
        return self._variant(LightGraph(self.graph_def(end), self.held))

    def real(self, dataset: Any) -> Any:
        """Return a dataset that was made of one of `variant`, with the large tensors."""
        import tensorflow as tf

        if not self.held:
            return dataset
        light = light_again(dataset, self.held)
        if isinstance(light, str):
            raise CannotEditError(light)
        return tf.data.experimental.from_variant(self._variant(light), dataset.element_spec)

    def _variant(self, light: LightGraph) -> Any:
        import tensorflow as tf

        try:
            return variant_of(light)
        except (tf.errors.OpError, ValueError) as error:
            raise CannotEditError(f"TensorFlow does not accept the edited graph: {first_line(error)}") from error

    def element_at(self, end: str) -> FlatElement:
        """Return the element of the dataset at a reference as TensorFlow infers it."""
        graph = serialise(self.variant(end))
        if isinstance(graph, str):
            raise CannotEditError(graph)
        returned = next(node for node in graph.node if node.op == "_Retval")
        return flat_element(next(node for node in graph.node if node.name == base_of(returned.input[0])))

    def add(self, node: Any) -> str:
        """Add a node; return its reference."""
        self.nodes[node.name] = node
        return str(node.name)

    def add_functions(self, functions: Iterable[Any]) -> dict[str, str]:
        """Add functions of another library; return the new names of those whose names mean something else here."""
        given = {function.signature.name: function for function in functions}
        renamed = {
            name: new_name(name)
            for name, function in given.items()
            if name in self.functions and self.functions[name] != function
        }
        for name, function in given.items():
            copy = deepcopy(function)
            copy.signature.name = renamed.get(name, name)
            for node in copy.node_def:
                rename_functions(node, renamed)
            self.functions.setdefault(copy.signature.name, copy)
        return renamed

    def graft(self, graph: Any, mark: str, cut: str) -> str:
        """Add what another graph has after its dataset named ``mark``, which is replaced by the one at ``cut``."""
        nodes = {node.name: node for node in graph.node}
        marked = {name for name, node in nodes.items() if is_dataset(node.op) and mark.encode() in _metadata(node)}
        renamed = self.add_functions(graph.library.function)
        end = next(node.input[0] for node in graph.node if node.op == "_Retval")
        names: dict[str, str] = {name: base_of(cut) for name in marked}
        todo = [base_of(end)]
        while todo:
            name = todo.pop()
            if name not in names:
                names[name] = new_name(name)
                todo.extend(base_of(reference) for reference in nodes[name].input)
        for name in names.keys() - marked:
            node = deepcopy(nodes[name])
            node.name = names[name]
            node.input[:] = [with_base(reference, names[base_of(reference)]) for reference in node.input]
            rename_functions(node, renamed)
            self.nodes[node.name] = node
        return with_base(end, names[base_of(end)])


def new_name(name: str) -> str:
    """Return a name that no other graph of this process has."""
    return f"{name.partition('/')[0]}/edit_{next(_NUMBERS)}"


def with_base(reference: str, name: str) -> str:
    """Return a reference to the same output of another node."""
    control = "^" if reference.startswith("^") else ""
    _, colon, output = reference.partition(":")
    return f"{control}{name}{colon}{output}"


def flat_element(node: Any) -> FlatElement:
    """Return the element of a dataset's node by its attributes."""
    key = "output_types" if "output_types" in node.attr else "Toutput_types"
    shapes = node.attr["output_shapes"].list.shape
    return FlatElement(
        tuple(node.attr[key].list.type),
        tuple(
            None if shape.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
            for shape in shapes
        ),
    )


def _metadata(node: Any) -> bytes:
    return bytes(node.attr["metadata"].s) if "metadata" in node.attr else b""
