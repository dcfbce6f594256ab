"""View of a measured pipeline, from its graphs and its profile.

Stages come from the graph as written (of a spec or a user's function), TensorFlow's rewrites of them from the graph as
executed. Both are joined with the measured stages by their ids, which are the same addresses. A pipeline that did not
run, built for `check` or seen being made, has a view of its sketch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.elements import cardinalities, components_written
from pipeprof.pipelines.graph.opnames import is_option
from pipeprof.pipelines.graph.read.records import ConstantDict, MadeDict
from pipeprof.pipelines.graph.stages import Node, StageGraph, WrittenStage
from pipeprof.pipelines.meaning.constants import AUTOTUNE
from pipeprof.pipelines.meaning.executed_ops import executed, is_dataset, written_op
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.view.view import (
    ComponentView,
    ConstantView,
    FunctionView,
    MeasuredFacts,
    PipelineView,
    StageView,
)
from pipeprof.profiles.wording import as_typed

if TYPE_CHECKING:
    from pipeprof.pipelines.graph.costs.stretches import Segment
    from pipeprof.pipelines.graph.read.records import PlaceDict
    from pipeprof.profiles.protocol.messages import CostSegment, Graphs, Sketch


_TUNED = ("num_parallel_calls", "buffer_size", "cycle_length")
# Arguments that TensorFlow derives from the others of an interleave.
_DERIVED = ("buffer_output_elements", "prefetch_input_elements")
_DEFAULTS: Mapping[str, Any] = {
    "block_length": 1,
    "drop_remainder": False,
    "filename": "",
    "preserve_cardinality": True,
    "reshuffle_each_iteration": True,
}


def view_of_graphs(
    written: StageGraph,
    executed: StageGraph,
    stages: Sequence[Stage],
    *,
    by_address: bool,
    locations: Mapping[str, Location] | None = None,
    cores: float = 1.0,
    memory_limit: int | None = None,
    profile: Profile | None = None,
    facts: MeasuredFacts | None = None,
    made: Sequence[MadeDict] = (),
    constants: Sequence[ConstantDict] = (),
) -> PipelineView:
    """Build the view for the rules.

    Args:
        written: The graph as written. Without one (too large to be read) the view has the measured stages only, or
            if there are none either, the sources that were seen while the pipeline was built.
        by_address: The names in the graph are addresses of a spec; False for a user's own function.
        locations: Place in the user's file by address, where ``stages`` has none.
        made: Sources in memory seen while the pipeline was built, from a `SourceWatch`; for a user's own function.
    """
    rows = {stage.id: stage for stage in stages}
    addresses: dict[str, str] = {}
    if written.root is None:
        views = tuple(_unread(stages) if stages else _sources_only(made))
    else:
        ops = {stage.id: stage.op for stage in stages if stage.origin == "written"} if by_address else None
        graphs = StageGraphs(written, executed, by_address, ops)
        views = tuple(_ViewFromGraph(graphs, rows, locations or {}, tuple(made)).views())
        addresses = {node: stage.address for stage in graphs.stages for node in stage.nodes}
    return PipelineView(
        kind="measured",
        stages=views,
        options=_options(written, executed),
        cores=cores,
        memory_limit_bytes=memory_limit,
        profile=profile,
        facts=facts,
        constants=tuple(_constant_view(constant, addresses) for constant in constants),
    )


def _constant_view(constant: ConstantDict, addresses: Mapping[str, str]) -> ConstantView:
    file, line = constant["file"], constant["line"]
    return ConstantView(
        constant["bytes"],
        constant["dtype"],
        tuple(constant["shape"]),
        addresses.get(constant["node"] or ""),
        Location(file=as_typed(file), line=line) if file is not None and line is not None else None,
    )


@dataclass(frozen=True)
class _ViewFromGraph:
    graphs: StageGraphs
    rows: Mapping[str, Stage]
    locations: Mapping[str, Location]
    made: tuple[MadeDict, ...]

    @property
    def written(self) -> StageGraph:
        return self.graphs.written

    @property
    def executed(self) -> StageGraph:
        return self.graphs.executed

    @cached_property
    def _remote(self) -> frozenset[str]:
        return frozenset(stage.address for stage in self.graphs.stages if stage.head in self.written.remote)

    def views(self) -> Iterator[StageView]:
        counts = cardinalities(self.written)
        for stage in self.graphs.stages:
            # What other processes run has neither costs here nor a graph that could be changed.
            if stage.head not in self.written.remote:
                yield self._written_view(stage, counts)
        for node_id in self.graphs.injected:
            yield self._injected_view(node_id)

    def _written_view(self, stage: WrittenStage, counts: Mapping[str, int | None]) -> StageView:
        head = self.written.nodes[stage.head]
        row = self.rows.get(stage.address)
        place = self.graphs.place(stage)
        return StageView(
            id=stage.address,
            op=stage.op,
            name=row.name if row is not None else None if self.graphs.by_address else stage.name,
            inputs=tuple(one for one in stage.inputs if one not in self._remote),
            depth=stage.depth,
            owner=stage.owner,
            arguments=self._arguments(stage),
            element=_element(head),
            keys=self._keys(stage.head),
            elements=counts.get(stage.head),
            function=self._function(stage),
            source_bytes=head.held_bytes if traits(stage.op).in_memory else None,
            constant=self._constant(stage, head),
            location=self._location(stage, head, row),
            executed_op=self.executed.nodes[place].op if place is not None else None,
            made_parallel=self._made_parallel(head, place),
            measured=row,
        )

    def _keys(self, node_id: str) -> tuple[str, ...] | None:
        """Return the component names of the pipeline's output that reach it unchanged from this stage."""
        at = self.written.root
        while at is not None and at != node_id:
            node = self.written.nodes[at]
            keeps = is_option(node.op) or node.traits.same_components
            at = node.inputs[0] if keeps and node.inputs else None
        return self.written.keys if at is not None else None

    def _injected_view(self, node_id: str) -> StageView:
        node = self.executed.nodes[node_id]
        ids = dict(self.graphs.injected)
        ids |= {place: one.address for one in self.graphs.stages if (place := self.graphs.place(one)) is not None}
        inputs = [ids.get(self.executed.skip_options(input_)) for input_ in node.inputs]
        return StageView(
            id=self.graphs.injected[node_id],
            op=written_op(node.op),
            inputs=tuple(input_ for input_ in inputs if input_ is not None),
            arguments=_plain_arguments(node),
            element=_element(node),
            executed_op=node.op,
            injected=True,
            measured=self.rows.get(self.graphs.injected[node_id]),
        )

    def _arguments(self, stage: WrittenStage) -> dict[str, object]:
        row = traits(stage.op)
        if row.names_files:
            shuffle = next((one for node in stage.nodes if (one := self.written.nodes[node]).family == "Shuffle"), None)
            seed = _plain_arguments(shuffle).get("seed") if shuffle is not None else None
            return {"shuffle": shuffle is not None} | ({"seed": seed} if seed is not None else {})
        if row.rebatches:
            sizes = self.written.nodes[stage.head].arguments.get("batch_sizes")
            return {"batch_size": sizes} if sizes else {}
        if row.composed or row.python_iterator:
            return {}
        return _plain_arguments(self.written.nodes[stage.head])

    def _function(self, stage: WrittenStage) -> FunctionView | None:
        if traits(stage.op).composed:
            return None
        nodes = [self.written.nodes[node] for node in stage.nodes]
        if traits(stage.op).python_iterator:
            nodes = [node for node in nodes if node.family == "Generator"]
        node = next((node for node in reversed(nodes) if node.function is not None), None)
        if node is None or node.function is None:
            return None
        return FunctionView(
            ops=frozenset(op for op in node.function["ops"] if not is_dataset(op)),
            stateful_op=node.stateful_op,
            python=node.function["python"],
            random=node.function["random"],
            constant_bytes=node.function["constant_bytes"],
            elementwise=node.function["elementwise"],
            reads=frozenset(reads) if (reads := node.function["reads"]) is not None else None,
            writes=components_written(node),
        )

    def _constant(self, stage: WrittenStage, head: Node) -> bool | None:
        if not traits(stage.op).in_memory:
            return None
        # A spec is always built eagerly; of other sources the graph shows only those inside functions.
        return False if head.constant is None and self.graphs.by_address and head.owner is None else head.constant

    def _location(self, stage: WrittenStage, head: Node, row: Stage | None) -> Location | None:
        known = (row.location if row is not None else None) or self.locations.get(stage.address)
        if known is not None or not traits(stage.op).in_memory:
            return known
        element = _element(head)
        places = {(made["file"], made["line"]): _made_at(made) for made in self.made if _made_element(made) == element}
        return next(iter(places.values())) if len(places) == 1 else None

    def _made_parallel(self, head: Node, place: str | None) -> bool | None:
        if head.family != "Map":
            return False
        if place is None:
            return None
        runs = self.executed.nodes[place]
        return runs.traits.maps and executed(runs.op).asynchronous and runs.arguments.get("num_parallel_calls") != 1


