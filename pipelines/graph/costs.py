"""What each executed dataset cost over a measured window, from pairs of model snapshots.

Counters are read as differences. ``repeat``, ``interleave`` and ``flat_map`` throw iterators away while they run, and
the counters with them: what is left shows only the iterators alive at the end of a window (and what they did in it).
The missing part is filled in by scaling with elements: every element that the stage above gave out came through this
one. `Cost.seen` says how much was seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeprof.pipelines.graph.align import Matched, match
from pipeprof.pipelines.graph.opnames import RESTARTS
from pipeprof.pipelines.graph.records import ModelDict, ModelNodeDict
from pipeprof.pipelines.graph.stages import Node, StageGraph

Segment = tuple[ModelDict, ModelDict]


@dataclass
class Cost:
    """Sums over all iterators of one executed dataset."""

    seconds: float = 0.0
    """Time inside the stage itself, summed over threads (wall time, see `records`)."""
    elements: float = 0.0
    bytes_produced: float = 0.0
    bytes_consumed: float = 0.0
    seen: float = 1.0
    """Share of the elements whose cost was seen; the rest was scaled."""
    unseen: bool = False
    """Iterators were at work but none could be read; the sums leave them out."""
    buffered_bytes: int = 0
    buffered_elements: float = 0.0
    parallelism: float | None = None
    buffer_size: float | None = None
    tunable: bool | None = None
    iterators: int = 0
    """How many were alive at the end."""
    lifetime_elements: int = 0
    lifetime_bytes: int = 0


@dataclass
class Costs:
    """Costs by executed dataset, and what belongs to none."""

    by_id: dict[str, Cost] = field(default_factory=dict)
    unattributed_seconds: float = 0.0
    unattributed: list[str] = field(default_factory=list)
    """Names of the model's nodes that could not be placed."""
    iterator_seconds: float = 0.0
    """Time of the iterator itself, outside of all stages."""


def measure(executed: StageGraph, segments: Sequence[Segment]) -> Costs:
    """Sums up ``segments``, pairs of snapshots of one iterator each, in the order they were taken."""
    costs = Costs()
    known: dict[int, str] = {}
    previous: ModelDict | None = None
    for first, last in segments:
        if previous is not None and first["nodes"] and _is_new(previous, first):
            known = {}
        before = match(executed, first, known)
        known = {**known, **before.places}
        after = match(executed, last, known)
        known = {**known, **after.places}
        _add(costs, _Segment(executed, first, last, before, after))
        previous = last
    return costs


def _is_new(previous: ModelDict, first: ModelDict) -> bool:
    """Whether the two are of different iterators: counters of one never fall."""
    earlier = {node["id"]: node for node in previous["nodes"]}
    root, now = earlier.get(first["output"]), {node["id"]: node for node in first["nodes"]}.get(first["output"])
    return root is None or now is None or now["num_elements"] < root["num_elements"]


