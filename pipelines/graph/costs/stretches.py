"""Stretches of the measured window between two snapshots of the model: what passed through each dataset in them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pipeprof.pipelines.graph.align import Matched
from pipeprof.pipelines.graph.read.records import ModelDict
from pipeprof.pipelines.graph.stages import Node, StageGraph
from pipeprof.pipelines.meaning.executed_ops import executed as executed_op

Segment = tuple[ModelDict, ModelDict]
Counter = Literal["num_elements", "processing_time", "bytes_produced"]
_MOST_PARTS = 12
"""Passes that the shortest stretch between two readings may be."""
_OFF = 1
"""Elements by which a reading may be off: the two datasets are not read at the same time."""
_LEAST_PASS = 8
_BY_CHANCE = 0.01
"""Probability from which readings that fit a part of the shortest stretch are taken to fit it by chance."""
_PERHAPS = 0.1
"""The same where the number is stated as one of about so many."""


def elements_of_pass(readings: Iterable[int], begun: Sequence[int] = (), by_chance: float = _BY_CHANCE) -> int | None:
    """Return the elements of a pass; None where it did not end while it was read, or passes differ.

    Args:
        readings: Elements of all passes that have ended, at several times.
        begun: Elements of the pass that had begun, at each of them. Where no pass was seen beyond its half, two may
            have ended between two readings each time; where that is so at many readings, it is not known.
        by_chance: Probability from which readings are taken to be what they are by chance.

    Example:
        >>> elements_of_pass([0, 0, 100, 300, 300]), elements_of_pass([0, 200, 300]), elements_of_pass([0, 0])
        (100, 100, None)
        >>> elements_of_pass([0, 100, 217, 301]) is None
        True
        >>> elements_of_pass([0, 200, 400], [20, 80, 90]) is None, elements_of_pass([0, 200, 400], [20, 80, 190])
        (True, 200)
        >>> elements_of_pass([0, 200, 400, 800], [20, 80, 90, 10, 70, 30, 50, 60])
        100
    """
    seen, most, longer = _apart(readings), max(begun, default=0) - 2 * _OFF, math.inf
    steps = [after - before for before, after in pairwise([0, *seen])]
    for parts in range(1, _MOST_PARTS + 1) if seen else ():
        each = min(steps) / parts
        if each < max(_LEAST_PASS, most):
            return None
        # The longest stretch says it best.
        each = seen[-1] / round(seen[-1] / each)
        fits = all(abs(reading - round(reading / each) * each) <= 2 * _OFF for reading in seen)
        if not fits or (parts > 1 and parts * ((4 * _OFF + 1) / each) ** (len(seen) - 1) >= by_chance):
            continue
        together = math.gcd(*(round(reading / each) for reading in seen))
        if together > 1 and together ** -len(seen) < by_chance:
            # As many passes ended each time: readings in step with longer passes look the same.
            continue
        if begun and most <= each / 2:
            longer = min(longer, each)
        elif longer == math.inf or (most / longer) ** len(begun) < by_chance:
            return round(each)
    return None


def _apart(readings: Iterable[int]) -> Sequence[int]:
    """The readings after the first pass, once each; those that differ by no more than they may be off are one."""
    apart: list[int] = []
    for reading in sorted(readings):
        if reading - (apart[-1] if apart else 0) > 2 * _OFF:
            apart.append(reading)
    return apart


WHOLE_FROM = 2
"""Epochs that must have ended, so that only whole ones count."""
_HALF = 0.5


@dataclass(frozen=True)
class Ratio:
    """Elements of its input that a dataset took for one of its own."""

    number: float
    whole: bool
    """Counted over whole epochs."""
    rough: bool = False
    """No more than a guess: none of what it opened had ended."""
    first: int | None = None
    """Elements that it drops at the beginning of each pass, after which it takes one for one; None if unknown."""


@dataclass(frozen=True)
class Lost:
    """Elements that went into a dataset and raised an error, which another one swallowed: at least `number`."""

    place: str
    swallowed_by: str
    taken: int
    number: float


class Stretch:
    """A segment: the counters of each dataset at its begin and its end."""

    def __init__(
        self, executed: StageGraph, first: ModelDict, last: ModelDict, before: Matched, after: Matched
    ) -> None:
        self.executed = executed
        self.before, self.after = before, after
        self.first = {node["id"]: node for node in first["nodes"]}
        self.last = {node["id"]: node for node in last["nodes"]}
        self.ids = _by_place(after.places)
        self.ids_before = _by_place(before.places)

    @property
    def begins(self) -> bool:
        """Whether the iterator of the whole pipeline began in it."""
        return not self.first

    def delta(self, node_id: int, key: Counter) -> int:
        """Return by how much a counter of an iterator grew."""
        then = self.first[node_id][key] if node_id in self.first else 0
        return max(0, self.last[node_id][key] - then)

    def total(self, place: str, key: Counter, *, helpers: bool = False) -> int:
        """Return by how much a counter grew in all iterators of a place, with the parts of these or without."""
        ids = self.ids.get(place, ())
        return sum(self.delta(id_, key) for id_ in ids if helpers or id_ not in self.after.helpers)

    def given(self, place: str) -> int:
        """Return the elements that a place gave."""
        return self.total(place, "num_elements")

    def parallelism(self, place: str) -> float:
        """Return its calls at a time; 0 where the model has none."""
        nodes = (self.last[id_] for id_ in self.ids.get(place, ()))
        return max(
            (node["parameters"]["parallelism"]["state_value"] for node in nodes if "parallelism" in node["parameters"]),
            default=0.0,
        )

    def expected(self, ratios: Mapping[str, Ratio]) -> dict[str, float | None]:
        """Return the number of elements each place must have produced; None where unknown."""
        found: dict[str, float | None] = {}
        if self.executed.root is not None:
            top = self.executed.skip_options(self.executed.root)
            todo: list[tuple[str, float | None]] = [(top, float(self.total(top, "num_elements")))]
            while todo:
                place, expected = todo.pop()
                if place in found:
                    continue
                found[place] = expected
                node = self.executed.nodes[place]
                below = [
                    (one, self._expected_below(node, one, thrown_away, expected, ratios))
                    for one, thrown_away in _inputs_of(self.executed, node)
                ]
                todo += reversed(below)
        return found

    def _expected_below(
        self, node: Node, below: str, thrown_away: bool, above: float | None, ratios: Mapping[str, Ratio]
    ) -> float | None:
        seen = float(self.total(below, "num_elements"))
        now, before = self.ids.get(below, []), self.ids_before.get(below, [])
        if thrown_away and above is not None:
            through = above + self.held_more(node.id) if node.traits.buffers else above
            return max(seen, through) if not now or set(now) != set(before) else seen
        if node.traits.buffers and above is not None and (not now or set(now) != set(before)):
            if not now and not before and self._same_iterators(node.id):
                # Its input had ended.
                return 0.0
            return max(seen, above + self.held_more(node.id))
        if before and not now:
            # Ended within the segment: its last counters were never sampled.
            return self._inputs_to_end(node, below, above, ratios) if above is not None else None
        if node.family == "Cache":
            # Filled once: its inputs do not run again in later epochs.
            return seen
        return None if above is None else self._expected_inputs(node, seen, above, ratios)

    def _same_iterators(self, place: str) -> bool:
        now = self.ids.get(place)
        return now is not None and set(now) == set(self.ids_before.get(place, ()))

    def _inputs_to_end(self, node: Node, below: str, above: float, ratios: Mapping[str, Ratio]) -> float | None:
        """Return how many elements the input of ``node``, which ended, produced for ``above`` of its own."""
        each, first = self._inputs_each(node, ratios), _first_dropped(node, ratios)
        if each is None or first is None:
            return above * each if each is not None else None
        taken, given = (
            sum(self.first[one]["num_elements"] for one in self.ids_before.get(place, ())) for place in (below, node.id)
        )
        return above + max(0, len(self.ids_before[below]) * first - max(0, taken - given))

    def held_more(self, place: str) -> float:
        """Return the growth in buffered elements of a place's iterators over the segment."""
        now = sum(self.last[id_]["buffered_elements"] for id_ in self.ids.get(place, ()))
        return now - sum(self.first[number]["buffered_elements"] for number in self.ids_before.get(place, ()))

    def inputs_seen(self, place: str) -> float:
        """Return the number of elements that went into the live iterators of a buffer."""
        ids = self.ids.get(place, ())
        held = sum(self.last[id_]["buffered_elements"] for id_ in ids)
        before = sum(self.first[id_]["buffered_elements"] for id_ in ids if id_ in self.first)
        return self.total(place, "num_elements") + held - before

    def below(self, place: str) -> str:
        """Return the place that the first input of another one is."""
        return self.executed.skip_options(self.executed.nodes[place].inputs[0])

    def passed(self, place: str) -> tuple[int, int] | None:
        """Return the elements of all ended passes of what a place repeats, and of the one that has begun; else None."""
        node = self.executed.nodes[place]
        if not node.traits.restarts or node.bodies or len(node.inputs) != 1:
            return None
        own, inputs = self.lifetime(place), self.lifetime(self.below(place))
        return (own[0] + own[1] - inputs[0], inputs[0]) if own is not None and inputs is not None else None

    def lifetime(self, place: str) -> tuple[int, int] | None:
        """Return the elements that the only iterator of a place has given, and those that it holds."""
        ids = [number for number in self.ids.get(place, ()) if number not in self.after.helpers]
        if len(ids) != 1:
            return None
        return self.last[ids[0]]["num_elements"], self.last[ids[0]]["buffered_elements"]

    def _expected_inputs(self, node: Node, seen: float, above: float, ratios: Mapping[str, Ratio]) -> float | None:
        """Return how many elements the input of ``node`` produced (``seen`` were observed) for ``above`` of its own."""
        if above == self.given(node.id):
            return seen
        each = self._inputs_each(node, ratios)
        if each is None or _first_dropped(node, ratios) is None:
            return above * each if each is not None else None
        # Beyond what was seen, the same iterator takes one for one, and others make passes of their own.
        return max(seen, seen + above - self.given(node.id) if self._same_iterators(node.id) else above * each)

    def _inputs_each(self, node: Node, ratios: Mapping[str, Ratio]) -> float | None:
        """Return how many elements of its input ``node`` takes for one of its own, where that is known."""
        if node.traits.one_to_one and not node.traits.stores:
            return 1.0
        if not node.traits.stacks:
            return ratios[node.id].number if node.id in ratios else None
        fixed = [self.last[id_]["ratio"] for id_ in self.ids.get(node.id, ())]
        size = node.arguments.get("batch_size")
        if fixed and fixed[0] > 0:
            return fixed[0]
        return float(size) if isinstance(size, int) and size > 0 else None


