"""A function without calls of other functions: their bodies stand in their place."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pipeprof.pipelines.graph.edit.editable import EditableGraph, base_of, data_inputs
from pipeprof.pipelines.graph.read.function_facts import CALLS

_GUARDS: Final = frozenset({"If", "StatelessIf"})
_SILENT: Final = frozenset({"Assert", "Const", "Identity", "NoOp"})
"""Ops of a guarded assertion's branches."""


class Callee(NamedTuple):
    """The function that a node calls.

    Attributes:
        body: Its definition.
        start: Index of its first argument among the node's inputs.
    """

    body: Any
    start: int


def inlined(graph: EditableGraph, function: Any, *, assertions: bool = False) -> Any:
    """Copy a function with the bodies of the functions that it calls, however deep.

    Args:
        graph: The graph whose library has them.
        function: The function's definition.
        assertions: Also those of assertions that TensorFlow calls only where the condition is false.
    """
    copy = type(function)()
    copy.CopyFrom(function)
    while True:
        found = ((node, callee) for node in copy.node_def if (callee := _callee(graph, node, assertions)) is not None)
        call = next(found, None)
        if call is None:
            return copy
        replace_call(copy, *call)


def _callee(graph: EditableGraph, node: Any, assertions: bool) -> Callee | None:
    if node.op in CALLS and node.attr["f"].func.name in graph.functions:
        return Callee(graph.functions[node.attr["f"].func.name], 0)
    if node.op in _GUARDS and assertions:
        branches = [graph.functions.get(node.attr[name].func.name) for name in ("then_branch", "else_branch")]
        ops = [{inner.op for inner in branch.node_def} if branch is not None else {""} for branch in branches]
        # An assertion of a condition that is true does nothing.
        if ops[0] <= _SILENT - {"Assert"} and ops[1] <= _SILENT:
            return Callee(branches[1], 1)
    return None


def replace_call(function: Any, call: Any, callee: Callee) -> list[str]:
    """Put the body of a called function in the place of the call; return the references to its results."""
    body, start = callee
    name = call.name
    given = dict(zip((one.name for one in body.signature.input_arg), data_inputs(call)[start:], strict=True))
    before = [reference for reference in call.input if reference.startswith("^")]

    def inside(reference: str) -> str:
        base = base_of(reference)
        if base in given:
            return f"^{base_of(given[base])}" if reference.startswith("^") else given[base]
        control, plain = reference[: reference.startswith("^")], reference.lstrip("^")
        return f"{control}{name}/{plain}"

    returned = [inside(body.ret[one.name]) for one in body.signature.output_arg]
    last = [f"{name}/{node}" for node in dict.fromkeys(body.control_ret.values())]
    after = [f"^{node}" for node in dict.fromkeys([*last, *map(base_of, returned)])]
    added = []
    for own in body.node_def:
        node = type(own)()
        node.CopyFrom(own)
        node.name = f"{name}/{own.name}"
        node.input[:] = [*map(inside, own.input), *before]
        added.append(node)

    def outside(reference: str) -> list[str]:
        if base_of(reference) != name:
            return [reference]
        return after if reference.startswith("^") else [returned[int(reference.rpartition(":")[2])]]

    kept = [node for node in function.node_def if node.name != name]
    for node in kept:
        node.input[:] = [found for reference in node.input for found in outside(reference)]
    results = {key: outside(reference)[0] for key, reference in function.ret.items()}
    controls = {key: node for key, node in function.control_ret.items() if node != name}
    controls |= {node: node for node in last} if len(controls) < len(function.control_ret) else {}
    del function.node_def[:]
    function.node_def.extend([*kept, *added])
    for key, reference in results.items():
        function.ret[key] = reference
    function.control_ret.clear()
    for key, node in controls.items():
        function.control_ret[key] = node
    return returned
