"""The view of a function's pipeline as it was seen being made, for a run that ended before its graph was read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.static.slips import slips_in
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.view.from_graph import view_of_graphs
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import as_typed

if TYPE_CHECKING:
    from pipeprof.pipelines.target.target import ParsedTarget
    from pipeprof.profiles.protocol.messages import Sketch
    from pipeprof.profiles.view.view import PipelineView, StageView


def view_of_source(target: ParsedTarget, *, cores: float, memory_limit_bytes: int | None = None) -> PipelineView:
    """The pipeline without stages, which only a run shows.

    Raises:
        UsageError: The file cannot be read or is not valid Python.
    """
    return PipelineView(
        "static",
        (),
        cores=cores,
        memory_limit_bytes=memory_limit_bytes,
        slips=tuple(slips_in(target.path, target.function)),
    )


_NOT_READ = StageGraph(nodes={}, root=None, reason="the graph was not read")


def view_of_sketch(sketch: Sketch, *, cores: float, memory_limit: int | None = None) -> PipelineView:
    """The pipeline as written; what its functions do is unknown."""
    written = StageGraph.from_dict(sketch.written)
    locations = {}
    for stage in written.stages():
        place = next((sketch.places[node] for node in reversed(stage.nodes) if node in sketch.places), None)
        if place is not None:
            locations[stage.address] = Location(
                file=as_typed(place["file"]), line=place["line"], column=place["column"], call=place["call"]
            )
    view = view_of_graphs(
        written, _NOT_READ, (), by_address=False, locations=locations, cores=cores, memory_limit=memory_limit
    )
    # Whether TensorFlow made a map parallel is not known yet, and what it adds is foreseen as for a spec.
    return replace(view, kind="static", unseen=True)


def rows_of_sketch(view: PipelineView) -> list[Stage]:
    """Return the rows of stages without measurements."""
    return [row_of(stage) for stage in view.stages]


def row_of(stage: StageView) -> Stage:
    """Return the row of a stage without measurements."""
    return Stage(
        id=stage.id, op=stage.op, name=stage.name, origin="written", depth=stage.depth, location=stage.location
    )
