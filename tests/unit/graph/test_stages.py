from __future__ import annotations

import copy
import re
from collections.abc import Callable

import pytest

from pipeprof.pipelines.graph.stages import StageGraph

from .conftest import Recorded

Load = Callable[[str], Recorded]


def table(one: Recorded) -> list[tuple[str, str, int]]:
    stages = StageGraph.from_dict(one.written).stages(by_address=one.by_address)
    return [(stage.address, stage.op, stage.depth) for stage in stages]


INNER = "0.source:range:1 0.0:flat_map:1 0.0.source:range:2 0.0.0:map:2"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("map_batch", "source:range 0:map 1:batch"),
        ("generator", "source:from_generator 0:batch"),
        ("list_files", "source:list_files 0:map 1:repeat 2:prefetch"),
        (
            "interleave",
            "source:from_tensor_slices 0:interleave 0.source:TFRecordDataset:1 0.0:map:1 0.1:map:1 1:repeat 2:batch",
        ),
        ("nested_flat_map", f"source:range 0:flat_map {INNER} 1:batch"),
        (
            "sample",
            "source:sample_from_datasets source.inputs.0.source:range:1 source.inputs.0.0:map:1 "
            "source.inputs.1.source:range:1 source.inputs.1.0:map:1 0:batch",
        ),
        ("concatenate", "source:range 0:take 1:map 2:concatenate 2.inputs.1.source:range:1 2.inputs.1.0:map:1 3:batch"),
        ("unbatch", "source:range 0:batch 1:unbatch 2:enumerate 3:take"),
        ("readers", "source:TFRecordDataset 0:repeat 1:batch"),
        ("parallel_reads", "source:TFRecordDataset 0:repeat 1:batch"),
    ],
)
def test_datasets_are_grouped_into_the_stages_of_their_user(recorded: Load, name: str, expected: str) -> None:
    """Addresses, without the word for stages, ops, and depths but 0."""
    found = [
        f"{re.sub(r'stages[.]', '', address)}:{op}{f':{depth}' if depth else ''}"
        for address, op, depth in table(recorded(name))
    ]
    assert " ".join(found) == expected


def test_every_dataset_is_in_exactly_one_stage(every: Recorded) -> None:
    graph = StageGraph.from_dict(every.written)
    grouped = [node for stage in graph.stages(by_address=every.by_address) for node in stage.nodes]
    assert sorted(grouped) == sorted(node.id for node in graph.walk())


def test_addresses_are_unique(every: Recorded) -> None:
    addresses = [address for address, _, _ in table(every)]
    assert len(set(addresses)) == len(addresses)


def test_a_spec_and_a_function_group_alike(recorded: Load) -> None:
    graph = StageGraph.from_dict(recorded("interleave").written)
    by_name, by_shape = graph.stages(by_address=True), graph.stages(by_address=False)
    assert [stage.address for stage in by_name] == [stage.address for stage in by_shape]
    assert [stage.nodes for stage in by_name] == [stage.nodes for stage in by_shape]


def test_datasets_without_an_address_join_the_stage_that_has_it(recorded: Load) -> None:
    graph = copy.deepcopy(recorded("shuffle_repeat").written)
    keys = {"ShuffleDatasetV3": None, "RepeatDataset": "stages_1", "BatchDatasetV2": "stages_2", "RangeDataset": None}
    for node in graph["nodes"]:
        node["key"] = node["name"] = keys.get(node["op"], node["key"])
    stages = StageGraph.from_dict(graph).stages(by_address=True)
    assert [(stage.address, stage.op, len(stage.nodes)) for stage in stages] == [
        ("source", "range", 1),
        ("stages.0", "map", 1),
        ("stages.1", "repeat", 2),
        ("stages.2", "batch", 1),
    ]