def _plain_arguments(node: Node) -> dict[str, object]:
    """Return the arguments as written, by TensorFlow's names, without defaults that the graph spells out."""
    found: dict[str, object] = {}
    for name, value in node.arguments.items():
        if name in _TUNED and value == -1 and node.family != "Shuffle":
            found[name] = AUTOTUNE
        elif name == "deterministic":
            if value in ("true", "false", True, False):
                found[name] = value in ("true", True)
        elif name == "force_synchronous":
            if value:
                found["synchronous"] = True
        elif name in _DERIVED:
            continue
        elif name not in _DEFAULTS or value != _DEFAULTS[name]:
            found[name] = value
    # TensorFlow writes a seed as two numbers, the program's and the stage's own; 0 and 0 are none.
    program, own = node.arguments.get("seed"), found.pop("seed2", None)
    found.pop("seed", None)
    if program or own:
        found["seed"] = own
    if node.family == "Repeat" and found.get("count") == -1:
        del found["count"]
    return found


def _element(node: Node) -> tuple[ComponentView, ...] | None:
    if not node.output_types or len(node.output_types) != len(node.output_shapes):
        return None
    return tuple(ComponentView(*pair) for pair in zip(node.output_types, node.output_shapes, strict=True))


def _options(written: StageGraph, executed: StageGraph) -> dict[str, object]:
    """Return the options set by the user, without TensorFlow's own at run time (one pool thread per core)."""
    found = dict(written.options)
    if executed.root is not None and not executed.has("Model"):
        found["autotune.enabled"] = False
    return found


