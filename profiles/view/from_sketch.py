"""Views of pipelines that did not run: of a spec that was built, of a dataset that was seen being made."""

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
    from collections.abc import Sequence

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


def view_of_sketch(
    sketch: Sketch, *, cores: float, memory_limit: int | None = None, spec: Sequence[Stage] | None = None
) -> PipelineView:
    """The pipeline as written; what its functions do is unknown.

    Args:
        spec: The stages of the spec that it is built from; None for a function.
    """
    written = StageGraph.from_dict(sketch.written)
    if spec is not None:
        return view_as_written(written, spec, cores=cores, memory_limit=memory_limit)
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
    # Whether TensorFlow made a map parallel is not known yet, and what it adds is foreseen.
    return replace(view, kind="static", unseen=True)


def view_as_written(
    written: StageGraph, spec: Sequence[Stage], *, cores: float, memory_limit: int | None = None
) -> PipelineView:
    """The pipeline of a spec as its graph has it before TensorFlow rewrites it; nothing ran.

    Args:
        spec: The stages of the spec.
    """
    view = view_of_graphs(written, _NOT_READ, spec, by_address=True, cores=cores, memory_limit=memory_limit)
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
