"""Graphs of a run, parsed once on arrival from the worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.pipelines.graph.stages import StageGraph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeprof.pipelines.graph.read.records import ConstantDict, MadeDict, PlaceDict
    from pipeprof.profiles.protocol.messages import CostSegment, Graphs


@dataclass(frozen=True)
class ParsedGraphs:
    """The worker's message `Graphs` with its graphs as `StageGraph`; the other fields as there.

    Attributes:
        options: `tf.data.Options` of the pipeline; None where the graph was not read.
    """

    written: StageGraph
    executed: StageGraph
    segments: Sequence[CostSegment]
    made: Sequence[MadeDict]
    places: Mapping[str, PlaceDict]
    constants: Sequence[ConstantDict]
    options: Mapping[str, bool | int] | None

    @classmethod
    def of(cls, graphs: Graphs) -> ParsedGraphs:
        """Parse a message."""
        return cls(
            written=StageGraph.from_dict(graphs.written),
            executed=StageGraph.from_dict(graphs.executed),
            segments=graphs.segments,
            made=graphs.made,
            places=graphs.places,
            constants=graphs.constants,
            options=graphs.written.get("options"),
        )
