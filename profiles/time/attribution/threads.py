"""Threads that may be inside each dataset at a time, and so the most time that a stage can take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from pipeprof.pipelines.graph.costs.costs import Cost
from pipeprof.pipelines.graph.order import readers_first, reads
from pipeprof.pipelines.graph.stages import Node, StageGraph
from pipeprof.pipelines.ops.executed_ops import executed as executed_op

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
    """Return the most calls at a time of one of its iterators."""
    if cost.most_parallelism is not None:
        return cost.most_parallelism
    fixed = (node.arguments.get(literal) for literal in ("num_parallel_calls", "cycle_length"))
    return next((float(value) for value in fixed if isinstance(value, int) and value > 0), None)


def _iterators(calling: float | None, cost: Cost) -> float | None:
    """Return how many there are at a time: those that are read, or more that work ahead."""
    return max(calling, float(cost.most_iterators)) if calling is not None else None
