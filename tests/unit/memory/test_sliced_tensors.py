"""Slices in a shuffle keep alive what they were taken from."""

from __future__ import annotations

import random

import pytest
from unit.view.views import pipeline, stage, tensor

from pipeprof.profiles.memory.element_size import bytes_kept_by_slices
from pipeprof.profiles.memory.predict import memory_prediction
from pipeprof.profiles.view.view import PipelineView, StageView


def trajectories(*row: int, rows: int = 500, op: str = "flat_map", more: StageView | None = None) -> PipelineView:
    """Tensors of rows, cut into these inside a function, and shuffled."""
    element = tuple(tensor("float32", size) for size in row)
    inner = [more] if more is not None else []
    return pipeline(
        stage("source", "range"),
        stage("stages.0", "map", element=tuple(tensor("float32", rows, size) for size in row)),
        stage("stages.1", op, element=element),
        stage("stages.1.source", "from_tensor_slices", element=element, owner="stages.1", depth=1, inputs=()),
        *inner,
        stage("stages.2", "shuffle", element=element, inputs=("stages.1",), arguments={"buffer_size": 2000}),
    )


def kept(view: PipelineView, count: float = 2000) -> float:
    return bytes_kept_by_slices(view, view.by_id["stages.1"], count)


def simulate(places: int, rows: int) -> float:
    """Tensors that a shuffle holds a slice of, per tensor that its elements fill."""
    numbers = random.Random(1)
    slots = [number // rows for number in range(places)]
    seen = []
    for number in range(places, 40 * places):
        slots[numbers.randrange(places)] = number // rows
        if number % places == 0 and number > 20 * places:
            seen.append(len(set(slots)))
    return sum(seen) / len(seen) * rows / places


@pytest.mark.parametrize(
    ("places", "rows", "op"), [(2000, 500, "flat_map"), (1000, 10, "interleave"), (300, 100, "flat_map")]
)
def test_a_shuffle_holds_many_times_the_bytes_of_aligned_slices_which_are_views(
    places: int, rows: int, op: str
) -> None:
    held = kept(trajectories(1024, rows=rows, op=op), places) + 4096 * places
    assert held == pytest.approx(4096 * places * simulate(places, rows), rel=0.07)


def test_copies_a_single_row_and_what_is_computed_from_slices_keep_nothing() -> None:
    element = (tensor("float32", 1024),)
    inside = stage("stages.1.stages.0", "map", element=element, owner="stages.1", depth=1, inputs=("stages.1.source",))
    views = trajectories(1021), trajectories(1024, rows=1), trajectories(1024, more=inside)
    assert [kept(view) for view in views] == [0, 0, 0]


def test_fewer_places_than_rows_hold_one_tensor() -> None:
    assert kept(trajectories(1024, rows=10**6), 10) == pytest.approx((10**6 - 10) * 4096)


def test_the_prediction_states_what_slices_keep() -> None:
    (shuffle,) = [entry for entry in memory_prediction(trajectories(1024)).held if entry.owner == "shuffle"]
    assert shuffle.bytes > 2000 * 4096 * 6.7
