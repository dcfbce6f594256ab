"""Functions of stages as TensorFlow traced them: their effects, and parts of them in other functions (worker only)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from pipeprof.pipelines.graph.read.function_facts import PYTHON, is_random, uses_variable
from pipeprof.pipelines.graph.read.references import data_inputs, function_names

EffectKind: TypeAlias = Literal["python", "random", "state"]


def functions_of(function: Any) -> Mapping[str, Any]:
    """Return the definition of a traced function and of all that it calls, by name, its own first."""
    import tensorflow as tf

    own = function.function_def
    library = function.graph.as_graph_def().library.function
    return {tf.compat.as_str(own.signature.name): own, **{one.signature.name: one for one in library}}


def effects_of(nodes: Iterable[Any], functions: Mapping[str, Any]) -> list[tuple[str, EffectKind]]:
    """Return the ops of nodes, and of the functions that they call, whose result does not depend on inputs alone.

    Reading a variable is an input. Python comes first, then what draws random numbers: state may be that of these.
    """
    ops = _ops_of(nodes, functions)
    definitions = op_definitions(set(ops))
    variables = [op for op in ops if uses_variable(op)]
    found: dict[EffectKind, list[str]] = {kind: [] for kind in get_args(EffectKind)}
    for op in ops:
        if op in PYTHON:
            found["python"].append(op)
        elif is_random([op, *variables]):
            found["random"].append(op)
        elif op != "ReadVariableOp" and op in definitions and definitions[op].is_stateful:
            found["state"].append(op)
    return [(op, kind) for kind, effects in found.items() for op in effects]


def is_stateful(function: Any) -> bool:
    """Whether a traced function, or one that it calls, has an op with state; False where there is no function."""
    if function is None:
        return False
    functions = functions_of(function)
    ops = {node.op for one in functions.values() for node in one.node_def}
    return any(definition.is_stateful for definition in op_definitions(ops).values())


def _ops_of(nodes: Iterable[Any], functions: Mapping[str, Any]) -> list[str]:
    ops: dict[str, None] = {}
    todo, seen = [*nodes], set[str]()
    while todo:
        node = todo.pop(0)
        ops[node.op] = None
        for name in function_names(node):
            if name in functions and name not in seen:
                seen.add(name)
                todo.extend(functions[name].node_def)
    return list(ops)


def op_definitions(ops: set[str]) -> dict[str, Any]:
    """Return TensorFlow's definitions of op types, without those of functions."""
    import tensorflow as tf

    known = {op for op in ops if hasattr(tf.raw_ops, op)}
    graph = tf.compat.v1.GraphDef()
    for op in sorted(known):
        graph.node.add(name=op, op=op)
    with tf.Graph().as_default():
        exported = tf.compat.v1.train.export_meta_graph(graph_def=graph)
    return {definition.name: definition for definition in exported.meta_info_def.stripped_op_list.op}


@dataclass(frozen=True)
class Part:
    """The part of a traced function that makes some of its results.

    Attributes:
        wanted: Indices of these results.
    """

    function: Any
    graph: Any
    wanted: tuple[int, ...]

    @classmethod
    def of(cls, function: Any, wanted: Iterable[int] | None = None) -> Part:
        """The part that makes some results; all of them, and all that has to run, if None."""
        import tensorflow as tf

        indices = tuple(range(len(function.outputs)) if wanted is None else sorted(wanted))
        ends = [function.outputs[index].op.name for index in indices]
        graph = function.graph.as_graph_def()
        for node in graph.node if wanted is not None else ():
            # Every result waits for all ops with state.
            node.input[:] = data_inputs(node)
        return cls(function, tf.compat.v1.graph_util.extract_sub_graph(graph, ends), indices)

    @property
    def reads(self) -> frozenset[int]:
        """Indices of the element's components that it reads."""
        names = {node.name for node in self.graph.node}
        count = len(self.function.inputs) - len(self.function.captured_inputs)
        return frozenset(index for index in range(count) if self.function.inputs[index].op.name in names)

    def effects(self) -> list[tuple[str, EffectKind]]:
        """As `effects_of`."""
        return effects_of(self.graph.node, functions_of(self.function))

    def __call__(self, components: Mapping[int, Any]) -> dict[int, Any]:
        """Make the results of the components that it reads, both by their indices, in the function that is traced."""
        import tensorflow as tf

        here: Any = tf.compat.v1.get_default_graph()
        count = len(self.function.inputs) - len(self.function.captured_inputs)
        given = {self.function.inputs[index].name: components[index] for index in self.reads}
        names = {node.name for node in self.graph.node}
        for tensor, inside in zip(self.function.captured_inputs, self.function.inputs[count:], strict=True):
            if inside.op.name in names:
                given[inside.name] = here.capture(tensor)
        found = tf.graph_util.import_graph_def(
            self.graph,
            input_map=given,
            return_elements=[self.function.outputs[index].name for index in self.wanted],
            name="pipeprof_part",
        )
        return dict(zip(self.wanted, found, strict=True))


def components(structure: Any) -> list[Any]:
    """Return the components of an element or of its spec; a None is none."""
    import tensorflow as tf

    return [leaf for leaf in tf.nest.flatten(structure) if not _is_none(leaf)]


def with_components(structure: Any, given: Sequence[Any]) -> Any:
    """Return an element of a structure."""
    import tensorflow as tf

    rest = iter(given)
    leaves = [None if _is_none(leaf) else next(rest) for leaf in tf.nest.flatten(structure)]
    return tf.nest.pack_sequence_as(structure, leaves)


def _is_none(leaf: Any) -> bool:
    return leaf is None or type(leaf).__name__ == "NoneTensorSpec"
