"""Component names that are stable across stages, and the components that functions read and write.

A graph knows components by their index only, which means another tensor after a function that adds or drops one. Here a
component that a function passes through keeps its name, from the end of the pipeline, where names are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeprof.pipelines.graph.opnames import is_option
from pipeprof.pipelines.graph.stages import Node, StageGraph


@dataclass(frozen=True)
class ComponentFlow:
    """Component names of a pipeline's datasets, and what functions read and write."""

    graph: StageGraph
    names: Mapping[str, tuple[str, ...]]

    def reads(self, node: Node) -> frozenset[str] | None:
        """Return the components of its input that the function of ``node`` reads; None if not known."""
        read = node.function["reads"] if node.function is not None else None
        below = self._input_components(node)
        if read is None or below is None or any(number >= len(below) for number in read):
            return None
        return frozenset(below[number] for number in read)

    def writes(self, node: Node) -> frozenset[str] | None:
        """Return components that the function of ``node`` changes or adds; None if not known."""
        if node.traits.predicate:
            return frozenset()
        own, below = self.names.get(node.id), self._input_components(node)
        if not node.traits.maps or own is None or below is None:
            return None
        handed_on = _passed_through(node, len(below))
        if handed_on is None or len(handed_on) != len(own):
            return None
        return frozenset(name for name, place in zip(own, handed_on, strict=True) if place is None)

    def _input_components(self, node: Node) -> tuple[str, ...] | None:
        return self.names.get(node.inputs[0]) if len(node.inputs) == 1 else None


def component_flow(graph: StageGraph) -> ComponentFlow:
    """Return the names of all components of ``graph``."""
    naming = _Naming(graph)
    if graph.root is not None:
        count = len(graph.nodes[graph.root].output_types)
        keys = graph.keys
        naming.visit(graph.root, keys if keys is not None and len(keys) == count else _indices(count))
    return ComponentFlow(graph, naming.names)


@dataclass
class _Naming:
    graph: StageGraph
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def visit(self, end: str, names_of_end: tuple[str, ...]) -> None:
        todo = [(end, names_of_end)]
        while todo:
            node_id, names = todo.pop()
            if node_id in self.names:
                continue
            self.names[node_id] = names
            node = self.graph.nodes[node_id]
            below = []
            start = 0
            for input_ in node.inputs:
                count = len(self.graph.nodes[input_].output_types)
                below.append((input_, self._input_names(node, names, start, count)))
                start += count
            for body in node.bodies:
                count = len(self.graph.nodes[body].output_types)
                below.append((body, names if count == len(names) else _indices(count)))
            todo += reversed(below)

    def _input_names(self, node: Node, names: tuple[str, ...], start: int, count: int) -> tuple[str, ...]:
        if node.family == "Zip" and start + count <= len(names):
            return names[start : start + count]
        if len(names) == count and (node.traits.same_components or is_option(node.op)):
            return names
        handed_on = _passed_through(node, count) if node.traits.maps else None
        if handed_on is None or len(handed_on) != len(names):
            return _indices(count)
        kept = {place: name for name, place in zip(names, handed_on, strict=True) if place is not None}
        return _complete_names(kept, names, handed_on, count)


def _passed_through(node: Node, inputs: int) -> tuple[int | None, ...] | None:
    """Return for each output component the input component it equals, or None; of several copies, only the first."""
    passes = node.function["passes"] if node.function is not None else None
    if passes is None:
        return None
    seen: set[int] = set()
    found: list[int | None] = []
    for place in passes:
        found.append(place if place is not None and place < inputs and place not in seen else None)
        if place is not None:
            seen.add(place)
    return tuple(found)


def _complete_names(
    kept: Mapping[int, str], names: Sequence[str], handed_on: Sequence[int | None], count: int
) -> tuple[str, ...]:
    """Name all ``count`` components: one changed in place keeps its name, others get their index."""
    taken = set(kept.values())
    found = []
    for index in range(count):
        name = kept.get(index)
        if name is None and count == len(names) and handed_on[index] is None and names[index] not in taken:
            name = names[index]
        if name is None:
            name = str(index)
            while name in taken:
                name += "'"
        taken.add(name)
        found.append(name)
    return tuple(found)


def _indices(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))
