"""The pipeline while it runs, as TensorFlow's model has it: what each stage gives, what works in it, what it holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeprof.pipelines.graph.read.records import ModelDict, ModelNodeDict
from pipeprof.pipelines.ops.executed_ops import OPTION_FAMILIES, family, written_op

_ROOT = "Root"
"""The model's node for whoever takes the batches."""
Path = tuple[str, ...]
"""Kinds of iterators, from the output to one of them: those of one path are parts of one stage."""


@dataclass(frozen=True)
class RunningStage:
    """A stage at a moment; rates are those since the look before, None at the first one.

    Attributes:
        name: The user's, else that of its op.
        place: The line that it is written in; empty where that is not known.
        per_second: Elements that it gave.
        busy: Threads that worked in it, on average.
        calls: Calls at a time at most; None where it has no such number.
        held: Elements in its buffer.
        room: Size of the buffer in elements; None where it has none.
    """

    name: str
    place: str
    per_second: float | None
    busy: float | None
    calls: float | None
    held: int
    room: float | None
    bytes: int


@dataclass(frozen=True)
class Running:
    """The process and its pipeline at a moment.

    Attributes:
        rate: Batches per second.
        waits: Share of the time in which the step waits for data, since the measured window began.
        limit_bytes: Memory that it may use.
        cores: CPU time per second, since the look before.
        stages: From the sources on.
    """

    rate: float | None = None
    waits: float | None = None
    bytes: int | None = None
    limit_bytes: int | None = None
    cores: float | None = None
    stages: tuple[RunningStage, ...] = ()


@dataclass
class _Sums:
    ids: set[int] = field(default_factory=set)
    elements: int = 0
    nanoseconds: int = 0
    held: int = 0
    bytes: int = 0
    parameters: dict[str, float] = field(default_factory=dict)

    def add(self, node: ModelNodeDict) -> None:
        self.ids.add(node["id"])
        self.elements += node["num_elements"]
        self.nanoseconds += node["processing_time"]
        self.held += node["buffered_elements"]
        self.bytes += node["buffered_bytes"]
        for name, parameter in node["parameters"].items():
            self.parameters[name] = self.parameters.get(name, 0.0) + parameter["state_value"]


def running_stages(
    model: ModelDict, before: ModelDict | None, seconds: float, written: Sequence[tuple[str, str, str]]
) -> tuple[RunningStage, ...]:
    """State what stages do between two looks at a model.

    Args:
        seconds: Between the two looks.
        written: Op, name and place of each stage as it is written, from the sources on. Those of an op get their names
            where the model has as many of it.
    """
    now = _sums(model)
    earlier = _continued(now, _sums(before)) if before is not None else {}
    names = _named([written_op(path[-1]) for path in now], written)
    return tuple(
        RunningStage(
            name,
            place,
            _rate(one, earlier.get(path), "elements", seconds),
            _rate(one, earlier.get(path), "nanoseconds", 1e9 * seconds),
            one.parameters.get("parallelism"),
            one.held,
            one.parameters.get("buffer_size"),
            one.bytes,
        )
        for (path, one), (name, place) in zip(now.items(), names, strict=True)
    )


def _sums(model: ModelDict) -> dict[Path, _Sums]:
    """Sums over the iterators of each path, sources first."""
    found: dict[Path, _Sums] = defaultdict(_Sums)
    for path, node in _walk({node["id"]: node for node in model["nodes"]}, model["output"], (), set()):
        found[path].add(node)
    return found


def _walk(
    nodes: Mapping[int, ModelNodeDict], identity: int, above: Path, seen: set[int]
) -> Iterator[tuple[Path, ModelNodeDict]]:
    node = nodes.get(identity)
    if node is None or identity in seen:
        return
    seen.add(identity)
    kind = family(node["name"])
    passes = kind == _ROOT or kind in OPTION_FAMILIES
    path = above if passes else (*above, kind)
    for below in node["inputs"]:
        yield from _walk(nodes, below, path, seen)
    if not passes:
        yield path, node


def _named(ops: Sequence[str], written: Sequence[tuple[str, str, str]]) -> list[tuple[str, str]]:
    by_op: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for op, name, place in written:
        by_op[op].append((name or op, place))
    parts = [op.split("+") for op in ops]
    seen = [part for row in parts for part in row]
    known = {op: iter(names) for op, names in by_op.items() if len(names) == seen.count(op)}
    found = []
    for row in parts:
        # A stage that TensorFlow has made of several has the names of all, and the place of the first.
        names = [next(known[part]) if part in known else (part, "") for part in row]
        found.append(("+".join(name for name, _ in names), next((place for _, place in names if place), "")))
    return found


def _continued(now: Mapping[Path, _Sums], before: Mapping[Path, _Sums]) -> dict[Path, _Sums]:
    """The earlier sums, without those of iterators that have ended meanwhile, as with each epoch of a repeated part.

    Such an iterator took its counters with it, with those of all that it read; its successor may have the same number.
    """
    ended = {
        path
        for path, one in before.items()
        if path not in now
        or not one.ids <= now[path].ids
        or now[path].elements < one.elements
        or now[path].nanoseconds < one.nanoseconds
    }
    return {
        path: one
        for path, one in before.items()
        if not any(path[:length] in ended for length in range(1, len(path) + 1))
    }


def _rate(now: _Sums, before: _Sums | None, what: Literal["elements", "nanoseconds"], time: float) -> float | None:
    """Per unit of time; None where nothing is known of the time before."""
    if before is None or time <= 0:
        return None
    after: int = getattr(now, what)
    return (after - int(getattr(before, what))) / time