class _Segment:
    def __init__(
        self, executed: StageGraph, first: ModelDict, last: ModelDict, before: Matched, after: Matched
    ) -> None:
        self.executed = executed
        self.before, self.after = before, after
        self.first = {node["id"]: node for node in first["nodes"]}
        self.last = {node["id"]: node for node in last["nodes"]}
        self.ids = _by_place(after.places)
        self.ids_before = _by_place(before.places)

    def delta(self, node_id: int, key: str) -> int:
        now = int(self.last[node_id][key])  # type: ignore[literal-required]
        then = int(self.first[node_id][key]) if node_id in self.first else 0  # type: ignore[literal-required]
        return max(0, now - then)

    def total(self, place: str, key: str, *, helpers: bool = False) -> int:
        ids = self.ids.get(place, ())
        return sum(self.delta(one, key) for one in ids if helpers or one not in self.after.helpers)

    def factors(self) -> dict[str, float | None]:
        """By place: how much more went through it than was seen; None where nothing was seen."""
        found: dict[str, float | None] = {}
        if self.executed.root is not None:
            self._factor(self.executed.skip_options(self.executed.root), 1.0, found)
        return found

    def _factor(self, place: str, factor: float | None, found: dict[str, float | None]) -> None:
        if place in found:
            return
        found[place] = factor
        node = self.executed.nodes[place]
        for below, thrown_away in _below(self.executed, node):
            if node.family == "Cache":
                # Filled once; what is below does not run again with every epoch.
                self._factor(below, 1.0, found)
            elif thrown_away and self._changed(below):
                self._factor(below, self._scaled(place, below, factor), found)
            else:
                self._factor(below, factor, found)

    def _changed(self, place: str) -> bool:
        return set(self.ids.get(place, ())) != set(self.ids_before.get(place, ()))

    def _scaled(self, place: str, below: str, factor: float | None) -> float | None:
        given, seen = self.total(place, "num_elements"), self.total(below, "num_elements")
        if factor is None or given == 0:
            return factor
        return factor * max(1.0, given / seen) if seen else None


def _by_place(places: Mapping[int, str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for node_id, place in places.items():
        found[place].append(node_id)
    return found


def _below(executed: StageGraph, node: Node) -> list[tuple[str, bool]]:
    """The datasets below ``node``, and whether it makes their iterators anew while it runs."""
    restarts = node.family in RESTARTS
    inputs = [(executed.skip_options(one), restarts and not node.bodies) for one in node.inputs]
    return [*inputs, *((executed.skip_options(one), restarts) for one in node.bodies)]


def _add(costs: Costs, segment: _Segment) -> None:
    for place, factor in segment.factors().items():
        ids = segment.ids.get(place, ())
        if not ids and factor is not None and place not in costs.by_id:
            continue
        cost = costs.by_id.setdefault(place, Cost())
        seen = segment.total(place, "num_elements")
        scale = factor if factor is not None else 1.0
        cost.unseen |= factor is None
        _add_counters(cost, segment, place, seen, scale)
        if ids:
            _set_state(cost, [segment.last[one] for one in ids], segment.after.helpers)
    for one in segment.after.unattributed:
        costs.unattributed_seconds += segment.delta(one, "processing_time") / 1e9
        costs.unattributed.append(segment.last[one]["name"])
    if segment.after.root is not None:
        costs.iterator_seconds += segment.delta(segment.after.root, "processing_time") / 1e9


def _add_counters(cost: Cost, segment: _Segment, place: str, seen: int, scale: float) -> None:
    total = cost.elements + seen * scale
    if total > 0:
        cost.seen = (cost.seen * cost.elements + seen) / total
    cost.elements = total
    cost.seconds += scale * segment.total(place, "processing_time", helpers=True) / 1e9
    cost.bytes_produced += scale * segment.total(place, "bytes_produced")
    cost.bytes_consumed += scale * segment.total(place, "bytes_consumed")


def _set_state(cost: Cost, nodes: list[ModelNodeDict], helpers: frozenset[int]) -> None:
    """What is read as it stands at the end of a segment."""
    cost.buffered_bytes = sum(node["buffered_bytes"] for node in nodes)
    cost.buffered_elements = sum(node["buffered_elements"] for node in nodes)
    own = [node for node in nodes if node["id"] not in helpers]
    cost.iterators = len(own)
    cost.lifetime_elements = sum(node["num_elements"] for node in own)
    cost.lifetime_bytes = sum(node["bytes_produced"] for node in own)
    for name in ("parallelism", "buffer_size"):
        values = [node["parameters"][name]["state_value"] for node in nodes if name in node["parameters"]]
        if values:
            setattr(cost, name, max(values))
    flags = [one["tunable"] for node in nodes for name, one in node["parameters"].items() if name in _TUNED]
    cost.tunable = any(flags) if flags else None


_TUNED = ("parallelism", "buffer_size")
