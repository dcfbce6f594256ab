"""The watch over a build: where datasets are made, sources in memory, datasets registered with a tf.data service.

A graph cannot tell an array that was converted once, by an eager ``from_tensor_slices``, from one that went through a
graph as a constant, at many times its size: whether TensorFlow was tracing is seen when the dataset is made. Nor does a
graph show what the workers of a service run: registering does. By then the dataset and all that it reads were made in
this process, and are drawn as they were seen being made (worker only: needs TensorFlow).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any, Final

from pipeprof.pipelines.graph.observe.build_hook import BuildHook, Returned, WatchedCall
from pipeprof.pipelines.graph.observe.created import CreatedDataset, draw, plain_argument
from pipeprof.pipelines.graph.observe.source_lines import Lines, place_of, places_of
from pipeprof.pipelines.graph.read.function_facts import PYTHON
from pipeprof.pipelines.graph.read.records import (
    UNKNOWN,
    CallerDict,
    GraphDict,
    MadeDict,
    NodeDict,
    PlaceDict,
    ServiceFacts,
    compression,
    service_facts,
)
from pipeprof.pipelines.meaning.executed_ops import REGISTERS, is_dataset
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.target.user_files import is_users


class SourceWatch(BuildHook):
    """Observer of the datasets created in a ``with`` block: their lines, and how in-memory ones are created."""

    def __init__(self, own: Callable[[str], bool] = is_users) -> None:
        self.lines = Lines(own)
        self.made = self.lines.sources
        self.registered = Registrations(self.lines)
        super().__init__(self._observed_functions(), self._watched_calls())

    @property
    def note(self) -> str | None:
        """Why lines or sources may be missing; None if nothing is."""
        if self.problem is None:
            return None
        extent = "some stages may be missing" if self.partly else "stages are unknown"
        return f"the source lines of {extent}: {self.problem}"

    def _watched_calls(self) -> Iterable[WatchedCall]:
        """What else looks at calls, for a subclass."""
        return ()

    def _observed_functions(self) -> Iterator[tuple[Callable[..., Any], Returned]]:
        import tensorflow as tf

        for op in filter(is_dataset, dir(tf.raw_ops)):
            note = self._read_from_service if traits(op).remote else self.lines.made
            yield getattr(tf.raw_ops, op), partial(note, op)
        for op in REGISTERS:
            yield getattr(tf.raw_ops, op), self.registered.registers
        for op in sorted(PYTHON):
            yield getattr(tf.raw_ops, op), self.lines.called
        for method in _methods(tf.types.experimental.ConcreteFunction):
            yield method, self.lines.returned
        for method in _methods(tf.Graph):
            yield method, self.lines.op_made

    def _read_from_service(self, op: str, frame: FrameType, variant: Any) -> None:
        self.lines.made(op, frame, variant)
        self.registered.reads(frame)


def _methods(kind: type[Any]) -> Iterator[Callable[..., Any]]:
    for below in kind.__subclasses__():
        yield from (method for method in vars(below).values() if inspect.isfunction(method))
        yield from _methods(below)


def held_bytes(made: Sequence[MadeDict]) -> int:
    """Return the bytes of these sources' tensors with known shapes; strings count 0."""
    return sum(nbytes for _, nbytes in component_bytes(made))


def component_bytes(made: Sequence[MadeDict]) -> list[tuple[str, int]]:
    """Return type and bytes of each tensor that these sources hold, except strings and unknown shapes."""
    import tensorflow as tf

    sizes = []
    for source in made:
        for name, shape in zip(source["types"], source["shapes"], strict=True):
            if shape is None or None in shape or name in ("variant", "string"):
                continue
            count = math.prod(size for size in shape if size is not None) * (source["elements"] or 1)
            sizes.append((name, count * int(tf.dtypes.as_dtype(name).size)))
    return sizes


def mark_constants(graph: GraphDict, made: Sequence[MadeDict]) -> None:
    """Set ``constant`` of the in-memory sources of ``graph`` from what was seen while it was built.

    Where sources of the same element were made in both ways, the one at hand could be either, and nothing is set.
    """
    for node in graph["nodes"]:
        if not traits(node["op"]).in_memory or node["owner"] is not None:
            continue
        element = node["output_types"], node["output_shapes"]
        traced = {source["traced"] for source in made if (source["types"], source["shapes"]) == element}
        if len(traced) == 1:
            node["constant"] = traced.pop()


def is_component(leaf: Any) -> bool:
    """Return whether a leaf of a structure, a spec or a value, is a component of elements: None is none."""
    return leaf is not None and type(leaf).__name__ != "NoneTensorSpec"


def component_keys(spec: Any) -> list[str] | None:
    """Return component names of an element: dotted keys of dicts, indices of tuples; ``0`` for a single one."""
    if not isinstance(spec, (dict, tuple, list)):
        return ["0"]
    return [".".join(path) for path in _paths(spec, ())]


def _paths(spec: Any, prefix: tuple[str, ...]) -> list[tuple[str, ...]]:
    if isinstance(spec, dict):
        parts = [(str(key), spec[key]) for key in sorted(spec)]
    elif isinstance(spec, tuple) and hasattr(spec, "_fields"):
        parts = list(zip(spec._fields, spec, strict=True))
    elif isinstance(spec, (tuple, list)):
        parts = [(str(index), part) for index, part in enumerate(spec)]
    else:
        return [prefix] if is_component(spec) else []
    return [path for key, part in parts for path in _paths(part, (*prefix, key))]


def release_source_array() -> None:
    """Convert one numpy value: only then does TensorFlow free the array that a source was made from."""
    import numpy as np
    import tensorflow as tf

    tf.constant(np.zeros(1))


_BELOW: Final = "@workers/"
"""Between the id of a dataset that reads from a service and those of the datasets that its workers run."""


@dataclass(frozen=True)
class Registered:
    """A registered dataset."""

    graph: GraphDict
    """Without a root where its datasets were not seen being made."""
    places: Mapping[str, PlaceDict]
    compression: str | None
    python: tuple[CallerDict, ...] = ()
    """Where those were made whose functions call Python."""


@dataclass
class Registrations:
    """The datasets that were registered, by the id that the service gave them, and what reads from a service."""

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