def _first_dropped(node: Node, ratios: Mapping[str, Ratio]) -> int | None:
    return ratios[node.id].first if node.id in ratios else None


def _by_place(places: Mapping[int, str]) -> dict[str, list[int]]:
    nodes: dict[str, list[int]] = defaultdict(list)
    for node_id, place in places.items():
        nodes[place].append(node_id)
    return nodes


def _inputs_of(executed: StageGraph, node: Node) -> list[tuple[str, bool]]:
    """Return the inputs of ``node``, and for each whether ``node`` recreates its iterator while it runs."""
    restarts = node.traits.restarts
    inputs = [(executed.skip_options(input_), restarts and not node.bodies) for input_ in node.inputs]
    return [*inputs, *((executed.skip_options(body), restarts) for body in node.bodies)]


def read_passes(executed: StageGraph, epochs: Sequence[Sequence[Stretch]]) -> dict[str, tuple[list[int], list[int]]]:
    """Return what was read of the passes over each dataset that another one repeats: ended ones, and those begun."""
    found: dict[str, tuple[list[int], list[int]]] = {}
    for segment in (segment for epoch in epochs for segment in epoch):
        for node in executed.walk():
            if (passed := segment.passed(node.id)) is not None:
                ended, begun = found.setdefault(segment.below(node.id), ([], []))
                ended.append(passed[0])
                begun.append(passed[1])
    return found


