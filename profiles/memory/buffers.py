"""Buffered bytes and elements of the stages at each look at the running pipeline."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeprof.pipelines.graph.align import StageGraphs, match
from pipeprof.pipelines.graph.read.records import ModelDict, ModelNodeDict
from pipeprof.pipelines.graph.stages import StageGraph, WrittenStage
from pipeprof.pipelines.meaning.traits import holder, traits
from pipeprof.profiles.document.base import Owner
from pipeprof.profiles.document.shared import PhaseName
from pipeprof.profiles.memory.predict.element_size import components
from pipeprof.profiles.memory.predict.execution import fused_batch
from pipeprof.profiles.protocol.messages import PipelineLook
from pipeprof.profiles.view.view import PipelineView, StageView

_TUNED = ("parallelism", "buffer_size")
_UNSIZED = frozenset({"string", "variant"})


@dataclass(frozen=True)
class Buffered:
    """Buffer of one stage at a look."""

    owner: Owner
    bytes: int
    elements: float
    counted: bool = True
    """Its bytes are known; else they are 0, and the elements are all that is."""


@dataclass(frozen=True)
class Look:
    """The pipeline at one moment.

    Attributes:
        t: Seconds of the system's monotonic clock.
        live: Bytes of tensors in TensorFlow's pool.
        ram_budget: Bytes that AUTOTUNE allows its buffers.
        rss: Resident memory of the process, without its children.
        tuned: What AUTOTUNE has in force, by stage: calls at a time, or the size of a buffer in elements.
    """

    t: float
    phase: PhaseName
    steps: int
    epoch: int
    live: int | None
    by_stage: Mapping[str, Buffered] = field(default_factory=dict)
    ram_budget: float | None = None
    rss: int | None = None
    tuned: Mapping[str, float] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Bytes in all buffers."""
        return sum(buffered.bytes for buffered in self.by_stage.values())


def map_looks(graphs: StageGraphs, looks: Sequence[PipelineLook]) -> list[Look]:
    """Return the worker's looks with the model's buffers at their stages."""
    if not graphs.is_read:
        return []
    stages, alone = _stages_by_place(graphs), _unique_stages(graphs.stages)
    executed = graphs.executed
    found: list[Look] = []
    known: dict[int, str] = {}
    epoch = None
    for look in looks:
        if look.epoch != epoch:
            known, epoch = {}, look.epoch
        places = match(executed, look.model, known).places
        known = {**known, **places}
        by_node = _stages_of(look.model, places, stages, alone)
        found.append(
            Look(
                look.t,
                look.phase,
                look.steps,
                look.epoch,
                look.live,
                _by_stage(executed, look.model, places, by_node),
                look.model["ram_budget"],
                look.rss,
                _tuned(look.model, by_node),
            )
        )
    return found


def _stages_by_place(graphs: StageGraphs) -> dict[str, str]:
    found: dict[str, str] = {}
    for stage in graphs.stages:
        for place in graphs.places(stage):
            found.setdefault(place, stage.address)
    return graphs.injected | found


def kind_of(node: ModelNodeDict) -> str:
    """Return the model's name of an iterator, without a version."""
    return re.sub(r"V\d+$", "", node["name"])


def _unique_stages(stages: Sequence[WrittenStage]) -> dict[str, str]:
    many = Counter(stage.op for stage in stages)
    return {stage.op: stage.address for stage in stages if many[stage.op] == 1}


def _by_name(model: ModelDict, places: Mapping[int, str], alone: Mapping[str, str]) -> dict[int, str]:
    """Return the stages of iterators whose place is not known, where there is one of a kind on both sides."""
    many = Counter(kind_of(node) for node in model["nodes"])
    found = {}
    for node in model["nodes"]:
        kind = kind_of(node)
        if node["id"] not in places and many[kind] == 1 and (held := holder(kind)) is not None and held[1] in alone:
            found[node["id"]] = alone[held[1]]
    return found


def _stages_of(
    model: ModelDict, places: Mapping[int, str], stages: Mapping[str, str], alone: Mapping[str, str]
) -> dict[int, str]:
    """The stage of each iterator, where it is known."""
    placed = {node: stages[place] for node, place in places.items() if place in stages}
    return _by_name(model, places, alone) | placed


def _tuned(model: ModelDict, by_node: Mapping[int, str]) -> dict[str, float]:
    """What AUTOTUNE has in force for each stage that it tunes; of several iterators the most."""
    found: dict[str, float] = {}
    for node in model["nodes"]:
        stage, known = by_node.get(node["id"]), node["parameters"]
        chosen = next((known[name] for name in _TUNED if name in known and known[name]["tunable"]), None)
        if stage is not None and chosen is not None:
            found[stage] = max(found.get(stage, 0.0), chosen["state_value"])
    return found


def _by_stage(
    after: StageGraph, model: ModelDict, places: Mapping[int, str], by_node: Mapping[int, str]
) -> dict[str, Buffered]:
    found: dict[str, Buffered] = {}
    for node in model["nodes"]:
        place, stage = places.get(node["id"]), by_node.get(node["id"])
        if stage is None or not node["buffered_elements"]:
            continue
        held = holder(kind_of(node)) if place is None else None
        owner = held[0] if held is not None else traits(after.nodes[place or ""].op).holds or "parallel"
        before = found.get(stage, Buffered(owner, 0, 0.0))
        nbytes, elements = before.bytes + int(node["buffered_bytes"]), before.elements + node["buffered_elements"]
        found[stage] = Buffered(before.owner, nbytes, elements)
    return found


def given_to(view: PipelineView, stage: StageView, owner: Owner) -> StageView:
    """Return the stage whose elements another one holds: its input, itself, or the batch that a map fills itself."""
    if owner not in ("parallel", "batch"):
        return view.input_of(stage) or stage
    return fused_batch(view, stage) or stage


def possible_looks(view: PipelineView, looks: Sequence[Look], most: int | None) -> list[Look]:
    """The looks without impossible counts.

    TensorFlow's model counts what goes into a buffer and what comes out of it. It counts a slice as the tensor that it
    is a part of, and a fused stage may take out what it never put in. Where the shapes say how large an element is,
    a buffer holds no more than that; where they do not, and the count is negative or more than the process had, how
    much it holds is unknown.

    Args:
        most: The most that the process ever had, in bytes.
    """
    return [
        replace(
            look,
            by_stage={stage: _possible(view, stage, one, look.rss or most) for stage, one in look.by_stage.items()},
        )
        for look in looks
    ]


def _possible(view: PipelineView, stage_id: str, there: Buffered, most: int | None) -> Buffered:
    stage = view.by_id.get(stage_id)
    element = components(view, given_to(view, stage, there.owner)) if stage is not None else ()
    sizes = [None if component.dtype in _UNSIZED else component.nbytes for component in element]
    known = [size for size in sizes if size is not None]
    nbytes = there.bytes
    if known and len(known) == len(sizes) and there.elements >= 0:
        nbytes = min(nbytes, round(there.elements * sum(known)))
    if nbytes < 0 or (most is not None and nbytes > most):
        return replace(there, bytes=0, counted=False)
    return replace(there, bytes=nbytes)
