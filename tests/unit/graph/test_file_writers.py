"""Which stages of a graph write files."""

from typing import Any

import pytest

from pipeprof.pipelines.graph.observe.effects import file_writer
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
        ([node("SnapshotDataset")], "snapshot"),
        ([node("LoadDataset", path="/tmp/saved")], None),
        ([node("ParallelMapDatasetV2", "WriteFile")], "WriteFile in map"),
        ([node("FilterDataset", "SaveDatasetV2")], "SaveDatasetV2 in filter"),
        ([node("MapDataset"), node("BatchDatasetV2"), node("PrefetchDataset", buffer_size=2)], None),
    ],
)
def test_the_first_stage_that_writes_files_is_named(nodes: list[Any], writer: str | None) -> None:
    assert file_writer({"nodes": nodes, "root": nodes[-1]["id"], "reason": None}) == writer  # type: ignore[typeddict-item]


def test_ops_that_write_files_are_told_from_others_that_sound_alike() -> None:
    writers = [
        "WriteFile",
        "SaveV2",
        "SaveDataset",
        "DatasetToTFRecord",
        "ExperimentalDatasetToTFRecord",
        "WriteScalarSummary",
        "CreateSummaryFileWriter",
    ]
    others = ["ReadFile", "RestoreV2", "LoadDataset", "ScalarSummary", "TFRecordDatasetV2", "TensorArrayWriteV3"]
    assert [op for op in [*writers, *others] if writes_files(op)] == writers
