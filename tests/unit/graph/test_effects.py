"""Which pipelines write files, and which draw random numbers in several calls at a time."""

from typing import Any

import pytest

from pipeprof.pipelines.graph.observe.effects import draws_in_any_order, file_writer
from pipeprof.pipelines.meaning.traits import writes_files


def node(op: str, writes: str | None = None, **arguments: Any) -> Any:
    inside = {"ops": [writes], "writes": writes} if writes else {"ops": ["AddV2"]}
    return {"id": op, "op": op, "arguments": arguments, "function": inside, "owner": None}


@pytest.mark.parametrize(
    ("nodes", "writer"),
    [
        ([node("RangeDataset"), node("CacheDatasetV2", filename="")], None),
        ([node("RangeDataset"), node("CacheDatasetV2", filename="/tmp/rows")], "cache"),
        # Computed for each element of an outer pipeline.
        ([node("InterleaveDataset"), node("CacheDatasetV2")], "cache"),
        ([node("SnapshotDatasetV2")], "snapshot"),
        ([node("LoadDataset", path="/tmp/saved")], None),
        ([node("ParallelMapDatasetV2", "WriteFile")], "WriteFile in map"),
        ([node("FilterDataset", "SaveDatasetV2")], "SaveDatasetV2 in filter"),
        ([node("MapDataset"), node("BatchDatasetV2"), node("PrefetchDataset", buffer_size=2)], None),
    ],
)
def test_the_first_stage_that_writes_files_is_named(nodes: list[Any], writer: str | None) -> None:
    assert file_writer({"nodes": nodes, "root": nodes[-1]["id"], "reason": None}) == writer  # type: ignore[typeddict-item]


def test_ops_that_write_files_are_told_from_others_that_sound_alike() -> None:
    writers = ["WriteFile", "SaveV2", "ExperimentalDatasetToTFRecord", "WriteScalarSummary", "CreateSummaryFileWriter"]
    others = ["ReadFile", "RestoreV2", "LoadDataset", "ScalarSummary", "TFRecordDatasetV2", "TensorArrayWriteV3"]
    assert [op for op in [*writers, *others] if writes_files(op)] == writers


def drawing(name: str, owner: str | None = None, *, random: bool | None = False, **arguments: Any) -> Any:
    return {"id": name, "owner": owner, "function": {"random": random}, "arguments": arguments}


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([drawing("map", random=True)], False),
        ([drawing("map", num_parallel_calls=-1)], False),
        ([drawing("map", random=None, num_parallel_calls=2)], False),
        ([drawing("map", random=True, num_parallel_calls=1)], False),
        ([drawing("map", random=True, num_parallel_calls=-1)], True),
        ([drawing("read", num_parallel_calls=2), drawing("map", "read", random=True)], True),
        ([drawing("read"), drawing("map", "read", random=True)], False),
        ([{**drawing("range"), "function": None}], False),
    ],
)
def test_calls_at_a_time(nodes: list[Any], expected: bool) -> None:
    assert draws_in_any_order({"nodes": nodes, "root": "map", "reason": None}) is expected  # type: ignore[typeddict-item]
