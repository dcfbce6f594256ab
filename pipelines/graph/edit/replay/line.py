"""The stages of a live dataset outside of all functions, with its graph for edits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeprof.pipelines.addresses import pipeline_of
from pipeprof.pipelines.graph.edit.editable import EditableGraph
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.round_trip import editable
from pipeprof.pipelines.graph.observe.in_memory_sources import SourceWatch
from pipeprof.pipelines.graph.stages import StageGraph, WrittenStage


@dataclass(frozen=True)
class EditableLine:
    """The stages of a pipeline outside of all functions.

    Attributes:
        stages: In the order of the data, the source first.
        all: These, those that they join, and those inside functions.
    """

    graph: EditableGraph
    written: StageGraph
    stages: list[WrittenStage]
    all: Sequence[WrittenStage]


def read_line(
    dataset: Any,
    *,
    ops: Mapping[str, str] | None = None,
    in_memory: int = 0,
    room: int | None = None,
    watch: SourceWatch | None = None,
) -> EditableLine:
    """Read the graph of a dataset.

    Args:
        ops: For a spec, its ops by address; None for a Python function.
        in_memory: Bytes that the dataset's sources and captured tensors hold in memory, at most.
        room: Bytes that reading the graph may take; None for any number.
        watch: What was seen while the dataset was built.

    Raises:
        CannotEditError: The graph cannot be read, or may not be edited.
    """
    graph = editable(dataset, in_memory=in_memory, room=room, watch=watch)
    written = graph.read()
    if written.root is None:
        raise CannotEditError(written.reason or "the graph returns no dataset")
    stages = written.stages(by_address=ops is not None, ops=ops)
    return EditableLine(graph, written, [stage for stage in stages if not pipeline_of(stage.address)], stages)
