"""Datasets that a pipeline registers with a tf.data service, seen when they are registered (worker only).

What the workers run is no part of the graph that reads from them. Registering shows it: by then the dataset and all
that it reads were made in this process, and are drawn as they were seen being made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final

from pipeprof.pipelines.graph.observe.created import CreatedDataset, draw, plain_argument
from pipeprof.pipelines.graph.observe.source_lines import Lines, place_of, places_of
from pipeprof.pipelines.graph.read.records import CallerDict, GraphDict, NodeDict, PlaceDict
from pipeprof.pipelines.graph.read.service import UNKNOWN, ServiceFacts, compression, service_facts
from pipeprof.pipelines.meaning.traits import traits

_BELOW: Final = "@workers/"
"""Between the id of a dataset that reads from a service and those of the datasets that its workers run."""


@dataclass(frozen=True)
class Registered:
    """A registered dataset.

    Attributes:
        graph: Its datasets; no root where they were not seen being made.
        places: Where they were made, by their ids.
        python: Where in the user's files those were made whose functions call Python.
    """

    graph: GraphDict
    places: Mapping[str, PlaceDict]
    compression: str | None
    python: tuple[CallerDict, ...] = ()


@dataclass
class Registrations:
    """The datasets that were registered, by the id that the service gave them, and what reads from a service.

    Args:
        lines: How datasets were made, in the same block.
    """

    lines: Lines
    known: dict[str, Registered] = field(default_factory=dict)
    read: list[tuple[ServiceFacts, Registered | None]] = field(default_factory=list)

    def registers(self, frame: FrameType, identity: Any) -> None:
        """Note that an op registered a dataset; ``frame`` is the op's, and the result the dataset's id."""
        name = plain_argument(identity)
        variant = frame.f_locals.get("dataset")
        if name is None or variant is None:
            return
        made = self.lines.created_as(variant)
        metadata = frame.f_locals.get("metadata")
        packed = compression(metadata) if isinstance(metadata, bytes) else UNKNOWN
        if packed not in (None, UNKNOWN) and made is not None and len(made.reads) == 1:
            # Its last map, which packs the elements, is TensorFlow's own.
            made = made.reads[0]
        graph, created = draw(made)
        python = tuple(_python(dict.fromkeys(created.values())))
        self.known[str(name)] = Registered(graph, places_of(created), packed, python)

    def reads(self, frame: FrameType) -> None:
        """Note that an op made a dataset that reads from a service; ``frame`` is the op's."""
        given = {name: plain_argument(value) for name, value in frame.f_locals.items()}
        self.read.append((service_facts(given), self.known.get(str(given.get("dataset_id")))))

    def join(self, graph: GraphDict, places: Mapping[str, PlaceDict]) -> dict[str, PlaceDict]:
        """Put what the workers run into a graph as written, before what reads it; return the places of all of it."""
        found = dict(places)
        nodes: list[NodeDict] = []
        for node in graph["nodes"]:
            registered = self.known.get(str(node["arguments"].get("dataset_id"))) if traits(node["op"]).remote else None
            if registered is not None and registered.graph["root"] is not None:
                prefix = f"{node['id']}{_BELOW}"
                nodes += [_below(other, prefix, node) for other in registered.graph["nodes"]]
                node["inputs"] = [prefix + registered.graph["root"]]
                found |= {prefix + name: place for name, place in registered.places.items()}
                node["arguments"]["compression"] = registered.compression
            nodes.append(node)
        graph["nodes"] = nodes
        return found


def _python(created: Iterable[CreatedDataset]) -> Iterator[CallerDict]:
    for made in created:
        place = place_of(made) if traits(made.op).python_iterator or made.facts.python else None
        if place is not None:
            yield {"file": place["file"], "line": place["line"], "function": place["given"] or place["function"]}


def _below(node: NodeDict, prefix: str, reader: NodeDict) -> NodeDict:
    """A node of a registered dataset as one of the graph that reads it."""
    return {
        **node,
        "id": prefix + node["id"],
        "inputs": [prefix + name for name in node["inputs"]],
        "bodies": [prefix + name for name in node["bodies"]],
        "owner": prefix + node["owner"] if node["owner"] is not None else reader["owner"],
        "depth": node["depth"] + reader["depth"],
    }
