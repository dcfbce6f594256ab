"""What the stages hold at each look at the running pipeline: elements as the model counts them, times their size."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.graph.align import StageGraphs, match
from pipeprof.pipelines.graph.read.records import ModelDict, ModelNodeDict
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.meaning.traits import RETAINING_OWNERS, traits
from pipeprof.profiles.document.memory import MemorySeries
from pipeprof.profiles.memory.element_size import (
    batch_size_of,
    bytes_kept_by_slices,
    components,
    element_size,
    own_components,
    own_size,
)
from pipeprof.profiles.memory.predict import cache_overhead, fused_batch, memory_prediction, shuffle_overhead

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Owner
    from pipeprof.profiles.document.shared import PhaseName
    from pipeprof.profiles.protocol.messages import PipelineLook
    from pipeprof.profiles.view.view import PipelineView, StageView

_UNSIZED = frozenset({"string", "variant"})


@dataclass(frozen=True)
class Buffered:
    """What one stage holds at a look.

    Attributes:
        bytes: 0 where they are not known.
        counted: They are the model's, bounded by what the shapes say; else elements times their measured size.
    """

    owner: Owner
    bytes: int
    elements: float
    counted: bool = True


@dataclass(frozen=True)
class Look:
    """The pipeline at one moment.

    Attributes:
        t: Seconds of the system's monotonic clock.
        live: Bytes of tensors in TensorFlow's pool.
        ram_budget: Bytes that AUTOTUNE allows its buffers.
        rss: Resident memory of the process, without its children.
    """

    t: float
    phase: PhaseName
    steps: int
    epoch: int
    live: int | None
    by_stage: Mapping[str, Buffered] = field(default_factory=dict)
    ram_budget: float | None = None
    rss: int | None = None

    @property
    def total(self) -> int:
        """Bytes in all buffers."""
        return sum(buffered.bytes for buffered in self.by_stage.values())


def map_looks(graphs: StageGraphs, looks: Sequence[PipelineLook]) -> list[Look]:
    """Return the worker's looks with the model's buffers at their stages."""
    if not graphs.is_read:
        return []
    stages = dict(graphs.injected)
    for stage in graphs.stages:
        stages |= {place: stage.address for place in graphs.places(stage) if place not in stages}
    found: list[Look] = []
    known: dict[int, str] = {}
    epoch = None
    for look in looks:
        known, epoch = (known if look.epoch == epoch else {}), look.epoch
        places = match(graphs.executed, look.model, known).places
        known = {**known, **places}
        found.append(
            Look(
                look.t,
                look.phase,
                look.steps,
                look.epoch,
                look.live,
                _by_stage(graphs.executed, look.model, places, stages),
                look.model["ram_budget"],
                look.rss,
            )
        )
    return found


def kind_of(node: ModelNodeDict) -> str:
    """Return the model's name of an iterator, without a version."""
    return re.sub(r"V\d+$", "", node["name"])


def _by_stage(
    executed: StageGraph, model: ModelDict, places: Mapping[int, str], stages: Mapping[str, str]
) -> dict[str, Buffered]:
    found: dict[str, Buffered] = {}
    for node in model["nodes"]:
        place = places.get(node["id"])
        if place is None or place not in stages or not node["buffered_elements"]:
            continue
        before = found.get(stages[place], Buffered(traits(executed.nodes[place].op).holds or "parallel", 0, 0.0))
        nbytes, elements = before.bytes + int(node["buffered_bytes"]), before.elements + node["buffered_elements"]
        found[stages[place]] = Buffered(before.owner, nbytes, elements)
    return found


def sized_looks(view: PipelineView, looks: Sequence[Look], batch: float | None, most: int | None) -> list[Look]:
    """Return the looks with the bytes that the stages' elements take.

    TensorFlow's model counts what goes into a buffer and what comes out of it: a slice as the tensor that it is a part
    of, and neither letters nor what a ragged tensor is made of. Where the shapes say how large an element is, a buffer
    holds no more than that; where the model cannot tell, the element's measured size counts.

    Args:
        batch: Measured bytes of what the step is given.
        most: The most that the process ever had, in bytes.
    """
    views = {one.stage for one in memory_prediction(view).held if one.how == "alias"}

    def sized(name: str, there: Buffered, limit: int | None) -> Buffered:
        stage = view.by_id.get(name)
        if name in views or there.elements <= 0:
            return replace(there, bytes=0)
        if stage is None:
            return there
        known = _sized(view, stage, there, batch, limit)
        return known if limit is None else replace(known, bytes=min(known.bytes, limit))

    return [
        replace(look, by_stage={name: sized(name, there, look.rss or most) for name, there in look.by_stage.items()})
        for look in looks
    ]


def _sized(view: PipelineView, stage: StageView, there: Buffered, batch: float | None, most: int | None) -> Buffered:
    given = given_to(view, stage, there.owner)
    element = components(view, given)
    dtypes = {one.dtype for one in element}
    sizes = [one.nbytes for one in element if one.nbytes is not None]
    nbytes: float = there.bytes
    if sizes and len(sizes) == len(element):
        nbytes = min(nbytes, there.elements * sum(sizes))
    counted = dtypes.isdisjoint(_UNSIZED) and 0 <= nbytes <= (math.inf if most is None else most)
    if not counted:
        nbytes = there.elements * _measured_size(view, given, batch if "variant" in dtypes else None)
    if there.owner in RETAINING_OWNERS or there.owner == "prefetch":
        whole, own = element_size(view, given), own_size(view, given)
        nbytes *= own.bytes / whole.bytes if whole is not None and own is not None and whole.bytes else 1.0
    if there.owner == "cache":
        nbytes += there.elements * cache_overhead(own_components(view, given))
    if there.owner == "shuffle":
        nbytes += there.elements * shuffle_overhead(view, given) + bytes_kept_by_slices(view, given, there.elements)
    return replace(there, bytes=round(nbytes), counted=counted)


def given_to(view: PipelineView, stage: StageView, owner: Owner) -> StageView:
    """Return the stage whose elements another one holds: its input, itself, or the batch that a map fills itself."""
    if owner not in ("parallel", "batch"):
        return view.input_of(stage) or stage
    return fused_batch(view, stage) or stage


def _measured_size(view: PipelineView, given: StageView, batch: float | None) -> float:
    """Return bytes of an element that the model does not count; of a ragged one its part of a batch at least.

    No part of it where a function makes something else of the elements.
    """
    line = list(view.above(given))
    changed = any(traits(one.op).maps or traits(one.op).opens for one in line)
    rows = math.prod(batch_size_of(one) or 1 for one in line if not traits(one.op).rebatches)
    return max(given.element_bytes or 0.0, 0.0 if changed else (batch or 0.0) / rows)


def memory_series(looks: Sequence[Look], origin: float) -> MemorySeries | None:
    """Build the series of buffered bytes by stage and of TensorFlow's live bytes, from the time `origin` on."""
    if not looks:
        return None
    stages = sorted({stage for look in looks for stage in look.by_stage})
    return MemorySeries(
        seconds=[round(look.t - origin, 3) for look in looks],
        epoch=[look.epoch for look in looks],
        live_bytes=[look.live for look in looks],
        stages={stage: [_held_at(look, stage) for look in looks] for stage in stages},
    )


def _held_at(look: Look, stage: str) -> int | None:
    one = look.by_stage.get(stage)
    return 0 if one is None else one.bytes if one.counted or one.bytes else None
