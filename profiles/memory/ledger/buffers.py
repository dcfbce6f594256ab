"""Buffered bytes and elements of the stages at each look at the running pipeline."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeprof.pipelines.graph.align import StageGraphs, match
from pipeprof.pipelines.graph.read.records import ModelDict, ModelNodeDict
from pipeprof.pipelines.graph.stages import StageGraph, WrittenStage
from pipeprof.pipelines.meaning.traits import holder, traits
from pipeprof.profiles.document.base import Owner
from pipeprof.profiles.document.shared import PhaseName
from pipeprof.profiles.protocol.messages import PipelineLook

_TUNED = ("parallelism", "buffer_size")


@dataclass(frozen=True)
class Buffered:
    """Buffer of one stage at a look."""

    owner: Owner
    bytes: int
    elements: float
    room: float = 0.0
    """Free places for elements: it may have held as many more between two looks."""
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
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    owners: dict[str, Owner] = {}
    for node in model["nodes"]:
        place, stage = places.get(node["id"]), by_node.get(node["id"])
        if stage is None:
            continue
        size = node["parameters"].get("buffer_size")
        room = max(0.0, size["state_value"] - node["buffered_elements"]) if size is not None else 0.0
        if not node["buffered_elements"] and not room:
            continue
        held = holder(kind_of(node)) if place is None else None
        owner = held[0] if held is not None else traits(after.nodes[place or ""].op).holds or "parallel"
        owners.setdefault(stage, owner)
        sums[stage][0] += node["buffered_bytes"]
        sums[stage][1] += node["buffered_elements"]
        sums[stage][2] += room
    return {stage: Buffered(owners[stage], int(one[0]), one[1], one[2]) for stage, one in sums.items()}
