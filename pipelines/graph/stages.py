"""The stage graph: a pipeline's datasets as the stages its user thinks in.

One stage may be several datasets: ``list_files`` is a list of names and a shuffle, ``from_generator`` a ``flat_map``
over a dummy element with the generator inside, ``TFRecordDataset`` the same over file names. They are grouped by the
name they share where the pipeline was built from a spec, and by their shape otherwise. Datasets that only carry
options are skipped.

Addresses: ``source`` and ``stages.N`` along the main line, in the order elements flow; the same words again below the
address of the stage whose function makes them (``stages.1.source``); the sides of a stage with several inputs
(``zip``, ``concatenate``) below ``<stage>.inputs.K``. Where the graph carries a spec's own addresses as names, those
hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipeprof.pipelines.addresses import address_of
from pipeprof.pipelines.graph.opnames import COMBINERS, READERS, family, friendly, is_option
from pipeprof.pipelines.graph.records import FunctionDict, GraphDict

_LAST_INT64 = 2**63 - 1


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


@dataclass(frozen=True)
class WrittenStage:
    """One stage as its user wrote it."""

    address: str
    op: str
    """What the user calls it, e.g. ``map``."""
    name: str | None
    """The name in the graph that the user gave, or None. For a spec this is the address in TensorFlow's form."""
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
class _Group:
    nodes: tuple[str, ...]
    op: str
    feeds: tuple[str, ...]
    """Nodes of other stages that it reads; the first continues its line unless ``sides``."""
    bodies: tuple[str, ...]
    sides: bool = False


@dataclass(frozen=True)
class _Line:
    """Where a pipeline stands: the main one, a side of a stage with several inputs, or one that a function makes."""

    prefix: str = ""
    depth: int = 0
    owner: str | None = None


