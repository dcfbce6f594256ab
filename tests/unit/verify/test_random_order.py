"""When a change of order is none: after a shuffle without a seed, where every epoch draws a new one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, PipelineEdit, SetArgument, SetOption
from pipeprof.pipelines.graph.stages import Node
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.time.stage_table import _shuffle
from pipeprof.profiles.verify.guessing.random_order import OrderPart, as_redrawn, order_is_drawn_anew, stays_random

OTHER, CACHE, GROUPS = OrderPart("other"), OrderPart("cache"), OrderPart("regroups")


def shuffle(buffer: float | None, *, seeded: bool | None = False, reshuffles: bool | None = True) -> OrderPart:
    return OrderPart("shuffle", buffer, seeded, reshuffles)


ALL = math.inf


@pytest.mark.parametrize(
    ("before", "after", "seed", "same"),
    [
        pytest.param([shuffle(100)], [shuffle(100), CACHE, shuffle(100)], False, True, id="the same buffer"),
        pytest.param([shuffle(100)], [shuffle(100), CACHE, shuffle(ALL)], False, False, id="the whole pass"),
        pytest.param([shuffle(ALL)], [shuffle(ALL), CACHE, shuffle(ALL)], False, True, id="whole to whole"),
        pytest.param([shuffle(100)], [shuffle(100), CACHE, shuffle(99)], False, False, id="a smaller buffer"),
        pytest.param([shuffle(ALL)], [shuffle(ALL), CACHE, shuffle(100)], False, False, id="no longer the whole pass"),
        pytest.param([shuffle(100)], [shuffle(100), CACHE], False, False, id="a cache after the shuffle"),
        pytest.param([shuffle(100), CACHE], [shuffle(100), CACHE], False, False, id="cached as it is"),
        pytest.param([shuffle(9)], [shuffle(9), CACHE, shuffle(9)], True, False, id="a seed of the process"),
        pytest.param(
            [shuffle(9, seeded=True)], [shuffle(9, seeded=True), CACHE, shuffle(9)], False, False, id="a seed of the op"
        ),
        pytest.param(
            [shuffle(9)], [shuffle(9), CACHE, shuffle(9, seeded=True)], False, False, id="a seed of the new one"
        ),
        pytest.param(
            [shuffle(9, reshuffles=False)],
            [shuffle(9, reshuffles=False), CACHE, shuffle(9)],
            False,
            False,
            id="one order for all epochs",
        ),
        pytest.param([shuffle(9)], [shuffle(9), CACHE, shuffle(9, reshuffles=False)], False, False, id="one order"),
        pytest.param(
            [shuffle(9, seeded=None)], [shuffle(9, seeded=None), CACHE, shuffle(9)], False, False, id="seed unknown"
        ),
        pytest.param(
            [shuffle(9, reshuffles=None)], [shuffle(9, reshuffles=None), CACHE, shuffle(9)], False, False, id="unknown"
        ),
        pytest.param([shuffle(None)], [shuffle(None), CACHE, shuffle(9)], False, False, id="buffer unknown"),
        pytest.param([shuffle(None)], [shuffle(None), CACHE, shuffle(ALL)], False, False, id="whole and unknown"),
        pytest.param([shuffle(9)], [shuffle(9), CACHE, shuffle(None)], False, False, id="new buffer unknown"),
        pytest.param([OTHER], [OTHER, CACHE, shuffle(ALL)], False, False, id="no shuffle before"),
        pytest.param(
            [shuffle(60), shuffle(60)], [shuffle(60), shuffle(60), CACHE, shuffle(100)], False, False, id="two add up"
        ),
        pytest.param([shuffle(9), GROUPS], [shuffle(9), GROUPS, CACHE, shuffle(99)], False, False, id="other units"),
        pytest.param(
            [shuffle(ALL), GROUPS], [shuffle(ALL), GROUPS, CACHE, shuffle(ALL)], False, False, id="files, then elements"
        ),
        pytest.param([shuffle(ALL), GROUPS], [shuffle(ALL), GROUPS, shuffle(9)], False, False, id="a shuffle added"),
        pytest.param(
            [shuffle(ALL), GROUPS, shuffle(9)],
            [shuffle(ALL), GROUPS, shuffle(9), CACHE, shuffle(9)],
            False,
            False,
            id="files in one order",
        ),
        pytest.param([GROUPS, shuffle(ALL)], [shuffle(ALL), GROUPS], False, False, id="elements, then files"),
        pytest.param([OTHER, shuffle(9)], [shuffle(9), OTHER], False, True, id="moved, the same elements"),
        pytest.param([shuffle(9), GROUPS], [shuffle(9), GROUPS], False, True, id="nothing moves"),
    ],
)
def test_the_order_stays_random(before: list[OrderPart], after: list[OrderPart], seed: bool, same: bool) -> None:
    assert stays_random(before, after, seed=seed) is same


def run_of(recorded: Callable[[str], Profile], *ops: str, size: int | None = 300, **facts: Any) -> Profile:
    """A run of 1,000 elements in a line of ops, with a shuffle that has these facts."""
    found = recorded("input-bound").model_copy(deep=True)
    found.seed = None
    assert found.steps is not None
    found.steps.epochs, found.steps.count, found.steps.interval_ms.mean = 20, 1000, 10.0
    known = {"buffer_size": size, "seeded": False, "reshuffles": True, **facts}
    found.stages = [
        Stage(
            id=f"stages.{number - 1}" if number else "source",
            origin="written",
            op=op,
            cardinality=1000,
            elements=20_000,
            shuffle=known if op in {"shuffle", "list_files"} else None,  # type: ignore[arg-type]
            parallelism=4.0 if op == "interleave" else None,
        )
        for number, op in enumerate(ops)
    ]
    return found


def cached(after: str, size: int) -> list[PipelineEdit]:
    return [InsertStage("cache", {}, after), InsertStage("shuffle", {"buffer_size": size}, after)]


LINE = ("range", "shuffle", "map", "batch")


@pytest.mark.parametrize(
    ("ops", "edits", "facts", "same"),
    [
        pytest.param(LINE, cached("stages.1", 1000), {"size": 1000}, True, id="all of a pass"),
        pytest.param(LINE, cached("stages.1", 1000), {}, False, id="more than before"),
        pytest.param(LINE, cached("stages.1", 300), {}, True, id="as many as before"),
        pytest.param(LINE, cached("stages.1", 299), {}, False, id="fewer"),
        pytest.param(LINE, cached("stages.1", 1000), {"seeded": True}, False, id="a seed"),
        pytest.param(LINE, cached("stages.1", 1000), {"reshuffles": False}, False, id="the same in each epoch"),
        pytest.param(LINE, cached("stages.1", 1000)[:1], {}, False, id="a cache alone"),
        pytest.param(LINE, cached("stages.9", 1000), {}, False, id="a place that is not there"),
        pytest.param(
            ("list_files", "map", "batch"), cached("stages.0", 1000), {"size": 1000}, True, id="names of files"
        ),
        pytest.param(("range", "map", "batch"), cached("stages.0", 1000), {}, False, id="no shuffle"),
        pytest.param(
            ("list_files", "interleave", "batch"),
            [SetArgument("stages.0", "interleave", "num_parallel_calls", 8)],
            {},
            True,
            id="several files at a time after shuffled names",
        ),
        pytest.param(
            ("range", "interleave", "shuffle"),
            [SetArgument("stages.0", "interleave", "num_parallel_calls", 8)],
            {},
            False,
            id="before the shuffle",
        ),
        pytest.param(
            ("from_tensor_slices", "shuffle", "interleave", "map", "batch"),
            cached("stages.2", 1000),
            {"size": 1000},
            False,
            id="names were shuffled, not what the files hold",
        ),
        pytest.param(
            ("list_files", "flat_map", "batch"),
            [SetArgument("stages.0", "flat_map", "num_parallel_calls", 8)],
            {"size": 1000},
            False,
            id="files in turn that were read one after the other",
        ),
        pytest.param(
            ("range", "map", "shuffle", "batch"),
            [MoveStage("stages.1", "shuffle", "stages.0")],
            {},
            True,
            id="a shuffle before the map",
        ),
        pytest.param(LINE, [SetArgument("stages.1", "shuffle", "buffer_size", 2)], {}, False, id="another buffer"),
        pytest.param(LINE, [SetOption("deterministic", False)], {}, False, id="an option of all stages"),
        pytest.param(LINE, [], {}, False, id="nothing"),
    ],
)
def test_of_a_run(
    recorded: Callable[[str], Profile],
    ops: tuple[str, ...],
    edits: list[PipelineEdit],
    facts: dict[str, Any],
    same: bool,
) -> None:
    profile = run_of(recorded, *ops, **facts)
    assert order_is_drawn_anew(profile, edits) is same
    found = as_redrawn(profile, Proposal("", "", tuple(edits), "order"))
    assert (found.semantics, found.redrawn) == (("same", "order") if same else ("order", None))
    # In two processes the order is another one, whatever the class: elements are compared in any order.
    assert found.compared_as == "order"
    profile.seed = 3
    assert not order_is_drawn_anew(profile, edits)


@pytest.mark.parametrize(
    ("op", "program", "shuffle", "same"),
    [
        (False, None, False, True),
        (True, None, False, False),
        (None, None, False, False),
        (False, 3, False, False),
        (False, None, True, False),
    ],
)
def test_other_random_numbers_are_the_same_data_where_nothing_is_seeded(
    recorded: Callable[[str], Profile], op: bool | None, program: int | None, shuffle: bool, same: bool
) -> None:
    profile = run_of(recorded, *LINE, seeded=shuffle)
    assert profile.stages is not None
    profile.stages[2].random, profile.stages[2].seeded, profile.seed = True, op, program
    calls = Proposal("", "", (SetArgument("stages.1", "map", "num_parallel_calls", 8),), "randomness")
    found = as_redrawn(profile, calls)
    assert (found.effect, found.redrawn) == (("same", "randomness") if same else ("randomness", None))
    assert found.compared_as == "randomness"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([{"buffer_size": 9, "seed": 0, "seed2": 0, "reshuffle_each_iteration": True}], (9, False, True)),
        ([{"buffer_size": 9, "seed": 87654321, "seed2": 3, "reshuffle_each_iteration": True}], (9, True, True)),
        ([{"buffer_size": 9, "seed": 0, "seed2": 3, "reshuffle_each_iteration": False}], (9, True, False)),
        ([{"buffer_size": 9}], (9, None, None)),
        ([{"buffer_size": -1, "seed": 0, "seed2": 0, "reshuffle_each_iteration": True}], (None, False, True)),
        (
            [{"buffer_size": size, "seed": 0, "seed2": 0, "reshuffle_each_iteration": True} for size in (2, 3)],
            (None, False, True),
        ),
    ],
)
def test_what_the_graph_says_of_a_shuffle(
    arguments: list[dict[str, Any]], expected: tuple[int | None, bool | None, bool | None]
) -> None:
    nodes = [
        Node("a", "ShuffleDatasetV3", None, None, (), None, 0, (), (), given, None, stateful=False, files=False)
        for given in arguments
    ]
    found = _shuffle(nodes)
    assert found is not None
    assert (found.buffer_size, found.seeded, found.reshuffles) == expected
    assert (
        _shuffle([Node("a", "MapDataset", None, None, (), None, 0, (), (), {}, None, stateful=False, files=False)])
        is None
    )
