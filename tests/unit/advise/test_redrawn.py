"""How random an order is: how well a shuffle mixes, and when a change of an order that is drawn anew anyway is none."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from unit.view.views import measured, pipeline, stage

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, PipelineEdit, SetArgument, SetOption
from pipeprof.profiles.advise.facts.byte_gate import describe_order, order_entropy
from pipeprof.profiles.advise.facts.redrawn import as_redrawn
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.document.stages import Shuffle
from pipeprof.profiles.view.view import PipelineView


def run_of(*ops: str, size: int | None = 300, seeded: bool | None = False, **facts: Any) -> PipelineView:
    """A run of 1,000 elements in a line of ops, with shuffles that have these facts."""
    found = Shuffle(buffer_size=size, seeded=seeded, **{"reshuffles": True, **facts})
    rows = []
    for number, op in enumerate(ops):
        at = f"stages.{number - 1}" if number else "source"
        one = stage(at, op, elements=1000, parallelism=4.0 if op == "interleave" else None)
        if op in {"shuffle", "list_files"}:
            one = replace(one, measured=one.measured.model_copy(update={"shuffle": found}))
        rows.append(one)
    return measured(pipeline(*rows))


def cached(after: str, size: int | None, **arguments: Any) -> list[PipelineEdit]:
    again = [InsertStage("shuffle", {"buffer_size": size, **arguments}, after)] if size is not None else []
    return [InsertStage("cache", {}, after), *again]


LINE = ("range", "shuffle", "map", "batch")
FILES = ("list_files", "interleave", "batch")


def calls(stage: str, op: str) -> list[PipelineEdit]:
    return [SetArgument(stage, op, "num_parallel_calls", 8)]


INTERLEAVE = calls("stages.0", "interleave")
OF_NAMES = ("from_tensor_slices", "shuffle", "interleave", "map", "batch")
EARLIER = [MoveStage("stages.1", "shuffle", "stages.0")]
ORDERS: dict[str, tuple[tuple[str, ...], list[PipelineEdit], dict[str, Any], bool]] = {
    "as many as before": (LINE, cached("stages.1", 300), {}, True),
    "all of a pass": (LINE, cached("stages.1", 1000), {"size": 1000}, True),
    "more than before": (LINE, cached("stages.1", 1000), {}, False),
    "fewer": (LINE, cached("stages.1", 299), {}, False),
    "no longer the whole pass": (LINE, cached("stages.1", 300), {"size": 1000}, False),
    "a cache after the shuffle": (LINE, cached("stages.1", None), {}, False),
    "a seed": (LINE, cached("stages.1", 300), {"seeded": True}, False),
    "seed unknown": (LINE, cached("stages.1", 300), {"seeded": None}, False),
    "a seed of the new one": (LINE, cached("stages.1", 300, seed=1), {}, False),
    "the same in each epoch": (LINE, cached("stages.1", 300), {"reshuffles": False}, False),
    "the new one is the same": (LINE, cached("stages.1", 300, reshuffle_each_iteration=False), {}, False),
    "buffer unknown": (LINE, cached("stages.1", 300), {"size": None}, False),
    "no shuffle": (("range", "map", "batch"), cached("stages.0", 1000), {}, False),
    "several files at a time": (FILES, INTERLEAVE, {}, True),
    "before the shuffle": (("range", "interleave", "shuffle"), INTERLEAVE, {}, False),
    "names were shuffled, not what the files hold": (OF_NAMES, cached("stages.2", 1000), {"size": 1000}, False),
    "in turn": (("list_files", "flat_map", "batch"), calls("stages.0", "flat_map"), {"size": 1000}, False),
    "a shuffle before the map": (("range", "map", "shuffle", "batch"), [*EARLIER], {}, True),
    "another buffer": (LINE, [SetArgument("stages.1", "shuffle", "buffer_size", 2)], {}, False),
    "an option of all stages": (LINE, [SetOption("deterministic", False)], {}, False),
}


@pytest.mark.parametrize(("ops", "edits", "facts", "same"), ORDERS.values(), ids=ORDERS)
def test_an_order(ops: tuple[str, ...], edits: list[PipelineEdit], facts: dict[str, Any], same: bool) -> None:
    view, proposal = run_of(*ops, **facts), Proposal("", "", tuple(edits), "order")
    found = as_redrawn(view, proposal)
    assert (found.semantics, found.redrawn) == (("same", "order") if same else ("order", None))
    # In two processes the order is another one, whatever the class: elements are compared in any order.
    assert found.compared_as == "order"
    view.profile.seed = 3
    assert as_redrawn(view, proposal) == proposal


@pytest.mark.parametrize(
    ("op", "program", "shuffle", "same"),
    [
        *((False, None, False, True), (True, None, False, False), (None, None, False, False)),
        *((False, 3, False, False), (False, None, True, False)),
    ],
)
def test_other_random_numbers(op: bool | None, program: int | None, shuffle: bool, same: bool) -> None:
    view = run_of(*LINE, seeded=shuffle)
    row = view.by_id["stages.1"].measured
    row.random, row.seeded, view.profile.seed = True, op, program
    found = as_redrawn(view, Proposal("", "", tuple(calls("stages.1", "map")), "randomness"))
    assert (found.effect, found.redrawn) == (("same", "randomness") if same else ("randomness", None))
    assert found.compared_as == "randomness"


def orders(buffer: list[int], rest: list[int], chance: float) -> Iterator[tuple[tuple[int, ...], float]]:
    """All orders of a shuffle with what is in its buffer, each with its chance."""
    if not buffer:
        yield (), chance
    for place, drawn in enumerate(buffer):
        left = [*buffer[:place], *buffer[place + 1 :], *rest[:1]]
        for order, each in orders(left, rest[1:], chance / len(buffer)):
            yield (drawn, *order), each


@pytest.mark.parametrize(("buffer", "elements"), [(1, 5), (2, 4), (2, 6), (3, 6), (5, 5), (9, 5)])
def test_the_formula_is_the_entropy_of_the_order(buffer: int, elements: int) -> None:
    chances: Counter[tuple[int, ...]] = Counter()
    for order, chance in orders(list(range(min(buffer, elements))), list(range(buffer, elements)), 1.0):
        chances[order] += chance  # type: ignore[assignment]
    entropy = -sum(chance * math.log2(chance) for chance in chances.values())
    assert order_entropy(buffer, elements) == pytest.approx(entropy / math.log2(math.factorial(elements)))
    ahead = max(element - place for order in chances for place, element in enumerate(order))
    assert ahead == min(buffer, elements) - 1


def test_batches_that_are_shuffled_whole_keep_their_neighbours() -> None:
    assert order_entropy(10, 320, 32) == pytest.approx(math.lgamma(11) / math.lgamma(321))
    assert "by at most 288 of 320 places" in describe_order(10, 320, 32)
    shares = [order_entropy(buffer, 1000) for buffer in (1, 10, 100, 1000, 5000)]
    assert shares == sorted(shares)
    assert shares[-2:] == [1.0, 1.0]


def test_without_a_number_of_elements_only_the_distance_is_known() -> None:
    assert describe_order(100, None) == "an element moves ahead by at most 99 places"
    assert next(number for number in count(1) if describe_order(number, 5).startswith("a full shuffle")) == 5
