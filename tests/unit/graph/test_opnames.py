from __future__ import annotations

import pytest

from pipeprof.pipelines.graph.opnames import argument_names, in_model, is_option
from pipeprof.pipelines.meaning.executed_ops import is_dataset, written_op


@pytest.mark.parametrize(
    ("op", "word"),
    [
        ("MapAndBatchDataset", "map+batch"),
        ("ShuffleAndRepeatDatasetV2", "shuffle+repeat"),
        ("CSVDatasetV2", "CsvDataset"),
        ("PaddedBatchDatasetV2", "padded_batch"),
        ("GroupByWindowDataset", "group_by_window"),
        ("SomethingNewDatasetV7", "something_new"),
    ],
)
def test_ops_have_the_names_their_users_know(op: str, word: str) -> None:
    assert written_op(op) == word


@pytest.mark.parametrize(
    ("op", "node", "same"),
    [
        ("ParallelMapDatasetV2", "ParallelMapV2", True),
        ("RepeatDataset", "ForeverRepeat", True),
        ("CacheDatasetV2", "MemoryCache", True),
        ("CacheDatasetV2", "FileCache", True),
        ("TensorDataset", "FromTensor", True),
        ("ShuffleDatasetV3", "Shuffle", True),
        ("SomethingNewDatasetV7", "SomethingNewV7", True),
        ("MapDataset", "ParallelMapV2", False),
        ("RepeatDataset", "Repeat", False),
    ],
)
def test_the_model_calls_iterators_by_other_names(op: str, node: str, same: bool) -> None:
    assert in_model(op, node) is same


def test_options_and_consumers_are_no_datasets() -> None:
    options = ["MaxIntraOpParallelismDataset", "OptionsDataset", "PrefetchDataset"]
    assert [is_option(op) for op in options] == [True, True, False]
    assert [is_dataset(op) for op in ("BatchDatasetV2", "ReduceDataset", "DatasetCardinality")] == [True, False, False]


def test_numbers_are_found_behind_captured_tensors() -> None:
    assert argument_names("MapAndBatchDataset", 5) == ["", "", "batch_size", "num_parallel_calls", "drop_remainder"]
    assert argument_names("PaddedBatchDatasetV2", 5) == ["", "batch_size", "", "", "drop_remainder"]
    assert argument_names("ZipDataset", 2) == ["", ""]
    assert argument_names("RangeDataset", 0) == []
    assert argument_names("ShuffleDataset", 4) == ["", "buffer_size", "seed", "seed2"]
    assert argument_names("ShuffleAndRepeatDatasetV2", 6) == ["", "buffer_size", "seed", "seed2", "count", ""]
