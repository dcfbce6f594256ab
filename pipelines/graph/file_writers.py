"""Stages that write files while a pipeline runs, so that two processes with the same pipeline disturb each other."""

from __future__ import annotations

from pipeprof.pipelines.graph.read.records import GraphDict, NodeDict
from pipeprof.pipelines.ops.executed_ops import written_op
from pipeprof.pipelines.ops.traits import traits

_FILE = "filename"


def file_writer(graph: GraphDict) -> str | None:
    """Name the first stage or op that writes files; None if there is none.

    Python functions may write files as well, which a graph does not show.

    Args:
        graph: As the user wrote it, with the datasets inside functions.
    """
    return next((name for node in graph["nodes"] if (name := _writer(node)) is not None), None)


def _writer(node: NodeDict) -> str | None:
    op = written_op(node["op"])
    row = traits(op)
    # A file name that is not among the arguments is computed, as one for each element of an outer pipeline is.
    has_file = _FILE in row.positional and node["arguments"].get(_FILE) != ""
    if row.stores and (row.composed or has_file):
        return op
    function = node["function"]
    inside = function.get("writes") if function is not None else None
    return f"{inside} in {op}" if inside is not None else None
