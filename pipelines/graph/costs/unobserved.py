"""What the model does not count: elements without a live iterator, calls of functions, threads."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeprof.pipelines.graph.costs.costs import Cost, Costs
from pipeprof.pipelines.graph.costs.stretches import fixed_ratio
from pipeprof.pipelines.graph.elements import cardinalities
from pipeprof.pipelines.graph.opnames import is_option
from pipeprof.pipelines.graph.stages import Node, StageGraph, readers_first, reads
from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.pipelines.meaning.executed_ops import executed as executed_op

_ALL_FROM, _NONE_BELOW = 0.9, 0.02
"""Traced input elements of a cache per output element: at least this many if it is filled again, fewer if it serves."""


def unread_elements(executed: StageGraph, costs: Costs, traced: Mapping[str, float]) -> dict[str, float]:
    """Return element counts in the measured window for executed datasets without a cost, where known."""
    walk = _CountInference(executed, costs, traced)
    if executed.root is not None and traced:
        top = executed.skip_options(executed.root)
        if walk.is_read(top):
            walk.below(top, costs.by_id[top].elements)
    return walk.found


@dataclass
class _CountInference:
    executed: StageGraph
    costs: Costs
    traced: Mapping[str, float]
    found: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        readers = (node for node in self.executed.walk() if not is_option(node.op))
        self._readers = Counter(
            self.executed.skip_options(name) for node in readers for name in (*node.inputs, *node.bodies)
        )

    def is_read(self, place: str) -> bool:
        return place in self.costs.by_id and not self.costs.by_id[place].unseen

    def below(self, top: str, elements_of_top: float | None) -> None:
        todo = [(top, elements_of_top)]
        while todo:
            place, elements = todo.pop()
            node = self.executed.nodes[place]
            for name in (*node.inputs, *node.bodies):
                below = self.executed.skip_options(name)
                if self._readers[below] > 1:
                    # It is unknown for which of them it ran.
                    continue
                if self.is_read(below):
                    todo.append((below, self.costs.by_id[below].elements))
                    continue
                barely = self.costs.by_id[below].elements if below in self.costs.by_id else 0.0
                through = self.costs.of_parts.get(below) or barely or self._input_count(node, below, elements)
                if through is not None:
                    self.found[below] = through
                todo.append((below, through))

    def _input_count(self, node: Node, below: str, elements: float | None) -> float | None:
        if elements is None:
            return None
        traits = node.traits
        if traits.buffers and self.is_read(node.id):
            inputs = self.costs.by_id[node.id].inputs
            return inputs if inputs is not None else elements
        if elements <= 0:
            # A live iterator may have run ahead.
            return None if below in self.costs.by_id else 0.0
        size = node.arguments.get("batch_size")
        if traits.buffers or traits.takes_one or (traits.one_to_one and not traits.stores):
            return elements
        if traits.stacks and isinstance(size, int) and size > 0:
            return elements * size
        return self._traced_count(node, below, elements)

    def _traced_count(self, node: Node, below: str, elements: float) -> float | None:
        mine, theirs = self.traced.get(node.id, 0.0), self.traced.get(below, 0.0)
        each = theirs / mine if mine else 0.0
        if not node.traits.stores:
            return elements * each if each else None
        if mine and each <= _NONE_BELOW:
            return None if below in self.costs.by_id else 0.0
        return elements if each >= _ALL_FROM else None


_AGREES = 0.05
"""Tolerance of the counters for a number that the graph does not fix: buffers that fill move them."""
_CONTRADICTS = 0.5
"""Tolerance for a number that the graph fixes."""


@dataclass(frozen=True)
class _Flow:
    """Elements per batch; `exact` where the graph fixes them."""

    number: float | None = None
    exact: bool = False


def calls_per_batch(executed: StageGraph, costs: Costs, unread: Mapping[str, float], batches: int) -> dict[str, float]:
    """Return the calls of each dataset's functions, by id; only of those where they are known.

    Args:
        unread: Elements in the measured window of datasets without a model sample, where known.
    """
    order = readers_first(executed)
    if not order or not batches:
        return {}
    walk = _Walk(costs, unread, batches, cardinalities(executed))
    walk.given[order[0].id].append(_Flow(1.0, exact=True))
    for node in order:
        walk.pass_through(node, executed)
    found = {node.id: walk.calls(node, executed) for node in order}
    return {place: number for place, number in found.items() if number is not None}


@dataclass
class _Walk:
    costs: Costs
    unread: Mapping[str, float]
    batches: int
    counts: Mapping[str, int | None]
    given: dict[str, list[_Flow]] = field(default_factory=lambda: defaultdict(list))
    """By dataset, what each of its readers takes of it."""
    flows: dict[str, _Flow] = field(default_factory=dict)

    def pass_through(self, node: Node, executed: StageGraph) -> None:
        given = self.given[node.id]
        # Of one that is read twice only the counters have the sum.
        self.flows[node.id] = flow = self._checked(node.id, given[0] if len(given) == 1 else _Flow())
        for place, body in reads(executed, node):
            below = (flow if node.traits.opens else _Flow()) if body else self._below(node, place, flow)
            self.given[place].append(below)

    def calls(self, node: Node, executed: StageGraph) -> float | None:
        if not node.functions:
            return None
        below = [place for place, body in reads(executed, node) if not body]
        if node.traits.once_each or (node.traits.computes and not below):
            return self.flows[node.id].number
        # One call for each element that it takes.
        return self.flows[below[0]].number if node.traits.single_function and len(below) == 1 else None

    def _below(self, node: Node, place: str, flow: _Flow) -> _Flow:
        """Flow out of an input, when `flow` comes out of `node`."""
        each = self._inputs_each(node, place)
        if each is None or flow.number is None:
            return _Flow()
        return _Flow(flow.number * each.number if each.number is not None else None, flow.exact and each.exact)

    def _inputs_each(self, node: Node, place: str) -> _Flow | None:
        traits = node.traits
        if traits.stacks:
            size = node.arguments.get("batch_size")
            taken, given = self.counts.get(place), self.counts.get(node.id)
            if taken is not None and taken != INFINITE and given:
                return _Flow(taken / given, exact=True)
            if not isinstance(size, int) or size <= 0:
                return None
            return _Flow(float(size), exact=taken == INFINITE or node.arguments.get("drop_remainder") is True)
        if (fixed := fixed_ratio(node, self.counts.get(place) or 0, self.counts.get(node.id) or 0)) is not None:
            return _Flow(fixed, exact=True)
        if traits.takes_one or traits.buffers or traits.one_to_one:
            # A cache, once it is full, takes nothing.
            return _Flow(1.0, exact=not traits.stores)
        return None

    def _checked(self, place: str, flow: _Flow) -> _Flow:
        """The graph's number, unless the counters contradict it or are all there is."""
        counted = self._counted(place)
        if counted is None:
            return flow
        if flow.number is None:
            return _Flow(counted)
        near = _CONTRADICTS if flow.exact else _AGREES
        return flow if abs(counted - flow.number) <= near * flow.number else _Flow(counted)

    def _counted(self, place: str) -> float | None:
        cost = self.costs.by_id.get(place)
        if cost is not None and not cost.unseen:
            return cost.elements / self.batches
        return self.unread[place] / self.batches if place in self.unread else None


