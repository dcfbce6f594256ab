"""Costs of executed datasets over a measured window, from pairs of model snapshots.

Counters are read as differences. ``repeat``, ``interleave`` and ``flat_map`` throw iterators away while they run, and
the counters with them: what is left shows only the iterators alive at the end of a window, and what they did in it.
The missing part is extrapolated by elements: everything the next stage produced came through this one, at the cost per
element observed in all segments together. `Cost.seen` is the observed share; more segments raise it. The input of a
buffer is its output plus its growth, also after its own input has ended; the time of a shuffle is scaled by that, as
most of it is filling.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeprof.pipelines.graph.align import match
from pipeprof.pipelines.graph.costs.stretches import (
    Lost,
    Ratio,
    Segment,
    Stretch,
    count_lost,
    count_ratios,
    elements_of_pass,
    read_passes,
)
from pipeprof.pipelines.graph.elements import cardinalities
from pipeprof.pipelines.graph.read.records import ModelDict, ModelNodeDict
from pipeprof.pipelines.graph.stages import StageGraph

# Limits of extrapolation: this few elements do not represent so many times their number.
_FEW, _MOST_SCALED = 64, 50.0
LEAST_SEEN = 0.01
"""Share of the elements that a cost must have been seen of, so that the others are taken to cost the same."""
_TUNED = ("parallelism", "buffer_size")


@dataclass
class IteratorState:
    """What the model has of all iterators of one executed dataset at its readings: the last one, if not said."""

    buffered_bytes: int = 0
    """At the reading at which it held most elements; so are `buffered_elements`."""
    buffered_elements: float = 0.0
    parallelism: float | None = None
    most_parallelism: float | None = None
    buffer_size: float | None = None
    tunable: bool | None = None
    most_iterators: int = 0
    lifetime_elements: int = 0
    lifetime_bytes: int = 0

    def read(self, nodes: list[ModelNodeDict], helpers: frozenset[int]) -> None:
        """Take one reading."""
        held = sum(node["buffered_elements"] for node in nodes)
        if held >= self.buffered_elements or not self.most_iterators:
            self.buffered_elements, self.buffered_bytes = held, sum(node["buffered_bytes"] for node in nodes)
        own = [node for node in nodes if node["id"] not in helpers]
        self.most_iterators = max(self.most_iterators, len(own))
        self.lifetime_elements = sum(node["num_elements"] for node in own)
        self.lifetime_bytes = sum(node["bytes_produced"] for node in own)
        for name in ("parallelism", "buffer_size"):
            values = [node["parameters"][name]["state_value"] for node in nodes if name in node["parameters"]]
            if values:
                setattr(self, name, max(values))
        if self.parallelism is not None:
            self.most_parallelism = max(self.most_parallelism or 0.0, self.parallelism)
        flags = [one["tunable"] for node in nodes for name, one in node["parameters"].items() if name in _TUNED]
        self.tunable = any(flags) if flags else None


@dataclass
class Cost:
    """Sums over all iterators of one executed dataset."""

    seconds: float = 0.0
    """Time inside the stage itself, summed over threads (wall time, see `records`)."""
    elements: float = 0.0
    """Elements that it produced, unobserved ones included."""
    bytes_produced: float = 0.0
    seen: float = 1.0
    """Share of the elements whose cost was observed; the rest is extrapolated."""
    unseen: bool = False
    """Whether its iterators ran but nearly all had ended when the model was read: the sums are invalid."""
    inputs: float | None = None
    """Elements that went into it, for a buffer."""
    pass_elements: int | None = None
    """Elements of one pass over it, where another dataset repeats it and passes ended."""
    state: IteratorState = field(default_factory=IteratorState)


@dataclass
class Costs:
    """Costs by executed dataset, and the names and time of the model's nodes that could not be placed."""

    by_id: dict[str, Cost] = field(default_factory=dict)
    unattributed_seconds: float = 0.0
    unattributed: list[str] = field(default_factory=list)
    ratios: Mapping[str, Ratio] = field(default_factory=dict)
    """Elements that a dataset took of its input for one of its own, by dataset."""
    lost: Sequence[Lost] = ()
    """Elements that raised an error, which another dataset swallowed."""
    of_parts: Mapping[str, float] = field(default_factory=dict)
    """Elements of datasets that are read one after the other, by dataset."""


@dataclass
class _Sum:
    """Sums of one dataset over the segments: observed costs, and expected elements."""

    seconds: float = 0.0
    seen: int = 0
    produced: int = 0
    expected: float = 0.0
    covered: int = 0
    """Elements of the whole pipeline in the segments with a known ``expected``."""
    placed: bool = False
    inputs: float | None = None
    inputs_seen: float = 0.0
    """Elements that went into a buffer: expected in total, and observed in live iterators."""
    state: IteratorState = field(default_factory=IteratorState)


