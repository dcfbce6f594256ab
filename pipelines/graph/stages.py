"""The stage graph: a pipeline's datasets as the stages of its user.

One stage may be several datasets: ``list_files`` is a list of names and a shuffle, ``from_generator`` a ``flat_map``
over a dummy element with the generator inside, ``TFRecordDataset`` the same over file names. They are grouped by the
name they share where the pipeline was built from a spec, and by their shape otherwise. Datasets that only carry
options are skipped.

Addresses: ``source`` and ``stages.N`` along the main line, in data order; the same words after the address of the stage
whose function makes them (``stages.1.source``); the sides of a stage with several inputs (``zip``, ``concatenate``)
after ``<stage>.inputs.K``. Where the graph carries a spec's own addresses as names, those hold, with ``datasets.K`` and
the like for pipelines that are arguments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeAlias

from pipeprof.pipelines.addresses import pipeline_of
from pipeprof.pipelines.graph.opnames import Group, Names, address_in, by_place, is_option
from pipeprof.pipelines.graph.read.records import FunctionDict, GraphDict, NodeDict, inputs_first
from pipeprof.pipelines.meaning.executed_ops import executed, family, written_op
from pipeprof.pipelines.meaning.traits import Traits, traits

_LAST_INT64 = 2**63 - 1
UNPACKS: Final = "UncompressElement"
"""Op in the function of the map that TensorFlow puts behind a tf.data service."""


@dataclass(frozen=True)
class Node:
    """One dataset of a graph; fields as in `NodeDict`."""

    id: str
    op: str
    name: str | None
    key: str | None
    inputs: tuple[str, ...]
    owner: str | None
    depth: int
    functions: tuple[str, ...]
    bodies: tuple[str, ...]
    arguments: Mapping[str, Any]
    stateful_op: str | None
    stateful: bool
    files: bool
    output_types: tuple[str, ...] = ()
    output_shapes: tuple[tuple[int | None, ...] | None, ...] = ()
    function: FunctionDict | None = None
    held_bytes: int | None = None
    length: int | None = None
    constant: bool | None = None

    @property
    def family(self) -> str:
        """The op without ``Dataset`` and version."""
        return family(self.op)

    @property
    def traits(self) -> Traits:
        """Traits of the op."""
        return traits(self.op)


_FIELDS: Final = tuple(field.name for field in fields(Node))


def _frozen(node: NodeDict, name: str) -> Any:
    value = dict(node)[name]
    if name == "output_shapes":
        return tuple(None if shape is None else tuple(shape) for shape in node["output_shapes"])
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True)
class WrittenStage:
    """One stage as its user wrote it."""

    address: str
    op: str
    """The user's op, e.g. ``map``."""
    name: str | None
    """The user's; for a spec the address in TensorFlow's form."""
    depth: int
    nodes: tuple[str, ...]
    """Ids of its datasets in the order elements flow; the last one gives its elements."""
    inputs: tuple[str, ...] = ()
    """Addresses of the stages it reads, in order."""
    owner: str | None = None
    """Address of the stage whose function makes it."""

    @property
    def head(self) -> str:
        """Id of the dataset that gives the stage's elements."""
        return self.nodes[-1]


@dataclass(frozen=True)
class _Line:
    """Position of a pipeline: the main one, a side of a stage, or one that a function creates."""

    prefix: str = ""
    depth: int = 0
    owner: str | None = None


_Members: TypeAlias = list[tuple[str, Group]]
"""The stages of one line by their addresses, in the order elements flow."""


