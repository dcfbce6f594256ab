"""Shapes that a graph leaves open are those of what it is made of, and nothing is guessed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeprof.pipelines.graph.observe.reading import Shape, shapes
from pipeprof.pipelines.graph.stages import Node, StageGraph

from .test_cardinality import node


def shaped(one: Node, *given: Shape) -> Node:
    return replace(one, output_types=("float32",) * len(given), output_shapes=given)


def known(*nodes: Node) -> tuple[Shape, ...]:
    return shapes(StageGraph({one.id: one for one in nodes}, nodes[-1].id))[nodes[-1].id]


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
    one = node("x", "TensorDataset", length=1)
    picked = shaped(node("n", "DirectedInterleaveDataset", "c", "a", "b"), *[None] * len(left))
    assert known(one, CHOICE, *sides, picked) == expected


def test_stages_that_hand_elements_on_keep_them() -> None:
    source = shaped(node("x", "TensorDataset", length=1), (3,))
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


def test_numbers_at_random_are_scalars_also_beside_others_and_in_batches_which_are_whole() -> None:
    numbers, source = shaped(node("r", "RandomDatasetV2"), None), shaped(node("x", "TensorDataset", length=1), (3,))
    assert known(numbers, source, shaped(node("z", "ZipDataset", "r", "x"), None, (3,))) == ((), (3,))
    assert known(numbers, shaped(node("b", "BatchDatasetV2", "r", batch_size=4), None)) == ((4,),)


def test_what_the_graph_says_stays() -> None:
    source = shaped(node("x", "TensorDataset", length=1), (3,))
    assert known(source, shaped(node("c", "CacheDatasetV2", "x"), (7,))) == ((7,),)
