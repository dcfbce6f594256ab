"""When a change of order or of random numbers is none: where each run, and every epoch, draws a new one anyway."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.view.views import measured, pipeline, stage

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, PipelineEdit, SetArgument, SetOption
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
    return measured(pipeline(*rows, static=False))


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
