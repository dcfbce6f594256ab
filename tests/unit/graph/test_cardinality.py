"""What follows from the inputs: numbers of elements, and shapes that a graph leaves open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeprof.pipelines.graph.elements import cardinalities
from pipeprof.pipelines.graph.observe.reading import Shape, shapes
from pipeprof.pipelines.graph.stages import Node
from pipeprof.pipelines.meaning.constants import INFINITE

from .conftest import graph, node


def count(*nodes: Node) -> int | None:
    return cardinalities(graph(*nodes))[nodes[-1].id]


ONE = node("x", "TensorDataset", length=1)
SEVEN = node("s", "TensorSliceDataset", length=7)
FOREVER = node("e", "RepeatDataset", "x", count=-1)


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (node("n", "RangeDataset", start=0, stop=10, step=3), 4),
        (node("n", "RangeDataset", start=5, stop=0, step=-2), 3),
        (node("n", "RangeDataset", start=3, stop=3, step=1), 0),
        (node("n", "MapDataset", "s"), 7),
        (node("n", "FilterDataset", "s"), None),
        (node("n", "FlatMapDataset", "s"), None),
        (node("n", "BatchDatasetV2", "s", batch_size=2), 4),
        (node("n", "BatchDatasetV2", "s", batch_size=2, drop_remainder=True), 3),
        (node("n", "BatchDatasetV2", "s"), None),
        (node("n", "RepeatDataset", "s", count=3), 21),
        (node("n", "RepeatDataset", "s", count=-1), INFINITE),
        (node("n", "RepeatDataset", "s", count=0), 0),
        (node("n", "TakeDataset", "s", count=5), 5),
        (node("n", "TakeDataset", "s", count=-1), 7),
        (node("n", "SkipDataset", "s", count=5), 2),
        (node("n", "SkipDataset", "s", count=50), 0),
        (node("n", "ShardDataset", "s", num_shards=3, index=0), 3),
        (node("n", "ShardDataset", "s", num_shards=3, index=1), 2),
        (node("n", "ZipDataset", "s", "s"), 7),
        (node("n", "ConcatenateDataset", "s", "s"), 14),
        (node("n", "OptionsDataset", "s"), 7),
        (node("n", "BatchDatasetV2", "e", batch_size=2), INFINITE),
        (node("n", "TakeDataset", "e", count=5), 5),
        (node("n", "SkipDataset", "e", count=5), INFINITE),
        (node("n", "ShardDataset", "e", num_shards=3, index=1), INFINITE),
        (node("n", "ZipDataset", "e", "e"), INFINITE),
        (node("n", "ZipDataset", "e", "x"), 1),
        (node("n", "ConcatenateDataset", "x", "e"), INFINITE),
    ],
)
def test_of_a_stage_over_seven_elements_or_over_elements_without_end(stage: Node, expected: int | None) -> None:
    assert count(ONE, SEVEN, FOREVER, stage) == expected


def test_of_a_range_that_counts_for_ever() -> None:
    """`enumerate` is a zip with such a range."""
    numbers = node("r", "RangeDataset", start=0, stop=2**63 - 1, step=1)
    assert count(ONE, FOREVER, numbers, node("n", "ZipDataset", "r", "e")) == INFINITE
    assert count(SEVEN, numbers, node("n", "ZipDataset", "r", "s")) == 7


def shaped(one: Node, *given: Shape) -> Node:
    return replace(one, output_types=("float32",) * len(given), output_shapes=given)


def known(*nodes: Node) -> tuple[Shape, ...]:
    return shapes(graph(*nodes))[nodes[-1].id]


CHOICE = shaped(node("c", "RandomDatasetV2"), ())


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([(4, 4, 3)], [(4, 4, 3)], ((4, 4, 3),)),
        ([(4, 4, 3)], [(4, 6, 3)], ((4, None, 3),)),
        ([(4,)], [(4, 4)], (None,)),
        ([(4,)], [None], (None,)),
        ([(4,), ()], [(5,), ()], ((None,), ())),
    ],
)
def test_what_is_picked_from_several_has_what_they_have_in_common(
    left: list[Shape], right: list[Shape], expected: tuple[Shape, ...]
) -> None:
    sides = shaped(node("a", "MapDataset", "x"), *left), shaped(node("b", "MapDataset", "x"), *right)
    picked = shaped(node("n", "DirectedInterleaveDataset", "c", "a", "b"), *[None] * len(left))
    assert known(ONE, CHOICE, *sides, picked) == expected


def test_stages_that_hand_elements_on_keep_them() -> None:
    source = shaped(ONE, (3,))
    assert known(source, shaped(node("c", "CacheDatasetV2", "x"), (7,))) == ((7,),), "what the graph says stays"
    numbers = shaped(node("r", "RandomDatasetV2"), None)
    assert known(numbers, shaped(node("b", "BatchDatasetV2", "r", batch_size=4), None)) == ((4,),), "batches are whole"
    picked = shaped(node("p", "DirectedInterleaveDataset", "c", "x", "x"), None)
    shuffled = shaped(node("s", "ShuffleDatasetV3", "p"), None)
    options = shaped(node("o", "OptionsDataset", "s"), None)
    assert known(CHOICE, source, picked, shuffled, options) == ((3,),)
    for stage, expected in [
        (node("b", "BatchDatasetV2", "s", batch_size=4), ((None, 3),)),
        (node("b", "BatchDatasetV2", "s", batch_size=4, drop_remainder=True), ((4, 3),)),
        # A function makes new elements.
        (node("b", "MapDataset", "s"), (None,)),
    ]:
        assert known(CHOICE, source, picked, shuffled, shaped(stage, None)) == expected