_NO_COST = Cost()


def threads_inside(executed: StageGraph, costs: Mapping[str, Cost]) -> dict[str, float]:
    """Return the threads by dataset; those without a known number are left out.

    Each iterator of a dataset with threads of its own has as many as calls at a time, and one that reads its input;
    what its function makes is read by all of them. Any other dataset runs on the threads of those that read it.
    """
    callers: dict[str, float | None] = defaultdict(float)
    found: dict[str, float] = {}
    for number, node in enumerate(readers_first(executed)):
        calling = 1.0 if number == 0 else callers[node.id]
        cost = costs.get(node.id, _NO_COST)
        threads, reading = calling, calling
        if executed_op(node.op).asynchronous:
            own, iterators = _at_a_time(node, cost), _iterators(calling, cost)
            threads, reading = own * iterators if own is not None and iterators is not None else None, iterators
        elif node.traits.prefetches:
            threads = reading = _iterators(calling, cost)
        if threads is not None:
            found[node.id] = threads
        for place, body in reads(executed, node):
            more, before = threads if body else reading, callers[place]
            callers[place] = before + more if before is not None and more is not None else None
    return found


def _at_a_time(node: Node, cost: Cost) -> float | None:
    if cost.state.most_parallelism is not None:
        return cost.state.most_parallelism
    fixed = (node.arguments.get(literal) for literal in ("num_parallel_calls", "cycle_length"))
    return next((float(value) for value in fixed if isinstance(value, int) and value > 0), None)


def _iterators(calling: float | None, cost: Cost) -> float | None:
    """Return how many there are at a time: those that are read, or more that work ahead."""
    return max(calling, float(cost.state.most_iterators)) if calling is not None else None
