"""What a graph's records leave out, because it is contents of tensors: names of files, and how their readers read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from pipeprof.pipelines.graph.read.graphdef import scalar
from pipeprof.pipelines.graph.read.records import GraphDict
from pipeprof.pipelines.graph.read.references import base_of, data_inputs
from pipeprof.pipelines.ops.executed_ops import is_dataset
from pipeprof.pipelines.ops.traits import traits

_TEXTS: Final = 7
"""Number of the type of texts in a graph."""
UNKNOWN: Final = "unknown"
"""In place of an argument that is not a constant of the graph."""


def file_names(graph: Any, texts: Callable[[Any], list[str]], is_file: Callable[[str], bool]) -> dict[str, list[str]]:
    """Return the names of files that datasets outside of functions hold, by their ids.

    Args:
        graph: A `GraphDef`.
        texts: Returns the texts of a constant's tensor.
        is_file: Whether a text is the name of a file: asked of lists of texts that no reader of files was given.
    """
    members = {node.name: node for node in graph.node}
    found: dict[str, list[str]] = {}
    for node in graph.node:
        row = traits(node.op)
        # One element that is a list of texts is no list of names.
        if not is_dataset(node.op) or (row.in_memory and not row.slices):
            continue
        for reference in data_inputs(node):
            held = members.get(base_of(reference))
            if held is None or held.op != "Const" or held.attr["dtype"].type != _TEXTS:
                continue
            names = texts(held.attr["value"].tensor)
            if names and ((row.slices and node.attr["is_files"].b) or is_file(names[0])):
                found[node.name] = names
                break
    return found


def reader_arguments(
    graph: Any, drawn: GraphDict, names: Callable[[str], Sequence[str]]
) -> dict[str, dict[str, int | bool | str]]:
    """Return the arguments of the readers of records but for the names of their files, by their ids.

    Args:
        graph: The `GraphDef` that `drawn` was read from.
        names: Returns the names of an op's inputs, in their order.

    Returns:
        `UNKNOWN` for an argument that is not a constant of the reader's graph.
    """
    bodies = {function.signature.name: function.node_def for function in graph.library.function}
    found: dict[str, dict[str, int | bool | str]] = {}
    for record in drawn["nodes"]:
        if traits(record["op"]).records is None:
            continue
        owner, _, local = record["id"].rpartition("::")
        members = {node.name: node for node in (bodies.get(owner.rpartition("::")[2], ()) if owner else graph.node)}
        node = members.get(local)
        if node is not None:
            # The first input is the names.
            given = list(zip(names(node.op), data_inputs(node), strict=False))[1:]
            found[record["id"]] = {name: _constant(members.get(base_of(reference))) for name, reference in given}
    return found


def _constant(node: Any | None) -> int | bool | str:
    if node is None or node.op != "Const":
        return UNKNOWN
    tensor = node.attr["value"].tensor
    if node.attr["dtype"].type == _TEXTS and not tensor.string_val and not tensor.tensor_content:
        return ""
    value = scalar(tensor)
    return UNKNOWN if value is None else value
