"""Alignment of the three views of a pipeline: written, executed, and the model of the running iterator.

*Written and executed* are joined by name: TensorFlow keeps the name of a stage it rewrites (also the automatic ones,
which are unique), calls a fused stage ``fused(first,second)``, and gives those it injects new names. Datasets inside
functions keep their place in the function; a ``map`` before a ``batch`` may be fused there too.

*Executed and model* are joined by structure, because the model carries no names: both are walked from the root
through their inputs in order. Iterators that a function made (``interleave``, ``flat_map``) appear once each and all
belong to the function's datasets. What does not match, or could be two things, is unattributed; nothing is guessed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pipeprof.pipelines.graph.opnames import address_in, in_model, is_closed, is_given, is_helper, is_option
from pipeprof.pipelines.graph.read.records import GraphDict, ModelDict, ModelNodeDict
from pipeprof.pipelines.graph.stages import Node, StageGraph, WrittenStage
from pipeprof.pipelines.meaning.executed_ops import EXECUTED, written_op
from pipeprof.pipelines.meaning.traits import traits

# Executed ops that TensorFlow fuses from two unnamed datasets, with the stages as written.
_FUSIONS = {fused: parts for fused in EXECUTED if (parts := traits(fused).parts)}


_Pair = tuple[int, str]


@dataclass(frozen=True)
class Joined:
    """Written and executed datasets by their ids."""

    executed: Mapping[str, str]
    """Written to executed; several written ones to the same one where they were fused."""
    injected: tuple[str, ...]
    """Executed datasets that TensorFlow injected, in data order."""

    def written(self, executed_id: str) -> tuple[str, ...]:
        """Return the ids of the written datasets that run as ``executed_id``."""
        return tuple(one for one, other in self.executed.items() if other == executed_id)


@dataclass(frozen=True)
class Matched:
    """Model nodes by the executed dataset they are an iterator of."""

    places: Mapping[int, str]
    """Id of the model's node to id of the executed dataset."""
    helpers: frozenset[int]
    """Parts of the iterator that reads them (``MemoryCacheImpl``): their elements are not counted again."""
    unattributed: tuple[int, ...]
    """Nodes that could not be placed, with all their inputs."""
    root: int | None
    """The iterator itself (``Root``), which returns elements to Python; no stage."""


def join(written: StageGraph, executed: StageGraph) -> Joined:
    """Map each written dataset to the executed one."""
    pairs: dict[str, str] = {}
    by_key: dict[str, list[str]] = defaultdict(list)
    for node in written.walk():
        if node.owner is None and node.key is not None and node.id not in written.remote:
            by_key[node.key].append(node.id)
    for node in executed.walk():
        for key in _fused_names(node.key) if node.owner is None and node.key is not None else ():
            if by_key[key]:
                pairs[by_key[key].pop(0)] = node.id
    _join_nameless(written, executed, pairs)
    _join_inside(written, executed, pairs)
    taken = set(pairs.values())
    return Joined(
        executed=pairs,
        injected=tuple(node.id for node in executed.walk() if node.id not in taken and node.owner is None),
    )


