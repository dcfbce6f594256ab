"""The stages of a live dataset outside of all functions, with its graph for edits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.addresses import pipeline_of
from pipeprof.pipelines.graph.edit.editable import EditableGraph
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.round_trip import editable
from pipeprof.pipelines.graph.stages import StageGraph, WrittenStage

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pipeprof.pipelines.graph.observe.light_graph import Reading


@dataclass(frozen=True)
class EditableLine:
    """The stages of a pipeline outside of all functions.

    Attributes:
        stages: In the order of the data, the source first.
    """

    graph: EditableGraph
    written: StageGraph
    stages: list[WrittenStage]
    all: Sequence[WrittenStage]


def read_line(dataset: Any, *, ops: Mapping[str, str] | None = None, **reading: Unpack[Reading]) -> EditableLine:
    """Read the graph of a dataset.

    Args:
        ops: For a spec, its ops by address; None for a Python function.

    Raises:
        CannotEditError: The graph cannot be read, or may not be edited.
    """
    graph = editable(dataset, **reading)
    written = graph.read()
    if written.root is None:
        raise CannotEditError(written.reason or "the graph returns no dataset")
    stages = written.stages(by_address=ops is not None, ops=ops)
    return EditableLine(graph, written, [stage for stage in stages if not pipeline_of(stage.address)], stages)
