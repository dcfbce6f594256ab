"""Element counts of stages without a live iterator at every reading of the model.

Stages before a shuffle that holds the whole dataset run in one burst, while the model is not sampled. Their counts
follow from the nearest sampled stage after them; where the graph does not fix how many inputs a stage needs, from the
trace's counts. Of parts that are read one after the other, each has its share of a pass. Stages before a cache run
either in every epoch (if a ``take`` follows it) or no longer: the trace shows which. Any other count stays unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeprof.pipelines.graph.costs.costs import Costs
from pipeprof.pipelines.graph.opnames import is_option
from pipeprof.pipelines.graph.stages import Node, StageGraph

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
        """Return how many elements the unsampled ``below`` produced for ``elements`` of ``node``."""
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
