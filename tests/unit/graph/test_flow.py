from __future__ import annotations

from typing import Any

from pipeprof.pipelines.graph.elements import component_names, components_written
from pipeprof.pipelines.graph.stages import Node, StageGraph

from .conftest import Recorded, node


def given(id: str, op: str, *inputs: str, width: int, reads: Any = None, passes: Any = None) -> Node:
    function: Any = None
    if reads is not None:
        function = {"ops": [], "constant_bytes": 0, "python": False, "random": False, "elementwise": False}
        function |= {"reads": reads, "passes": passes}
    return node(id, op, *inputs, output_types=("float32",) * width, output_shapes=((),) * width, function=function)


def names(*nodes: Node, keys: tuple[str, ...] | None = None) -> dict[str, tuple[str, ...]]:
    return component_names(StageGraph({one.id: one for one in nodes}, nodes[-1].id, keys=keys))


def test_a_component_keeps_its_name_when_its_index_changes() -> None:
    added = given("map", "MapDataset", "source", width=3, reads=[0], passes=[None, 0, 1])
    found = names(
        given("source", "TensorSliceDataset", width=2),
        added,
        given("batch", "BatchDatasetV2", "map", width=3),
        keys=("a", "image", "label"),
    )
    assert found["source"] == ("image", "label")
    assert found["batch"] == found["map"] == ("a", "image", "label")
    assert components_written(added) == {0, 1, 2}


def test_what_is_changed_in_place_keeps_its_name() -> None:
    changed = given("map", "MapDataset", "source", width=2, reads=[0], passes=[None, 1])
    found = names(given("source", "TensorSliceDataset", width=2), changed, keys=("image", "label"))
    assert found["source"] == ("image", "label")
    assert components_written(changed) == {0}


def test_swapped_components_are_not_mistaken_for_each_other() -> None:
    swap = given("map", "MapDataset", "source", width=2, reads=[], passes=[1, 0])
    keep = given("filter", "FilterDataset", "map", width=2, reads=[0], passes=[None])
    found = names(given("source", "TensorSliceDataset", width=2), swap, keep)
    assert components_written(swap) == {0, 1}
    assert found["source"] == ("1", "0")
    assert components_written(keep) == frozenset()


def test_a_copy_counts_as_written() -> None:
    twice = given("map", "MapDataset", "source", width=2, reads=[], passes=[0, 0])
    found = names(given("source", "TensorSliceDataset", width=1), twice, keys=("first", "second"))
    assert components_written(twice) == {1}
    assert found["source"] == ("first",)


def test_sides_of_a_zip_have_their_part_of_the_names() -> None:
    found = names(
        given("left", "RangeDataset", width=1),
        given("right", "TensorSliceDataset", width=2),
        given("zip", "ZipDataset", "left", "right", width=3),
        keys=("0", "1.image", "1.label"),
    )
    assert found["left"] == ("0",)
    assert found["right"] == ("1.image", "1.label")


def test_behind_a_stage_of_another_kind_names_begin_anew() -> None:
    found = names(
        given("source", "TensorSliceDataset", width=1), given("scan", "ScanDataset", "source", width=1), keys=("x",)
    )
    assert found["source"] == ("0",)


def test_every_dataset_has_a_name_for_each_component(every: Recorded) -> None:
    graph = StageGraph.from_dict(every.written)
    found = component_names(graph)
    assert all(len(found[one.id]) == len(one.output_types) for one in graph.walk())
