"""The function of a map with other ops in place of some."""

from __future__ import annotations

from typing import Any

from pipeprof.pipelines.graph.edit.editable import EditableGraph, FlatElement
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.rewrites.pictures import rewrite_pictures
from pipeprof.pipelines.graph.edit.rewrites.python_calls import as_graph
from pipeprof.pipelines.graph.stages import WrittenStage


def rewrite(graph: EditableGraph, stage: WrittenStage, node: Any, element: FlatElement, how: str) -> None:
    """Change the function of a map, as an edit says.

    Raises:
        CannotEditError: It has nothing to change in this way, or would do something else.
    """
    if how in ("graph", "random-graph"):
        as_graph(graph, stage, node, element, random=how == "random-graph")
    elif not rewrite_pictures(graph, node, how):
        raise CannotEditError("its function decodes no picture that this could be done to", stage.address)