def measure(executed: StageGraph, segments: Sequence[Segment]) -> Costs:
    """Sum up ``segments``, pairs of snapshots of one iterator each, in the order they were taken."""
    epochs: list[list[Stretch]] = []
    known: dict[int, str] = {}
    previous: ModelDict | None = None
    for first, last in segments:
        if previous is None or _is_new(previous, first):
            known = {}
            epochs.append([])
        before = match(executed, first, known)
        known = {**known, **before.places}
        after = match(executed, last, known)
        known = {**known, **after.places}
        epochs[-1].append(Stretch(executed, first, last, before, after))
        previous = last
    counts, passes = cardinalities(executed), read_passes(executed, epochs)
    ratios = count_ratios(executed, epochs, passes, counts)
    costs = Costs(ratios=ratios, lost=count_lost(executed, epochs, counts))
    sums: dict[str, _Sum] = defaultdict(_Sum)
    elements = sum(_add(costs, sums, segment, ratios) for epoch in epochs for segment in epoch)
    costs.of_parts = _count_parts(executed, counts, sums, elements)
    costs.by_id = {
        place: replace(
            _cost(total, elements, costs.of_parts.get(place, math.inf)),
            pass_elements=elements_of_pass(*passes.get(place, ((), ()))),
        )
        for place, total in sums.items()
        if total.placed
    }
    return costs


def _is_new(previous: ModelDict, first: ModelDict) -> bool:
    earlier = {node["id"]: node for node in previous["nodes"]}
    root, now = earlier.get(first["output"]), {node["id"]: node for node in first["nodes"]}.get(first["output"])
    return root is None or now is None or now["num_elements"] < root["num_elements"]


def _add(costs: Costs, sums: dict[str, _Sum], segment: Stretch, ratios: Mapping[str, Ratio]) -> int:
    root = segment.after.root
    elements = segment.delta(root, "num_elements") if root is not None else 0
    expectations = segment.expected(ratios)
    for place, expected in expectations.items():
        total = sums[place]
        node = segment.executed.nodes[place]
        if node.traits.buffers and node.inputs and expected is not None:
            below = expectations.get(segment.executed.skip_options(node.inputs[0]))
            total.inputs = (total.inputs or 0.0) + (below or 0.0)
            total.inputs_seen += segment.inputs_seen(place)
        if expected is not None:
            total.covered += elements
            total.expected += expected
        total.seen += segment.total(place, "num_elements")
        total.seconds += segment.total(place, "processing_time", helpers=True) / 1e9
        total.produced += segment.total(place, "bytes_produced")
        if segment.ids.get(place):
            total.state.read([segment.last[node] for node in segment.ids[place]], segment.after.helpers)
        total.placed |= bool(segment.ids.get(place) or segment.ids_before.get(place))
    for lost in segment.after.unattributed:
        costs.unattributed_seconds += segment.delta(lost, "processing_time") / 1e9
        costs.unattributed.append(segment.last[lost]["name"])
    return elements


def _count_parts(
    executed: StageGraph, counts: Mapping[str, int | None], sums: Mapping[str, _Sum], elements: int
) -> dict[str, float]:
    """Return the elements of datasets that another one reads one after the other, and of what is below them.

    What the readings had of a part while it was at work does not hold for the rest of the window. Each has as many
    passes as the dataset that joins them.
    """
    found: dict[str, float] = {}
    for join in reversed(list(executed.walk())):
        length, total = counts.get(join.id), sums.get(join.id)
        if join.traits.cardinality != "sum" or join.id in found or not length or length < 0:
            continue
        if total is None or total.covered <= 0:
            continue
        passes = total.expected * elements / total.covered / length
        todo = list(join.inputs)
        while todo:
            place = executed.skip_options(todo.pop())
            node, number = executed.nodes[place], counts.get(place)
            if place not in found and number is not None and number >= 0 and not node.traits.restarts:
                found[place] = number * passes
                todo += node.inputs
    return found


def _cost(total: _Sum, elements: int, most: float = math.inf) -> Cost:
    """Convert sums to a cost, extrapolating the unobserved part; ``elements`` are those of the whole pipeline."""
    if total.covered <= 0 < elements:
        return Cost(state=total.state, unseen=True, seen=0.0)
    whole = elements / total.covered if total.covered else 1.0
    expected = min(total.expected * whole, max(most, total.seen))
    inputs = None
    if total.inputs is not None:
        inputs = max(0.0, min(total.inputs * whole, max(most, total.inputs_seen)))
    if total.seen == 0:
        if expected > 0:
            return Cost(state=total.state, unseen=True, seen=0.0)
        return Cost(state=total.state, seconds=total.seconds, inputs=inputs)
    scale = expected / total.seen
    times = inputs / total.inputs_seen if inputs and total.inputs_seen >= 1 <= inputs else scale
    # The first elements may be much more expensive than later ones, e.g. when they start processes.
    few = total.seen < _FEW and scale > _MOST_SCALED
    if few or max(scale, times) * LEAST_SEEN > 1:
        return Cost(state=total.state, unseen=True, seen=1 / max(scale, times), elements=expected)
    return Cost(
        state=total.state,
        seconds=total.seconds * times,
        inputs=inputs,
        elements=expected,
        bytes_produced=total.produced * scale,
        seen=min(1.0, 1 / scale) if scale else 1.0,
    )
