"""Resources that the functions of a dataset capture, handed through to the datasets that are made of its graph.

Serialising a dataset copies what its variables and tables hold, so that later changes would not be seen. In a graph for
edits, marks are in place of these copies, as they are in that of large arrays (`Held`), and a dataset made of the
graph uses the resources of the original one. TensorFlow 2.21.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeprof.pipelines.graph.edit.editable import EditableGraph, new_name
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.functions import inlined, op_definitions, width
from pipeprof.pipelines.graph.observe.light_graph import captured_of
from pipeprof.pipelines.graph.observe.reading import serialise
from pipeprof.pipelines.graph.read.function_facts import HANDING_ON, is_random
from pipeprof.pipelines.graph.read.references import base_of, data_inputs, function_names
from pipeprof.pipelines.ops.executed_ops import is_dataset, written_op
from pipeprof.pipelines.ops.traits import writes_files

_CAPTURES: Final = re.compile(r"T(?:(?P<function>\w+)_(?:other_arguments|args)|arguments)")
"""Attributes with the types of what a function captures, and the attribute with the function."""
_ASSIGNS: Final = re.compile(r"Assign\w*VariableOp")
_CHANGES: Final = re.compile(
    r"\w*(?:Assign|Scatter|Insert|Import|Remove|Dequeue|Enqueue|Push|Pop|GetNext|Accumulat|ResourceApply)\w*"
    r"|ResourceSparseApply\w+|Reader(?:Read|Reset|Restore)\w*|Stage|Unstage|Barrier\w+|MakeIterator"
)
"""Ops that change a resource which they are given, or take something out of it."""
_KINDS: Final = (
    ("Var", "tf.Variable"),
    ("LookupInterface", "lookup table"),
    ("Iterator", "iterator"),
    ("Queue", "queue"),
)
_HANDLE: Final = re.compile(r'name="(?P<name>[^"]*)".*type="(?:\w+::)*(?P<kind>\w+)"')
_UNNAMED: Final = re.compile(r"(?:Variable|variable|Resource|table)?(?:[_/-].*)?|\d+")


@dataclass(frozen=True)
class _Captured:
    """A resource that a function of a dataset captures.

    Attributes:
        argument: Index of the resource among the arguments of the function that are captured, of `count`.
    """

    node: Any
    place: int
    function: str
    argument: int
    count: int


def hand_through(graph: EditableGraph, dataset: Any) -> None:
    """Put marks of the live resources in place of the copies in a dataset's graph.

    Raises:
        CannotEditError: A function changes one of them, which would happen in each run of an edited pipeline too, or
            the dataset does not show which one it is.
    """
    found = [captured for captured in _captured(graph) if not _is_mark(graph, captured)]
    live = captured_of(dataset) if found else {}
    for captured in found:
        given = live.get(captured.function, [])
        handle = given[captured.argument] if len(given) == captured.count else None
        if handle is None:
            raise _refusal(graph, captured, "captures a resource that its dataset does not show")
        op = _changing_op(graph, captured)
        if op is not None:
            raise _refusal(
                graph, captured, f"changes {_words(handle)} ({op}); each copy of the pipeline would do so too"
            )
        captured.node.input[captured.place] = graph.add(_constant(graph.held.live(handle)))


def _captured(graph: EditableGraph) -> Iterator[_Captured]:
    import tensorflow as tf

    datasets = [node for node in graph.nodes.values() if is_dataset(node.op) and next(function_names(node), None)]
    definitions = op_definitions({node.op for node in datasets}) if datasets else {}
    for node in datasets:
        start = 0
        for argument in definitions[node.op].input_arg:
            count = width(node, argument)
            types = _CAPTURES.fullmatch(argument.type_list_attr)
            function = _function(node, types["function"]) if types is not None else None
            for index in range(count if function is not None else 0):
                if node.attr[argument.type_list_attr].list.type[index] == tf.resource.as_datatype_enum:
                    yield _Captured(node, start + index, function or "", index, count)
            start += count


def _function(node: Any, attribute: str | None) -> str | None:
    attributes = ("f", "predicate") if attribute is None else (attribute,)
    return next((node.attr[name].func.name for name in attributes if name in node.attr), None)


def _is_mark(graph: EditableGraph, captured: _Captured) -> bool:
    return graph.held.live_of(graph.nodes[base_of(captured.node.input[captured.place])]) is not None


def _constant(stand_in: Any) -> Any:
    import tensorflow as tf

    graph = serialise(tf.raw_ops.TensorDataset(components=[stand_in], output_shapes=[[]]))
    node = next(node for node in graph.node if node.op == "Const")
    node.name = new_name(node.name)
    return node


def _changing_op(graph: EditableGraph, captured: _Captured) -> str | None:
    """Return the op that changes a resource; None for the state of random numbers, and for one that is only read."""
    function = inlined(graph, graph.functions[captured.function])
    arguments = [argument.name for argument in function.signature.input_arg]
    reads = _followed(function, {arguments[len(arguments) - captured.count + captured.argument]}, HANDING_ON)
    takers = [node for node in function.node_def if not reads.isdisjoint(map(base_of, node.input))]
    inside = (graph.functions[name].node_def for name in graph.used_functions(takers))
    ops = [node.op for node in itertools.chain(takers, *inside)]
    changing = [op for op in ops if _CHANGES.fullmatch(op) or writes_files(op)]
    made = _followed(function, {node.name for node in takers})
    depending = [node.op for node in function.node_def if node.name in made]
    seeds = is_random([*depending, *ops])
    return next((op for op in changing if not (seeds and _ASSIGNS.fullmatch(op))), None)


def _followed(function: Any, names: set[str], through: frozenset[str] | None = None) -> set[str]:
    """Return the names of all that is made of some values of a function."""
    found = set(names)
    while True:
        more = {
            node.name
            for node in function.node_def
            if node.name not in found
            and (through is None or node.op in through)
            and not found.isdisjoint(map(base_of, data_inputs(node)))
        }
        if not more:
            return found
        found |= more


def _refusal(graph: EditableGraph, captured: _Captured, what: str) -> CannotEditError:
    stages: Sequence[Any] = graph.read().stages()
    stage = next((stage.address for stage in stages if captured.node.name in stage.nodes), None)
    named = re.fullmatch(rf"__inference_Dataset_{written_op(captured.node.op)}_(\w+)_\d+", captured.function)
    name = f" {named[1]}" if named is not None and named[1] != "lambda" else ""
    return CannotEditError(f"its function{name} {what}", stage)


def _words(handle: Any) -> str:
    found = _HANDLE.search(str(handle))
    kind, name = (found["kind"], found["name"]) if found is not None else ("", "")
    what = next((words for part, words in _KINDS if part in kind), f"resource {kind}".strip())
    return f"the {what}" if _UNNAMED.fullmatch(name) else f"the {what} {name.partition('/')[0]!r}"