def count_ratios(
    executed: StageGraph,
    epochs: Sequence[Sequence[Stretch]],
    passes: Mapping[str, tuple[list[int], list[int]]],
    counts: Mapping[str, int | None],
) -> dict[str, Ratio]:
    """Return the ratio of each dataset that reads one other and keeps its iterator; only the last epoch may go on."""
    ended = [stretches for stretches in epochs[:-1] if stretches and stretches[0].begins]
    whole = len(ended) >= WHOLE_FROM
    stretches = [stretch for epoch in (ended if whole else epochs) for stretch in epoch]
    ratios = {}
    for node, below in _readers(executed):
        if node.traits.restarts and not node.bodies:
            continue
        every = counts.get(below) or 0
        if every > 0 and node.id in passes and not node.traits.ends_early:
            # A pass, one that is known or the likeliest, takes all of its input, unless it may end before that.
            sure = elements_of_pass(*passes[node.id])
            if each := sure or elements_of_pass(*passes[node.id], _PERHAPS):
                ratios[node.id] = Ratio(every / each, whole=sure is not None)
                continue
        if (fixed := fixed_ratio(node, every, counts.get(node.id) or 0)) is not None:
            # Counters that are read while it drops the first elements have more of its input than goes in for them.
            first = every - (counts.get(node.id) or 0) if node.traits.consecutive else None
            ratios[node.id] = Ratio(fixed, whole=True, first=first)
            continue
        read = [stretch for stretch in stretches if stretch.ids.get(node.id) and stretch.ids.get(below)]
        given = sum(stretch.given(node.id) for stretch in read)
        taken = sum(stretch.given(below) - _HALF * _more_in_hand(executed, node, stretch) for stretch in read)
        # Of a batch that is taken apart, half is left on average when counters are read.
        sure = whole and not node.traits.unbatches
        opened, made = _of_ended(executed, node, below, read) if node.bodies else (taken, given)
        if opened >= 1 and made >= _LEAST_PASS:
            ratios[node.id] = Ratio(opened / made, sure)
        elif given and taken > 0:
            ratios[node.id] = Ratio(taken / given, sure, rough=bool(node.bodies))
    return ratios