@dataclass(frozen=True)
class StageGraphs:
    """A pipeline's graphs as written and as executed; `by_address` and `ops` (by address) are those of a spec."""

    written: StageGraph
    executed: StageGraph
    by_address: bool = True
    ops: Mapping[str, str] | None = None

    @classmethod
    def of(cls, written: GraphDict, executed: GraphDict, *, by_address: bool = True) -> StageGraphs:
        """Read the records of both graphs."""
        return cls(StageGraph.from_dict(written), StageGraph.from_dict(executed), by_address)

    @property
    def is_read(self) -> bool:
        """Whether both graphs could be read."""
        return self.written.root is not None and self.executed.root is not None

    @cached_property
    def stages(self) -> tuple[WrittenStage, ...]:
        """The stages as written, in the order elements flow."""
        return self.written.stages(by_address=self.by_address, ops=self.ops)

    @cached_property
    def joined(self) -> Joined:
        """Which datasets run for which written ones."""
        return join(self.written, self.executed)

    @cached_property
    def injected(self) -> dict[str, str]:
        """Addresses of the executed datasets that TensorFlow injected, in data order."""
        return {place: f"injected.{number}" for number, place in enumerate(self.joined.injected)}

    @cached_property
    def copies(self) -> dict[str, tuple[str, ...]]:
        """Further datasets of a spec's stages: what one call reads twice, as ``rejection_resample``, is there twice."""
        found: dict[str, tuple[str, ...]] = {}
        own = {node for stage in self.stages for node in stage.nodes}
        addresses = {stage.address for stage in self.stages}
        for node in self.written.walk() if self.by_address else ():
            address = address_in(node.key)
            if node.owner is None and node.id not in own and address in addresses:
                found[address] = (*found.get(address, ()), node.id)
        return found

    @cached_property
    def stage_of(self) -> dict[str, str]:
        """Addresses of the stages of written datasets."""
        found = {node: stage.address for stage in self.stages for node in stage.nodes}
        return found | {node: address for address, nodes in self.copies.items() for node in nodes}

    def copied(self, stage: WrittenStage) -> list[str]:
        """Return the executed datasets of a stage's copies that give the copies' elements."""
        op, executed = self.written.nodes[stage.head].op, self.joined.executed
        nodes = (self.written.nodes[node] for node in self.copies.get(stage.address, ()))
        return [executed[node.id] for node in nodes if node.op == op and node.id in executed]

    def place(self, stage: WrittenStage) -> str | None:
        """Return the executed dataset that gives the elements of a stage; None where it was removed."""
        return self.joined.executed.get(stage.head)

    def places(self, stage: WrittenStage) -> list[str]:
        """Return all executed datasets of a stage, its copies' as well."""
        executed = self.joined.executed
        nodes = (*self.copies.get(stage.address, ()), *stage.nodes)
        return list(dict.fromkeys(executed[node] for node in nodes if node in executed))

    @cached_property
    def _together(self) -> dict[str | None, list[WrittenStage]]:
        found: dict[str | None, list[WrittenStage]] = defaultdict(list)
        for stage in self.stages:
            found[self.place(stage)].append(stage)
        return found

    def together(self, stage: WrittenStage) -> list[WrittenStage]:
        """Return the stages that run as the same dataset, itself among them, in order."""
        place = self.place(stage)
        return self._together[place] if place is not None else [stage]


def match(executed: StageGraph, model: ModelDict, known: Mapping[int, str] | None = None) -> Matched:
    """Map each node of the model to the dataset that it iterates; ``known``: `places` of an earlier snapshot of it."""
    return _Matcher(executed, model, known or {}).run()


def _live_inputs(nodes: Mapping[int, ModelNodeDict], node: ModelNodeDict) -> list[ModelNodeDict]:
    """Return the live inputs of a model's node in order; parts of an iterator and options are skipped."""
    found: list[ModelNodeDict] = []
    todo = [(node, number) for number in reversed(node["inputs"])]
    while todo:
        reader, number = todo.pop()
        child = nodes.get(number)
        if child is None:
            continue
        if not (is_helper(reader["name"], child["name"]) or is_option(f"{child['name']}Dataset")):
            found.append(child)
        elif not is_closed(child["name"]):
            todo += [(child, below) for below in reversed(child["inputs"])]
    return found


def _fused_names(key: str) -> list[str]:
    """Return the names inside ``fused(a,fused(b,c))``; names are identifiers, automatic ones with a colon."""
    return re.findall(r"[\w:]+", key.replace("fused(", "("))


def _join_nameless(written: StageGraph, executed: StageGraph, pairs: dict[str, str]) -> None:
    """Join datasets without names by op and order, where both graphs have equally many."""
    taken = set(pairs.values())
    done = {*pairs, *written.remote}
    left = [node for node in written.walk() if node.owner is None and node.key is None and node.id not in done]
    right = [node for node in executed.walk() if node.owner is None and node.key is None and node.id not in taken]
    for op in sorted({node.op for node in left}):
        mine = [node.id for node in left if node.op == op]
        theirs = [node.id for node in right if node.op == op]
        if len(mine) == len(theirs):
            pairs.update(zip(mine, theirs, strict=True))


