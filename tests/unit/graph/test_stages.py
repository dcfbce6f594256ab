from __future__ import annotations

import copy
from collections.abc import Callable

from pipeprof.pipelines.graph.stages import StageGraph

from .conftest import Recorded

Load = Callable[[str], Recorded]


def test_every_dataset_is_in_exactly_one_stage(every: Recorded) -> None:
    graph = StageGraph.from_dict(every.written)
    stages = graph.stages(by_address=every.by_address)
    assert sorted(node for stage in stages for node in stage.nodes) == sorted(node.id for node in graph.walk())
    assert len({stage.address for stage in stages}) == len(stages)


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