def fixed_ratio(node: Node, taken: int, given: int) -> float | None:
    """Return how many elements go in for one that comes out, by the counts of whole passes, where these fix it.

    They do where elements are dropped by their position and all of the input is read: by a skip or a shard.
    """
    drops = node.traits.drops and node.traits.by_position and not node.traits.ends_early
    return taken / given if drops and taken > 0 and given > 0 else None


def _of_ended(executed: StageGraph, node: Node, below: str, stretches: Sequence[Stretch]) -> tuple[int, int]:
    """Return how many of the datasets that another one opened have ended, and how many elements they gave."""
    opened = made = 0
    for stretch in stretches:
        same = set(stretch.ids.get(node.id, ())) == set(stretch.ids_before.get(node.id, ()))
        bodies = [executed.skip_options(body) for body in node.bodies]
        opened += stretch.given(below)
        made += stretch.given(node.id)
        for sign, seen, ids in ((1, stretch.last, stretch.ids), (-1, stretch.first, stretch.ids_before)):
            if sign < 0 and not same:
                continue
            inner = [seen[one] for body in bodies for one in ids.get(body, ()) if one not in stretch.after.helpers]
            opened -= sign * len(inner)
            made -= sign * sum(one["num_elements"] for one in inner)
            made += sign * sum(seen[one]["buffered_elements"] for one in ids.get(node.id, ()))
    return opened, made


def count_lost(
    executed: StageGraph, epochs: Sequence[Sequence[Stretch]], counts: Mapping[str, int | None]
) -> list[Lost]:
    """Return what datasets before an ``ignore_errors`` lost, where it is known how many elements they give.

    An element that is on its way is not lost: as many as may be are left out.
    """
    lost_by_place: dict[str, Lost] = {}
    for swallower in (node for node in executed.walk() if node.traits.swallows):
        for node, below in _readers(executed, swallower):
            each = _each(executed, node, counts)
            if each is None or node.id in lost_by_place:
                continue
            pairs = [(stretches[-1].lifetime(below), stretches[-1].lifetime(node.id)) for stretches in epochs]
            read = [(taken[0], given[0]) for taken, given in pairs if taken is not None and given is not None]
            on_the_way = _calls_at_a_time(node, epochs)
            taken = sum(taken for taken, _ in read)
            lost = taken - sum(given for _, given in read) / each - on_the_way * len(read)
            if lost >= 1:
                lost_by_place[node.id] = Lost(node.id, swallower.id, taken, lost)
    return list(lost_by_place.values())


def _readers(executed: StageGraph, end: Node | None = None) -> Iterator[tuple[Node, str]]:
    at = {end.id} if end is not None else set(executed.nodes)
    for node in reversed(list(executed.walk())):
        if node.id in at:
            inputs = [executed.skip_options(one) for one in node.inputs]
            at.update(inputs)
            if len(inputs) == 1 and node is not end:
                yield node, inputs[0]


def _more_in_hand(executed: StageGraph, node: Node, stretch: Stretch) -> float:
    """Return by how many more elements it was taking apart at the end of a stretch than at its beginning."""
    same = set(stretch.ids.get(node.id, ())) == set(stretch.ids_before.get(node.id, ()))
    if node.traits.unbatches:
        return 0 if same else len(stretch.ids[node.id])
    bodies = [executed.skip_options(body) for body in node.bodies]
    now = sum(len(stretch.ids.get(body, ())) for body in bodies)
    return now - sum(len(stretch.ids_before.get(body, ())) for body in bodies if same)


def _each(executed: StageGraph, node: Node, counts: Mapping[str, int | None]) -> float | None:
    if node.traits.one_to_one:
        return None if node.traits.buffers or node.traits.stores else 1.0
    sizes = [counts.get(executed.skip_options(body)) for body in node.bodies] if node.traits.nests else []
    return float(sizes[0]) if len(sizes) == 1 and sizes[0] is not None and sizes[0] > 0 else None


def _calls_at_a_time(node: Node, epochs: Sequence[Sequence[Stretch]]) -> float:
    if not executed_op(node.op).asynchronous:
        return 1.0
    return max((stretch.parallelism(node.id) for stretches in epochs for stretch in stretches), default=0.0) or 1.0