def _join_inside(written: StageGraph, executed: StageGraph, pairs: dict[str, str]) -> None:
    """Join datasets inside functions by the function's place, and by their names in it or the fused name."""
    parts = {
        (node.owner, key): node.id for node in executed.walk() if node.owner for key in _fused_names(node.key or "")
    }
    left: dict[tuple[str, str], list[Node]] = defaultdict(list)
    for node in written.walk():
        place = pairs.get(node.owner) if node.owner is not None else None
        if node.owner is None or place is None:
            continue
        function, _, local = node.id.removeprefix(f"{node.owner}::").partition("::")
        function = _same_function(written.nodes[node.owner], executed.nodes[place], function)
        same = executed.nodes.get(f"{place}::{function}::{local}")
        if same is not None:
            pairs[node.id] = same.id
        elif (place, node.key) in parts:
            pairs[node.id] = parts[place, node.key or ""]
        else:
            left[place, function].append(node)
    for (place, function), nodes in left.items():
        prefix = f"{place}::{function}::"
        taken = set(pairs.values())
        free = [node for node in executed.walk() if node.id.startswith(prefix) and node.id not in taken]
        for fused, (first, second) in _FUSIONS.items():
            targets = [node.id for node in free if node.family == fused and node.owner == place]
            couples = [
                (node.id, other.id)
                for other in nodes
                for node in nodes
                if written_op(node.op) == first and written_op(other.op) == second and other.inputs == (node.id,)
            ]
            if len(targets) == len(couples):
                pairs.update((name, target) for couple, target in zip(couples, targets, strict=True) for name in couple)


def _same_function(written: Node, executed: Node, function: str) -> str:
    if function in executed.functions or len(written.functions) != len(executed.functions):
        return function
    return executed.functions[written.functions.index(function)] if function in written.functions else function


