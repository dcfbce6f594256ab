"""Elements that a dataset takes of its input for one of its own, and elements that errors lost, by the counters.

Each reading of the model shows iterators in the middle of their work. What counts is summed over all readings first: at
the start of an epoch, one element went into a ``flat_map`` and few have come out, which says nothing. An element that
is taken apart is half in and half out. Where two epochs ended while they were read, only whole ones count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeprof.pipelines.graph.stages import Node, StageGraph
from pipeprof.pipelines.ops.executed_ops import executed as executed_op

WHOLE_FROM = 2
"""Epochs that must have ended, so that only whole ones count."""
_HALF = 0.5


class Counts(Protocol):
    """Counters of live iterators over a stretch between two readings."""

    @property
    def begins(self) -> bool:
        """Whether the iterator of the whole pipeline began in it."""

    @property
    def ids(self) -> Mapping[str, Sequence[int]]:
        """The iterators of each dataset at its end."""

    @property
    def ids_before(self) -> Mapping[str, Sequence[int]]:
        """The iterators of each dataset at its beginning."""

    def given(self, place: str) -> int:
        """Return the elements that a dataset gave meanwhile."""

    def lifetime(self, place: str) -> tuple[int, int] | None:
        """Return the elements that its only iterator has given and holds."""

    def parallelism(self, place: str) -> float:
        """Return its calls at a time; 0 where the model has none."""


@dataclass(frozen=True)
class Ratio:
    """Elements of its input that a dataset took for one of its own.

    Attributes:
        whole: Whether it was counted over whole epochs.
    """

    number: float
    whole: bool


@dataclass(frozen=True)
class Lost:
    """Elements that went into a dataset and raised an error, which another dataset swallowed.

    Attributes:
        place: The dataset that raised them.
        swallowed_by: The dataset that went on.
        taken: Elements that went in.
        number: At least so many of them never came out.
    """

    place: str
    swallowed_by: str
    taken: int
    number: float


def count_ratios(executed: StageGraph, epochs: Sequence[Sequence[Counts]]) -> dict[str, Ratio]:
    """Return the ratio of each dataset that reads one other and keeps its iterator.

    Args:
        epochs: The stretches of each iterator of the whole pipeline, in order; all but the last have ended.
    """
    ended = [stretches for stretches in epochs[:-1] if stretches and stretches[0].begins]
    whole = len(ended) >= WHOLE_FROM
    stretches = [one for epoch in (ended if whole else epochs) for one in epoch]
    found = {}
    for node, below in _readers(executed):
        if node.traits.restarts and not node.bodies:
            continue
        read = [one for one in stretches if one.ids.get(node.id) and one.ids.get(below)]
        given = sum(one.given(node.id) for one in read)
        taken = sum(one.given(below) - _HALF * _more_in_hand(executed, node, one) for one in read)
        if given and taken > 0:
            found[node.id] = Ratio(taken / given, whole)
    return found


def count_lost(
    executed: StageGraph, epochs: Sequence[Sequence[Counts]], counts: Mapping[str, int | None]
) -> list[Lost]:
    """Return what datasets before an ``ignore_errors`` lost, where it is known how many elements they give.

    An element that is on its way is not lost: as many as may be are left out.

    Args:
        counts: Elements of one pass by dataset; inside a function, of one call.
    """
    found: dict[str, Lost] = {}
    for swallower in (node for node in executed.walk() if node.traits.swallows):
        for node, below in _readers(executed, swallower):
            each = _each(executed, node, counts)
            if each is None or node.id in found:
                continue
            pairs = [(stretches[-1].lifetime(below), stretches[-1].lifetime(node.id)) for stretches in epochs]
            read = [(taken[0], given[0]) for taken, given in pairs if taken is not None and given is not None]
            on_the_way = _calls_at_a_time(node, epochs)
            taken = sum(taken for taken, _ in read)
            lost = taken - sum(given for _, given in read) / each - on_the_way * len(read)
            if lost >= 1:
                found[node.id] = Lost(node.id, swallower.id, taken, lost)
    return list(found.values())


def _readers(executed: StageGraph, end: Node | None = None) -> Iterator[tuple[Node, str]]:
    """Yield datasets that read one other, with that one; those before `end` only, where it is given."""
    at = {end.id} if end is not None else set(executed.nodes)
    for node in reversed(list(executed.walk())):
        if node.id in at:
            inputs = [executed.skip_options(one) for one in node.inputs]
            at.update(inputs)
            if len(inputs) == 1 and node is not end:
                yield node, inputs[0]


def _more_in_hand(executed: StageGraph, node: Node, stretch: Counts) -> float:
    """Return by how many more elements it was taking apart at the end of a stretch than at its beginning."""
    same = set(stretch.ids.get(node.id, ())) == set(stretch.ids_before.get(node.id, ()))
    if node.traits.unbatches:
        return 0 if same else len(stretch.ids[node.id])
    bodies = [executed.skip_options(body) for body in node.bodies]
    now = sum(len(stretch.ids.get(body, ())) for body in bodies)
    return now - sum(len(stretch.ids_before.get(body, ())) for body in bodies if same)


def _each(executed: StageGraph, node: Node, counts: Mapping[str, int | None]) -> float | None:
    """Return how many elements a dataset gives for one that goes in; None where that is not fixed."""
    if node.traits.one_to_one:
        return None if node.traits.buffers or node.traits.stores else 1.0
    sizes = [counts.get(executed.skip_options(body)) for body in node.bodies] if node.traits.nests else []
    return float(sizes[0]) if len(sizes) == 1 and sizes[0] is not None and sizes[0] > 0 else None


def _calls_at_a_time(node: Node, epochs: Sequence[Sequence[Counts]]) -> float:
    """Return how many elements may be on their way through a dataset."""
    if not executed_op(node.op).asynchronous:
        return 1.0
    return max((one.parallelism(node.id) for stretches in epochs for one in stretches), default=0.0) or 1.0