def _made_element(made: MadeDict) -> tuple[ComponentView, ...]:
    shapes = [None if shape is None else tuple(shape) for shape in made["shapes"]]
    return tuple(ComponentView(*pair) for pair in zip(made["types"], shapes, strict=True))


def _made_at(made: MadeDict) -> Location | None:
    return Location(file=as_typed(made["file"]), line=made["line"]) if made["file"] is not None else None


def _sources_only(made: Sequence[MadeDict]) -> Iterator[StageView]:
    for number, one in enumerate(made):
        element = _made_element(one)
        sizes = [component.nbytes for component in element]
        size = sum(known for known in sizes if known is not None) if None not in sizes else None
        yield StageView(
            id="source" if len(made) == 1 else f"source.inputs.{number}",
            op=one["method"],
            depth=0 if len(made) == 1 else 1,
            element=element,
            elements=one["elements"],
            source_bytes=None if size is None or one["elements"] is None else size * one["elements"],
            constant=one["traced"],
            location=_made_at(one),
        )


def _unread(stages: Sequence[Stage]) -> Iterator[StageView]:
    last: dict[int, str] = {}
    for stage in stages:
        below = last.get(stage.depth)
        yield StageView(
            id=stage.id,
            op=stage.op,
            name=stage.name,
            inputs=(below,) if below is not None and not stage.depth else (),
            depth=stage.depth,
            location=stage.location,
            executed_op=stage.tf_op,
            injected=stage.origin == "injected",
            measured=stage,
        )
        if stage.origin == "written":
            last[stage.depth] = stage.id


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