@dataclass
class _Matcher:
    executed: StageGraph
    model: ModelDict
    known: Mapping[int, str]
    places: dict[int, str] = field(default_factory=dict)
    helpers: set[int] = field(default_factory=set)
    lost: list[int] = field(default_factory=list)
    _fits: dict[tuple[int, str], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.nodes = {node["id"]: node for node in self.model["nodes"]}

    def run(self) -> Matched:
        root = self.nodes.get(self.model["output"])
        if root is not None and self.executed.root is not None:
            top = self.executed.skip_options(self.executed.root)
            for child in _live_inputs(self.nodes, root):
                if self.fits(child["id"], top):
                    self._place(child["id"], top)
                else:
                    self.lost += self._below(child["id"])
        seen = {*self.places, *self.lost, self.model["output"]}
        self.lost.extend(node for node in self.nodes if node not in seen)
        return Matched(self.places, frozenset(self.helpers), tuple(self.lost), root["id"] if root else None)

    def fits(self, node_id: int, place: str) -> bool:
        """Return whether the subtree at ``node_id`` can be an iterator of the dataset at ``place``."""
        asked = [((node_id, place), self._asking(node_id, place))] if (node_id, place) not in self._fits else []
        # Whoever waits for an answer, innermost last: a loop, because pipelines may be long.
        while asked:
            pair, asking = asked[-1]
            try:
                needed = next(asking)
            except StopIteration as end:
                self._fits[pair] = end.value
                asked.pop()
            else:
                asked.append((needed, self._asking(*needed)))
        return self._fits[node_id, place]

    def _asking(self, node_id: int, place: str) -> Generator[_Pair, None, bool]:
        """Answer `fits`; yield the pairs whose answers are needed first."""
        node, dataset = self.nodes[node_id], self.executed.nodes[place]
        if not in_model(dataset.op, node["name"]):
            return False
        below = self._input_places(dataset)
        for child in _live_inputs(self.nodes, node):
            for name in below:
                pair = (child["id"], name)
                if pair not in self._fits:
                    yield pair
                if self._fits[pair]:
                    break
            else:
                if not self._is_dataset_argument(child, dataset):
                    return False
        return True

    def _is_dataset_argument(self, child: ModelNodeDict, dataset: Node) -> bool:
        """Return whether ``child`` is a function's dataset argument: a window's elements, files that are read back."""
        return dataset.owner is not None and not child["inputs"] and is_given(child["name"])

    def _input_places(self, dataset: Node) -> list[str]:
        return [self.executed.skip_options(name) for name in (*dataset.inputs, *dataset.bodies)]

    def _place(self, top: int, place_of_top: str) -> None:
        todo: list[tuple[int, str | None]] = [(top, place_of_top)]
        while todo:
            node_id, place = todo.pop()
            if place is None:
                self.lost += self._below(node_id)
            else:
                todo += reversed(self._place_one(node_id, place))

    def _place_one(self, node_id: int, place: str) -> list[tuple[int, str | None]]:
        self.places[node_id] = place
        node, dataset = self.nodes[node_id], self.executed.nodes[place]
        for number in node["inputs"]:
            if number in self.nodes and is_helper(node["name"], self.nodes[number]["name"]):
                self._place_helper(number, place)
        live = _live_inputs(self.nodes, node)
        below = self._input_places(dataset)
        given = {
            other_node["id"]
            for other_node in live
            if self._is_dataset_argument(other_node, dataset)
            and not any(self.fits(other_node["id"], other) for other in below)
        }
        self.places.update(dict.fromkeys(given, place))
        self.helpers |= given
        children = [child["id"] for child in live if child["id"] not in given]
        return list(zip(children, self._assign(node_id, children, dataset), strict=True))

    def _place_helper(self, node_id: int, place: str) -> None:
        """Place the node as a part of the iterator at ``place``, with its inputs if none of them is the user's."""
        parts = [*self._below(node_id)] if is_closed(self.nodes[node_id]["name"]) else [node_id]
        self.places.update(dict.fromkeys(parts, place))
        self.helpers.update(parts)

    def _assign(self, parent: int, children: Sequence[int], dataset: Node) -> list[str | None]:
        inputs = [self.executed.skip_options(input_) for input_ in dataset.inputs]
        bodies = [self.executed.skip_options(body) for body in dataset.bodies]
        if not bodies:
            return self._in_order(children, inputs)
        return [self._one_of(parent, child, index == 0, inputs, bodies) for index, child in enumerate(children)]

    def _in_order(self, children: Sequence[int], inputs: Sequence[str]) -> list[str | None]:
        """Place children, a subsequence of the inputs; a child is placed only where all matches agree."""
        leftmost = self._leftmost(children, inputs)
        rightmost = self._leftmost(children[::-1], inputs[::-1])[::-1]
        found: list[str | None] = []
        for child, left, right in zip(
            children, leftmost, (len(inputs) - 1 - number for number in rightmost), strict=True
        ):
            known = self.known.get(child)
            if known in inputs:
                found.append(known)
            else:
                found.append(inputs[left] if 0 <= left == right < len(inputs) else None)
        return found

    def _leftmost(self, children: Sequence[int], inputs: Sequence[str]) -> list[int]:
        """Return for every child the first input it may be, in order; -1 from the first child without one."""
        found: list[int] = []
        at = 0
        for child in children:
            while at < len(inputs) and not self.fits(child, inputs[at]):
                at += 1
            found.append(at if at < len(inputs) else -1)
            at += 1
        return found

    def _one_of(self, parent: int, child: int, first: bool, inputs: Sequence[str], bodies: Sequence[str]) -> str | None:
        """Choose the dataset of a child: a stage's input is its first iterator, all others are made by its function."""
        known = self.known.get(child)
        if known is not None and known in (*inputs, *bodies):
            return known
        made = [body for body in bodies if self.fits(child, body)]
        read = [input_ for input_ in inputs if self.fits(child, input_)] if first else []
        if read and made:
            # The input is created right after its reader and so has the next id.
            return read[0] if child == parent + 1 and len(read) == 1 else None
        options = read or made
        return options[0] if len(options) == 1 else None

    def _below(self, top: int) -> Iterator[int]:
        todo = [top]
        while todo:
            node_id = todo.pop()
            yield node_id
            todo += [number for number in reversed(self.nodes[node_id]["inputs"]) if number in self.nodes]
