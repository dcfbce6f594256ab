from __future__ import annotations

import pytest

from pipeprof.pipelines.graph.opnames import argument_names, in_model, is_option
from pipeprof.pipelines.meaning.executed_ops import is_dataset, written_op


@pytest.mark.parametrize(
    ("op", "word"),
    [
        ("MapDataset", "map"),
        ("ParallelMapDatasetV2", "map"),
        ("MapAndBatchDataset", "map+batch"),
        ("ParallelInterleaveDatasetV4", "interleave"),
        ("ShuffleAndRepeatDatasetV2", "shuffle+repeat"),
        ("TensorSliceDataset", "from_tensor_slices"),
        ("TFRecordDatasetV2", "TFRecordDataset"),
        ("CSVDatasetV2", "CsvDataset"),
        ("PaddedBatchDatasetV2", "padded_batch"),
        ("GroupByWindowDataset", "group_by_window"),
        ("SomethingNewDatasetV7", "something_new"),
    ],
)
def test_ops_have_the_names_their_users_know(op: str, word: str) -> None:
    assert written_op(op) == word


@pytest.mark.parametrize(
    ("op", "node"),
    [
        ("ParallelMapDatasetV2", "ParallelMapV2"),
        ("RepeatDataset", "ForeverRepeat"),
        ("RepeatDataset", "FiniteRepeat"),
        ("CacheDatasetV2", "MemoryCache"),
        ("CacheDatasetV2", "FileCache"),
        ("TensorDataset", "FromTensor"),
        ("ShuffleDatasetV3", "Shuffle"),
        ("SomethingNewDatasetV7", "SomethingNewV7"),
    ],
)
def test_the_model_calls_iterators_by_other_names(op: str, node: str) -> None:
    assert in_model(op, node)


@pytest.mark.parametrize(("op", "node"), [("MapDataset", "ParallelMapV2"), ("RepeatDataset", "Repeat")])
def test_similar_names_are_not_the_same(op: str, node: str) -> None:
    assert not in_model(op, node)


def test_options_are_no_stages() -> None:
    assert is_option("MaxIntraOpParallelismDataset")
    assert is_option("OptionsDataset")
    assert not is_option("PrefetchDataset")


def test_consumers_of_datasets_are_no_datasets() -> None:
    assert is_dataset("BatchDatasetV2")
    assert not is_dataset("ReduceDataset")
    assert not is_dataset("DatasetCardinality")


def test_numbers_are_found_behind_captured_tensors() -> None:
    assert argument_names("MapAndBatchDataset", 5) == ["", "", "batch_size", "num_parallel_calls", "drop_remainder"]
    assert argument_names("PaddedBatchDatasetV2", 5) == ["", "batch_size", "", "", "drop_remainder"]
    assert argument_names("ZipDataset", 2) == ["", ""]
    assert argument_names("RangeDataset", 0) == []
    assert argument_names("ShuffleDataset", 4) == ["", "buffer_size", "seed", "seed2"]
    assert argument_names("ShuffleAndRepeatDataset", 5) == ["", "buffer_size", "seed", "seed2", "count"]
    assert argument_names("ShuffleAndRepeatDatasetV2", 6) == ["", "buffer_size", "seed", "seed2", "count", ""]