@dataclass(frozen=True)
class StageGraph:
    """A graph in memory; see the module's docstring."""

    nodes: Mapping[str, Node]
    root: str | None
    reason: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] | None = None

    @classmethod
    def from_dict(cls, graph: GraphDict) -> StageGraph:
        """Made from the plain record."""
        nodes = {
            one["id"]: Node(
                id=one["id"],
                op=one["op"],
                name=one["name"],
                key=one["key"],
                inputs=tuple(one["inputs"]),
                owner=one["owner"],
                depth=one["depth"],
                functions=tuple(one["functions"]),
                bodies=tuple(one["bodies"]),
                arguments=one["arguments"],
                stateful_op=one["stateful_op"],
                stateful=one["stateful"],
                files=one["files"],
                output_types=tuple(one["output_types"]),
                output_shapes=tuple(None if shape is None else tuple(shape) for shape in one["output_shapes"]),
                function=one["function"],
                held_bytes=one["held_bytes"],
                length=one["length"],
                constant=one["constant"],
            )
            for one in graph["nodes"]
        }
        keys = graph.get("keys")
        return cls(
            nodes=nodes,
            root=graph["root"],
            reason=graph["reason"],
            options=graph.get("options", {}),
            keys=None if keys is None else tuple(keys),
        )

    def skip_options(self, node_id: str) -> str:
        """``node_id``, or the first dataset below it that is not only an option."""
        while is_option(self.nodes[node_id].op) and self.nodes[node_id].inputs:
            node_id = self.nodes[node_id].inputs[0]
        return node_id

    def has(self, *families: str) -> bool:
        """Whether a dataset of one of ``families`` is in the graph."""
        return any(node.family in families for node in self.nodes.values())

    def walk(self) -> Iterator[Node]:
        """All datasets but options, inputs before what reads them, each once."""
        seen: set[str] = set()

        def visit(node_id: str) -> Iterator[Node]:
            if node_id in seen:
                return
            seen.add(node_id)
            node = self.nodes[node_id]
            for one in node.inputs:
                yield from visit(one)
            if not is_option(node.op):
                yield node
            for body in node.bodies:
                yield from visit(body)

        if self.root is not None:
            yield from visit(self.root)

    def stages(self, *, by_address: bool = False) -> tuple[WrittenStage, ...]:
        """The stages in the order elements flow, those inside a function after their owner.

        Args:
            by_address: The names in the graph are a spec's addresses.
        """
        return tuple(self._line(self.root, _Line(), by_address)) if self.root is not None else ()

    def _line(self, end: str, line: _Line, by_address: bool) -> Iterator[WrittenStage]:
        groups: list[_Group] = []
        at: str | None = end
        while at is not None:
            group = self._group(self.skip_options(at), by_address)
            groups.append(group)
            at = group.feeds[0] if group.feeds and not group.sides else None
        groups.reverse()
        before: tuple[str, ...] = ()
        for address, group in self._addressed(groups, line.prefix, by_address):
            inside: list[WrittenStage] = []
            sides = group.feeds if group.sides else group.feeds[1:]
            for number, side in enumerate(sides, 0 if group.sides else 1):
                below = _Line(f"{address}.inputs.{number}.", line.depth + 1, line.owner)
                stages = list(self._line(side, below, by_address))
                before = (*before, [one.address for one in stages if one.depth == below.depth][-1])
                inside.extend(stages)
            for number, body in enumerate(group.bodies):
                prefix = f"{address}." if number == 0 else f"{address}.functions.{number}."
                inside.extend(self._line(body, _Line(prefix, line.depth + 1, address), by_address))
            name = self.nodes[group.nodes[-1]].name
            yield WrittenStage(address, group.op, name, line.depth, group.nodes, before, line.owner)
            yield from inside
            before = (address,)

    def _addressed(self, groups: list[_Group], prefix: str, by_address: bool) -> Iterator[tuple[str, _Group]]:
        """The stages of one line with their addresses.

        Some datasets of a spec carry no address, because TensorFlow takes no name for them: they have that of their
        place, unless another one carries it; then they are a part of that stage.
        """
        own = [_address(self.nodes[group.nodes[-1]].key) if by_address else None for group in groups]
        part: tuple[str, ...] = ()
        number = -1
        for address, group in zip(own, groups, strict=True):
            place = address or (f"{prefix}source" if number < 0 else f"{prefix}stages.{number}")
            if address is None and place in own:
                part = (*part, *group.nodes)
                continue
            last = place.rsplit(".", 1)[-1]
            number = int(last) + 1 if last.isdigit() else 0
            yield place, replace(group, nodes=(*part, *group.nodes))
            part = ()

    def _group(self, head_id: str, by_address: bool) -> _Group:
        head = self.nodes[head_id]
        if by_address and _address(head.key) is not None:
            return self._same_name(head)
        return self._by_shape(head)

    def _same_name(self, head: Node) -> _Group:
        """``head`` with all datasets around it that carry the same name."""
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
        kinds = [friendly(self.nodes[one].op) for one in members if self.nodes[one].family in READERS]
        op = kinds[0] if kinds else self._source_op(members, shape.op)
        return _Group(tuple(members), op, tuple(feeds), bodies, shape.sides)

    def _source_op(self, members: list[str], otherwise: str) -> str:
        first = self.nodes[members[0]]
        return "list_files" if first.files and first.family == "TensorSlice" else otherwise

    def _by_shape(self, head: Node) -> _Group:
        below = self.nodes[self.skip_options(head.inputs[0])] if head.inputs else None
        found = None
        if below is not None:
            for composite in (self._reader, self._unbatch, self._enumerate, self._snapshot, self._sample):
                found = found or composite(head, below)
        if found is None and head.family == "TensorSlice" and head.files:
            found = _Group((head.id,), "list_files", (), ())
        plain = _Group((head.id,), friendly(head.op), head.inputs, head.bodies, sides=head.family in COMBINERS)
        return found or plain

    def _reader(self, head: Node, below: Node) -> _Group | None:
        """``TFRecordDataset(files)``, ``from_generator``: a reader inside a ``flat_map``."""
        if head.family not in ("FlatMap", "LegacyParallelInterleave") or len(head.bodies) != 1:
            return None
        inner = self.nodes[self.skip_options(head.bodies[0])]
        wraps = below.files or below.family == "Tensor" or _made_by("read_one_file", head)
        if inner.family not in READERS or inner.inputs or not wraps:
            return None
        if below.family in ("TensorSlice", "Tensor"):
            return _Group((below.id, inner.id, head.id), friendly(inner.op), (), ())
        return _Group((inner.id, head.id), friendly(inner.op), head.inputs, ())

    def _unbatch(self, head: Node, below: Node) -> _Group | None:
        if head.family not in ("Unbatch", "Rebatch") or not _made_by("map_normalize", below):
            return None
        return _Group((below.id, head.id), friendly(head.op), below.inputs, ())

    def _enumerate(self, head: Node, below: Node) -> _Group | None:
        counts = below.family == "Range" and below.arguments.get("stop") == _LAST_INT64
        if head.family != "Zip" or len(head.inputs) != 2 or not counts:
            return None
        return _Group((below.id, head.id), "enumerate", (head.inputs[1],), ())

    def _snapshot(self, head: Node, below: Node) -> _Group | None:
        if head.family != "Map" or below.family != "Snapshot" or not below.inputs:
            return None
        numbered = self._by_shape(self.nodes[self.skip_options(below.inputs[0])])
        if numbered.op != "enumerate":
            return None
        return _Group((*numbered.nodes, below.id, head.id), "snapshot", numbered.feeds, ())

    def _sample(self, head: Node, below: Node) -> _Group | None:
        if head.family != "DirectedInterleave" or not _made_by("select_dataset", below):
            return None
        selector = tuple(node.id for node in self._chain(below))
        return _Group((*selector, head.id), "sample_from_datasets", head.inputs[1:], (), sides=True)

    def _chain(self, end: Node) -> list[Node]:
        """``end`` and all below it along first inputs, in the order elements flow."""
        found = [end]
        while found[-1].inputs:
            found.append(self.nodes[found[-1].inputs[0]])
        return found[::-1]


def _address(key: str | None) -> str | None:
    if key is None:
        return None
    try:
        return address_of(key)
    except ValueError:
        return None


def _made_by(function: str, node: Node) -> bool:
    """Whether ``node`` runs a function of TensorFlow's own Python API."""
    return any(f"_{function}_" in name for name in node.functions)
