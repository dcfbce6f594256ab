"""Views of pipelines that did not run: of targets built for `check`, of datasets that were seen being made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.view.from_graph import view_of_graphs
from pipeprof.profiles.wording import as_typed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.profiles.protocol.messages import Sketch
    from pipeprof.profiles.view.view import PipelineView, StageView

_NOT_READ = StageGraph(nodes={}, root=None, reason="the graph was not read")


def view_of_sketch(
    sketch: Sketch, *, cores: float, memory_limit: int | None = None, spec: Sequence[Stage] | None = None
) -> PipelineView:
    """The pipeline as its graph has it before TensorFlow rewrites it; `spec`: its stages, None for a function."""
    written = StageGraph.from_dict(sketch.written)
    locations = {}
    for stage in written.stages() if spec is None else ():
        place = next((sketch.places[node] for node in reversed(stage.nodes) if node in sketch.places), None)
        if place is not None:
            locations[stage.address] = Location(
                file=as_typed(place["file"]), line=place["line"], column=place["column"], call=place["call"]
            )
    view = view_of_graphs(
        written,
        _NOT_READ,
        spec or (),
        by_address=spec is not None,
        locations=locations,
        cores=cores,
        memory_limit=memory_limit,
        made=sketch.made,
        constants=sketch.constants,
    )
    # Whether TensorFlow made a map parallel is not known yet, and what it adds is foreseen.
    stages = tuple(replace(stage, measured=None) for stage in view.stages)
    return replace(view, kind="static", unseen=True, stages=stages)


def rows_of_sketch(view: PipelineView) -> list[Stage]:
    """Return the rows of stages without measurements."""
    return [row_of(stage) for stage in view.stages]


def row_of(stage: StageView) -> Stage:
    """Return the row of a stage without measurements."""
    return Stage(
        id=stage.id, op=stage.op, name=stage.name, origin="written", depth=stage.depth, location=stage.location
    )
