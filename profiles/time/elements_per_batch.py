"""Elements of a batch of the loop, and batches of the whole data set behind a measured sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeprof.pipelines.graph.elements import SINGLE, Batching, final_elements
from pipeprof.pipelines.graph.read.records import dataset_node
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.lines import lines_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeprof.pipelines.graph.read.records import GraphDict
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage

CLOSE = 0.05
"""Elements that buffers took ahead, as a share: so far the counters of two stages may differ from what passed."""


def elements_per_batch(
    written: StageGraph | None,
    stages: Sequence[Stage],
    length: float | None,
    *,
    by_address: bool = True,
    ops: Mapping[str, str] | None = None,
) -> float | None:
    """Elements in a batch, on average; 1 for single scalars, None if unknown.

    Args:
        written: The graph as written; where there is none, the stages stand in for it.
        length: Mean length of the batches: the first dimension of the first component that has one.
        by_address: The names in the graph are addresses of a spec.
        ops: For a spec, what it calls the source or stage at every address.
    """
    graph = written if written is not None and written.root is not None else StageGraph.from_dict(_chain(stages))
    found = final_elements(graph)
    if not isinstance(found, Batching):
        return 1.0 if found is SINGLE else None
    if found.exact:
        return length
    if found.whole and found.size is not None:
        return float(found.size)
    return _by_counters(found, length, _counted(graph, found, stages, by_address=by_address, ops=ops))


def _chain(stages: Sequence[Stage]) -> GraphDict:
    """The written stages outside of functions, one reading the other; what functions make of batches stays unknown."""
    line = lines_of(stages).get("", [])
    inputs = [[], *([stage.id] for stage in line)]
    nodes = [dataset_node(stage.id, stage.op, below) for stage, below in zip(line, inputs, strict=False)]
    return {"root": line[-1].id if line else None, "reason": None, "nodes": nodes}


def _counted(
    graph: StageGraph, found: Batching, stages: Sequence[Stage], *, by_address: bool, ops: Mapping[str, str] | None
) -> float | None:
    """Elements that went into the batching stage for every batch, by the model's counters."""
    rows = {row.id: row for row in stages}
    for stage in graph.stages(by_address=by_address, ops=ops):
        if stage.head != found.node or len(stage.inputs) != 1:
            continue
        batches = rows[stage.address].elements if stage.address in rows else None
        elements = rows[stage.inputs[0]].elements if stage.inputs[0] in rows else None
        return elements / batches if elements is not None and batches else None
    return None


def _by_counters(found: Batching, length: float | None, counted: float | None) -> float | None:
    """The length or the size of a full batch, where the counters agree with one of them."""
    candidates = [float(number) for number in (length, found.size) if number is not None]
    if counted is None:
        return candidates[0] if len(set(candidates)) == 1 and len(candidates) > 1 else None
    return next((number for number in candidates if abs(number - counted) <= CLOSE * counted), None)


_DATA_FROM: Final = 0.02
"""Bytes of a source over those that come out later, from which they are the data, and not names or row numbers."""


def whole_batches(profile: Profile) -> float | None:
    """Return the batches of an epoch of the whole data set, by its elements or bytes; None if unknown."""
    wanted, flow = profile.data_size, profile.throughput
    if wanted is None:
        return None
    if wanted.elements is not None:
        if flow is None or not flow.elements_per_second or not flow.batches_per_second:
            return None
        return wanted.elements / flow.elements_per_second * flow.batches_per_second
    per_batch = _source_bytes(profile)
    return wanted.bytes / per_batch if wanted.bytes is not None and per_batch else None


def whole_epoch_seconds(profile: Profile) -> float | None:
    """Return how long an epoch of the whole data set takes at the measured pace; None where its size does not tell."""
    batches, steps = whole_batches(profile), profile.steps
    return batches * steps.interval_ms.mean / 1e3 if batches and steps is not None else None


def _source_bytes(profile: Profile) -> float:
    """Bytes per batch of the sources that hold the data; 0 where none does, or one of them is unknown."""
    stages = profile.stages or ()
    most = max((stage.bytes_out_per_batch or 0.0 for stage in stages), default=0.0)
    sources = [one for one in stages if one.id.rpartition(".")[2] == "source" and not traits(one.op).names_files]
    given = sum(one.bytes_out_per_batch or 0.0 for one in sources)
    return given if given >= _DATA_FROM * most else 0.0
