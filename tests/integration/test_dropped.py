"""Edits of rules about dropped and repeated work: the same elements come out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from integration.changed_datasets import edited, elements

from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, NewStage, ReplaceStages, SetOption, VectoriseMap
from pipeprof.pipelines.graph.observe import reading
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.meaning.constants import AUTOTUNE
from pipeprof.profiles.view.from_graph import view_of_graphs
from pipeprof.profiles.view.view import PipelineView

pytestmark = pytest.mark.usefixtures("without_autograph", "recording")

SHARD = {"num_shards": 4, "index": 1}


def view_of(dataset: Any) -> PipelineView:
    written = reading.read_written(dataset, in_memory=0)
    executed = reading.read_executed(dataset, written)
    return view_of_graphs(StageGraph.from_dict(written), StageGraph.from_dict(executed), [], by_address=False)


def numbers() -> Any:
    return tf.data.Dataset.range(40).map(lambda i: i * 2)


@pytest.mark.parametrize(
    ("dataset", "edits"),
    [
        (lambda: numbers().skip(30).batch(4), (MoveStage("stages.1", "skip", before="stages.0"),)),
        (lambda: numbers().shard(4, 1), (MoveStage("stages.1", "shard", before="stages.0"),)),
        (
            lambda: numbers().batch(4).take(3),
            (InsertStage("take", {"count": 12}, after="source"), ReplaceStages(("stages.2",))),
        ),
        (
            lambda: tf.data.Dataset.zip((numbers(), numbers())).shard(4, 1).batch(2),
            (
                InsertStage("shard", SHARD, after="source.inputs.0.source"),
                InsertStage("shard", SHARD, after="source.inputs.1.source"),
                ReplaceStages(("stages.0",)),
            ),
        ),
    ],
    ids=["skip", "shard", "take of batches", "zip"],
)
def test_elements_that_are_dropped_first(dataset: Callable[[], Any], edits: tuple[Any, ...]) -> None:
    made = dataset()
    assert elements(edited(made, *edits)) == elements(made)


def csv(path: Path, types: list[Any], separator: str) -> tuple[Any, tuple[NewStage, ...]]:
    """Rows of as many columns as types, and what reads and parses them by the batch."""
    rows = (separator.join(str(row + column) for column in range(len(types))) for row in range(20))
    path.write_text("\n".join(rows), encoding="utf-8")
    made = tf.data.experimental.CsvDataset(str(path), types, field_delim=separator)
    (source,) = [stage for stage in view_of(made).stages if stage.op == "CsvDataset"]
    assert source.arguments["filenames"] == [str(path)]
    decoder = {"record_defaults": source.arguments["record_defaults"], "field_delim": separator}
    return made, (
        NewStage("TextLineDataset", {"filenames": [str(path)]}),
        NewStage("batch", {"batch_size": 8}),
        NewStage("map", {"ops": [{"tf.io.decode_csv": decoder}], "num_parallel_calls": AUTOTUNE}),
    )


def test_csv_lines_by_the_batch(tmp_path: Path) -> None:
    rows, by = csv(tmp_path / "a.csv", [tf.int32, 0.0, tf.int64], ",")
    made = rows.map(lambda a, b, c: {"a": a, "b": b + 1, "c": c}).batch(8)
    found = edited(made, VectoriseMap("stages.0", "stages.1"), ReplaceStages(("source", "stages.1"), by, flat=True))
    assert found.element_spec == made.element_spec
    assert elements(found) == elements(made)


def test_wide_csv_rows_are_gathered_as_one_table(tmp_path: Path) -> None:
    def pack(*columns: Any) -> Any:
        row = tf.stack(columns)
        return row[:-1], tf.cast(row[-1], tf.int32)

    rows, by = csv(tmp_path / "wide.csv", [tf.float32] * 24, " ")
    made = rows.map(pack).batch(8)
    fused = SetOption("experimental_optimization.map_fusion", value=True)
    found = edited(
        made, VectoriseMap("stages.0", "stages.1"), ReplaceStages(("source", "stages.1"), by, flat=True), fused
    )
    assert elements(found) == elements(made)
    executed = reading.read_executed(found, reading.read_written(found, in_memory=0))
    ops = [node.op for node in StageGraph.from_dict(executed).nodes.values()]
    assert sum(op.startswith(("Map", "ParallelMap")) for op in ops) == 1, ops


def records(path: Path) -> Any:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in range(20):
            ids = tf.train.Feature(int64_list=tf.train.Int64List(value=range(row % 5)))
            weight = tf.train.Feature(float_list=tf.train.FloatList(value=[row]))
            features = tf.train.Features(feature={"ids": ids, "weight": weight})
            writer.write(tf.train.Example(features=features).SerializeToString())
    return tf.data.TFRecordDataset(str(path))


FEATURES = {"ids": tf.io.VarLenFeature(tf.int64), "weight": tf.io.FixedLenFeature([], tf.float32)}


def test_sparse_features_are_parsed_by_the_batch(tmp_path: Path) -> None:
    def parse(record: Any) -> Any:
        parsed = tf.io.parse_single_example(record, FEATURES)
        return parsed["ids"], parsed["weight"] * 2

    made = records(tmp_path / "a").map(parse).batch(8)
    found = edited(made, VectoriseMap("stages.0", "stages.1"))
    assert found.element_spec == made.element_spec
    for (ids, weights), (own_ids, own_weights) in zip(found, made, strict=True):
        for one, own in ((weights, own_weights), *((getattr(ids, name), getattr(own_ids, name)) for name in PARTS)):
            np.testing.assert_array_equal(one.numpy(), own.numpy())


PARTS = ("indices", "values", "dense_shape")


def test_what_reads_a_whole_record_is_not_called_on_a_batch(tmp_path: Path) -> None:
    def parse(record: Any) -> Any:
        parsed = tf.io.parse_single_example(record, FEATURES)
        return parsed["ids"], tf.reduce_sum(parsed["ids"].values)

    def of_lists(record: Any) -> Any:
        return tf.reduce_sum(tf.sparse.to_dense(tf.io.parse_single_example(record, FEATURES)["ids"]))

    for function, reason in ((parse, "sparse"), (of_lists, "parses lists whose lengths differ")):
        with pytest.raises(CannotChangeError, match=reason):
            edited(records(tmp_path / "a").map(function).batch(8), VectoriseMap("stages.0", "stages.1"))