@dataclass(frozen=True)
class StageGraph:
    """Graph of one pipeline."""

    nodes: Mapping[str, Node]
    root: str | None
    reason: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] | None = None

    @classmethod
    def from_dict(cls, graph: GraphDict) -> StageGraph:
        """Read the plain record."""
        nodes = {node["id"]: Node(**{name: _frozen(node, name) for name in _FIELDS}) for node in graph["nodes"]}
        keys = graph.get("keys")
        return cls(
            nodes=nodes,
            root=graph["root"],
            reason=graph["reason"],
            options=graph.get("options", {}),
            keys=None if keys is None else tuple(keys),
        )

    def skip_options(self, node_id: str) -> str:
        """Return ``node_id``, or the first dataset before it that is not only an option."""
        while is_option(self.nodes[node_id].op) and self.nodes[node_id].inputs:
            node_id = self.nodes[node_id].inputs[0]
        return node_id

    @cached_property
    def remote(self) -> frozenset[str]:
        """Ids of the datasets that the workers of a tf.data service run, which only the graph as written has."""
        ends = [input_ for node in self.nodes.values() if node.traits.remote for input_ in node.inputs]
        return frozenset(inputs_first(ends, lambda id_: (*self.nodes[id_].inputs, *self.nodes[id_].bodies)))

    def has(self, *families: str) -> bool:
        """Return whether a dataset of one of ``families`` is in the graph."""
        return any(node.family in families for node in self.nodes.values())

    def walk(self) -> Iterator[Node]:
        """Yield all datasets but options, inputs before what reads them, each once."""
        seen: set[str] = set()
        # What is left to do, last first: to visit a dataset, or to yield it.
        todo: list[tuple[str, bool]] = [(self.root, False)] if self.root is not None else []
        while todo:
            node_id, visited = todo.pop()
            node = self.nodes[node_id]
            if visited:
                yield node
            elif node_id not in seen:
                seen.add(node_id)
                todo += [(body, False) for body in reversed(node.bodies)]
                todo += [] if is_option(node.op) else [(node_id, True)]
                todo += [(input_, False) for input_ in reversed(node.inputs)]

    def dependencies_first(self) -> list[Node]:
        """List all datasets, each after its inputs and what its functions make, unless the graph is broken."""

        def reads(node_id: str) -> Iterator[str]:
            return reversed((*self.nodes[node_id].inputs, *self.nodes[node_id].bodies))

        return [self.nodes[node_id] for node_id in inputs_first(reversed(list(self.nodes)), reads)]

    def stages(
        self, *, by_address: bool = False, ops: Mapping[str, str] | None = None, prefix: str = ""
    ) -> tuple[WrittenStage, ...]:
        """Return the stages in the order elements flow, those inside after their owner; ``prefix`` of all ids."""
        names = Names(by_address, ops)
        found: list[WrittenStage] = []
        # What is left to do, last first: a stage to list, or a line with its groups to take apart.
        main = _Line(prefix)
        todo: list[WrittenStage | tuple[_Line, _Members]] = [(main, self._members(self.root, main, names))]
        while todo:
            next_ = todo.pop()
            if isinstance(next_, WrittenStage):
                found.append(replace(next_, op=(ops or {}).get(next_.address, next_.op)))
            else:
                todo += reversed(list(self._take_apart(*next_, names)))
        return tuple(found)

    def _take_apart(
        self, line: _Line, members: _Members, names: Names
    ) -> Iterator[WrittenStage | tuple[_Line, _Members]]:
        """Yield the stages of a line, each followed by the lines inside it: its sides, and what its functions make."""
        before: tuple[str, ...] = ()
        for address, group in members:
            inside: list[tuple[_Line, _Members]] = []
            sides = group.feeds if group.sides else group.feeds[1:]
            for number, side in enumerate(sides, 0 if group.sides else 1):
                below = _Line(names.side(address, number), line.depth + 1, line.owner)
                stages = self._members(side, below, names)
                before = (*before, *[last for last, _ in stages[-1:]])
                inside.append((below, stages))
            for number, body in enumerate(group.bodies):
                prefix = f"{address}." if number == 0 else f"{address}.functions.{number}."
                below = _Line(prefix, line.depth + 1, address)
                inside.append((below, self._members(body, below, names)))
            name = self.nodes[group.nodes[-1]].name
            yield WrittenStage(address, group.op, name, line.depth, group.nodes, before, line.owner)
            yield from inside
            before = (address,)

    def _members(self, end: str | None, line: _Line, names: Names) -> _Members:
        """Return the stages of the line that ends with ``end``, by address; none without an end."""
        groups: list[Group] = []
        marked: set[str] = set()
        at = end
        while at is not None:
            marked |= {self.nodes[option].key or "" for option in self._options_above(at)}
            group = self._group(self.skip_options(at), names.given)
            if names.ops is not None and group.sides and address_in(self.nodes[group.nodes[-1]].key) is None:
                group = self._continued_line(group, line.prefix)
            groups.append(group)
            at = group.feeds[0] if group.feeds and not group.sides else None
        return list(self._assign_addresses(groups[::-1], line.prefix, names, marked))

    def _options_above(self, node_id: str) -> Iterator[str]:
        end = self.skip_options(node_id)
        while node_id != end:
            yield node_id
            node_id = self.nodes[node_id].inputs[0]

    def _assign_addresses(
        self, groups: list[Group], prefix: str, names: Names, marked: set[str]
    ) -> Iterator[tuple[str, Group]]:
        """Yield the stages of one line with their addresses.

        Datasets for which TensorFlow takes no name belong to the spec's stages that are missing at their place; without
        any they are a part of the stage that comes next.
        """
        own = [address_in(self.nodes[group.nodes[-1]].key) if names.given else None for group in groups]
        if names.ops is None:
            yield from by_place(groups, own, prefix)
            return
        written = names.line(prefix, own, {found for key in marked if (found := address_in(key)) is not None})
        start = 0
        part: list[Group] = []
        for index in [index for index, address in enumerate(own) if address is not None] + [len(own)]:
            nameless = groups[start:index]
            address = own[index] if index < len(own) else None
            free = written.before(address)
            if not free and address is not None:
                part = nameless
            elif len(free) == 1 and nameless:
                yield free[0], self._merge_groups(nameless, free[0])
            elif len(free) == len(nameless):
                yield from zip(free, nameless, strict=True)
            if address is not None:
                group = groups[index]
                yield (
                    address,
                    replace(group, nodes=(*(node for other_group in part for node in other_group.nodes), *group.nodes)),
                )
                part = []
            start = index + 1

    def _continued_line(self, group: Group, prefix: str) -> Group:
        """Reorder the inputs that a function has put into a spec's line: the line continues along one of them."""
        pipeline = prefix.removesuffix(".")
        for feed in group.feeds:
            found = (address_in(self.nodes[name].key) for name in self._datasets_before(feed))
            if any(address is not None and pipeline_of(address) == pipeline for address in found):
                return replace(
                    group, feeds=(feed, *(other_feed for other_feed in group.feeds if other_feed != feed)), sides=False
                )
        return group

    def _datasets_before(self, *ends: str, address: str | None = None) -> Iterator[str]:
        seen: set[str] = set()
        todo = list(ends)
        while todo:
            node = self.nodes[todo.pop()]
            if node.id in seen:
                continue
            seen.add(node.id)
            if not is_option(node.op):
                yield node.id
            if address_in(node.key) in (None, address) or is_option(node.op):
                todo.extend((*node.inputs, *node.bodies))

    def _merge_groups(self, groups: list[Group], address: str) -> Group:
        """Merge ``groups`` into the stage at ``address``, with adjacent datasets that no other stage claims."""
        first, last = groups[0], groups[-1]
        named = [name for name in self._datasets_before(*last.feeds) if address_in(self.nodes[name].key) is not None]
        if len(groups) == 1 and (named if last.sides else len(last.feeds) <= 1 and not last.bodies):
            return last
        nodes = [node for group in groups for node in group.nodes]
        feeds = [] if first.sides else [*first.feeds[:1]]
        beside = [name for group in groups for name in (*group.feeds, *group.bodies) if name not in feeds]
        extra = [
            name
            for name in self._datasets_before(*beside, address=address)
            if address_in(self.nodes[name].key) in (None, address) and name not in nodes
        ]
        return Group((*extra, *nodes), last.op, tuple(feeds), ())

    def _group(self, head_id: str, by_address: bool) -> Group:
        head = self.nodes[head_id]
        if by_address and address_in(head.key) is not None:
            shape = self._by_shape(head)
            members = list(reversed(shape.nodes))
            feeds = list(shape.feeds)
            while feeds and not shape.sides and self.nodes[self.skip_options(feeds[0])].key == head.key:
                below = self._by_shape(self.nodes[self.skip_options(feeds[0])])
                members.extend(reversed(below.nodes))
                feeds = [*below.feeds, *feeds[1:]]
            members.reverse()
            bodies = tuple(body for body in shape.bodies if self.nodes[body].key != head.key)
            inside = [body for body in shape.bodies if self.nodes[body].key == head.key]
            members = [*members[:-1], *inside, members[-1]]
            kinds = [written_op(self.nodes[member].op) for member in members if self.nodes[member].traits.wrapped]
            op = kinds[0] if kinds else self._source_op(members, shape.op)
            # A source has no stage before it: the datasets it reads belong to it.
            sides = shape.sides or (head.key or "").endswith("source")
            return Group(tuple(members), op, tuple(feeds), bodies, sides)
        return self._by_shape(head)

    def _source_op(self, members: list[str], otherwise: str) -> str:
        first = self.nodes[members[0]]
        return "list_files" if first.files and first.family == "TensorSlice" else otherwise

    def _by_shape(self, head: Node) -> Group:
        below = self.nodes[self.skip_options(head.inputs[0])] if head.inputs else None
        found = None
        if below is not None:
            for composite in (
                self._reader, self._unbatch, self._enumerate, self._snapshot, self._sample, self._service,
            ):  # fmt: skip
                found = found or composite(head, below)
        if found is None and head.family == "TensorSlice" and head.files:
            found = Group((head.id,), "list_files", (), ())
        plain = Group((head.id,), written_op(head.op), head.inputs, head.bodies, sides=head.traits.equal_inputs)
        return found or plain

    def _reader(self, head: Node, below: Node) -> Group | None:
        """Group a reader inside a ``flat_map`` or an interleave: ``TFRecordDataset(files)``, ``from_generator``."""
        own = _made_by("read_one_file", head)
        if not (executed(head.op).wraps_readers or own) or len(head.bodies) != 1:
            return None
        inner = self.nodes[self.skip_options(head.bodies[0])]
        wraps = below.files or below.family == "Tensor" or own
        if not inner.traits.wrapped or inner.inputs or not wraps:
            return None
        if below.traits.in_memory:
            return Group((below.id, inner.id, head.id), written_op(inner.op), (), ())
        return Group((inner.id, head.id), written_op(inner.op), head.inputs, ())

    def _unbatch(self, head: Node, below: Node) -> Group | None:
        if not head.traits.unbatches or not _made_by("map_normalize", below):
            return None
        return Group((below.id, head.id), written_op(head.op), below.inputs, ())

    def _enumerate(self, head: Node, below: Node) -> Group | None:
        counts = below.family == "Range" and below.arguments.get("stop") == _LAST_INT64
        if head.family != "Zip" or len(head.inputs) != 2 or not counts:
            return None
        return Group((below.id, head.id), "enumerate", (head.inputs[1],), ())

    def _snapshot(self, head: Node, below: Node) -> Group | None:
        if not head.traits.maps or below.family != "Snapshot" or not below.inputs:
            return None
        numbered = self._by_shape(self.nodes[self.skip_options(below.inputs[0])])
        if numbered.op != "enumerate":
            return None
        return Group((*numbered.nodes, below.id, head.id), "snapshot", numbered.feeds, ())

    def _sample(self, head: Node, below: Node) -> Group | None:
        if head.family != "DirectedInterleave" or not _made_by("select_dataset", below):
            return None
        selector: list[str] = []
        weights: list[str] = []
        # The user's dataset of weights, which the selector reads zipped with random numbers and mapped.
        given: str | None = below.id if _made_by("varying_logits", below) else None
        for _ in ("zip", "logits", "weights"):
            inputs = self.nodes[given].inputs if given is not None else ()
            given = self.skip_options(inputs[0]) if inputs else None
        todo = [below.id]
        while todo:
            node = self.nodes[self.skip_options(todo.pop())]
            if address_in(node.key) is not None or node.id == given:
                weights.append(node.id)
            elif node.id not in selector:
                selector.append(node.id)
                todo.extend(node.inputs)
        nodes = (*reversed(selector), head.id)
        return Group(nodes, "sample_from_datasets", (*head.inputs[1:], *weights), (), sides=True)

    def _service(self, head: Node, below: Node) -> Group | None:
        """Group what a tf.data service gives with the map that unpacks it."""
        if not (head.traits.maps and below.traits.remote and head.function is not None):
            return None
        if UNPACKS not in head.function["ops"]:
            return None
        return Group((below.id, head.id), written_op(below.op), below.inputs, ())


def _made_by(function: str, node: Node) -> bool:
    return any(f"_{function}_" in name for name in node.functions)


class Read(NamedTuple):
    """Edge from a dataset to one that it takes elements of: an input, or the result of its function."""

    place: str
    body: bool


def reads(graph: StageGraph, node: Node) -> Iterator[Read]:
    """Yield what a dataset takes elements of, without options."""
    for input_ in node.inputs:
        yield Read(graph.skip_options(input_), body=False)
    for body in node.bodies:
        yield Read(graph.skip_options(body), body=True)


def readers_first(graph: StageGraph) -> list[Node]:
    """List all datasets but options, each after all that read it; a loop, because pipelines may be long."""
    if graph.root is None:
        return []
    root = graph.skip_options(graph.root)
    found, open_ = {root}, [root]
    waiting: Counter[str] = Counter()
    while open_:
        for one, _ in reads(graph, graph.nodes[open_.pop()]):
            waiting[one] += 1
            if one not in found:
                found.add(one)
                open_.append(one)
    order, ready = [], [root]
    while ready:
        node = graph.nodes[ready.pop()]
        order.append(node)
        for one, _ in reads(graph, node):
            waiting[one] -= 1
            if not waiting[one]:
                ready.append(one)
    return order
