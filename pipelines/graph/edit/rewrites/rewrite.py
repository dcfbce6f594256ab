"""The function of a map with other ops in the place of some."""

from __future__ import annotations

from typing import Any

from pipeprof.pipelines.graph.edit.editable import EditableGraph, FlatElement
from pipeprof.pipelines.graph.stages import WrittenStage


def rewrite(graph: EditableGraph, stage: WrittenStage, node: Any, element: FlatElement, how: str) -> None:
    raise NotImplementedError
