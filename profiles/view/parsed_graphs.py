"""Graphs of a run, parsed once on arrival from the worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.stages import StageGraph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeprof.pipelines.graph.costs.stretches import Segment
    from pipeprof.pipelines.graph.read.records import ConstantDict, MadeDict, PlaceDict
    from pipeprof.profiles.protocol.messages import CostSegment, Graphs


@dataclass(frozen=True)
class ParsedGraphs:
    """The worker's message `Graphs` with its graphs as `StageGraph`; no `options` where the graph was not read."""

    written: StageGraph
    executed: StageGraph
    segments: Sequence[CostSegment]
    made: Sequence[MadeDict]
    places: Mapping[str, PlaceDict]
    constants: Sequence[ConstantDict]
    options: Mapping[str, bool | int] | None

    def pair(self, ops: Mapping[str, str] | None) -> StageGraphs:
        """Both graphs together; of a spec, `ops` are its own by address, None for a user's own function."""
        return StageGraphs(self.written, self.executed, by_address=ops is not None, ops=ops)

    @property
    def snapshots(self) -> list[Segment]:
        """The model's states at the ends of each segment."""
        return [(segment.first, segment.last) for segment in self.segments]

    @property
    def batches(self) -> int:
        """Batches of all segments."""
        return sum(segment.batches for segment in self.segments)

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
