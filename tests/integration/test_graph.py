"""Live pipelines in one process: the graphs, the model, and that both still are as the recorded ones."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeprof.pipelines.graph import reading
from pipeprof.pipelines.graph.align import match
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.profiles.explain.stages import explain_stages

RECORDED = Path(__file__).parents[1] / "recorded" / "graphs"


@pytest.fixture(scope="module")
def tf() -> Any:
    import tensorflow

    return tensorflow


def graphs(dataset: Any) -> tuple[StageGraph, StageGraph]:
    written = reading.read_written(dataset, in_memory=0)
    executed = reading.read_executed(dataset, in_memory=0, written=written)
    assert written["reason"] is None
    assert executed["reason"] is None
    json.dumps([written, executed])
    return StageGraph.from_dict(written), StageGraph.from_dict(executed)


def test_graphs_are_as_recorded(tf: Any) -> None:
    dataset = (
        tf.data.Dataset.range(100_000, name="source")
        .map(lambda element: element * 2, name="stages_0")
        .batch(4, name="stages_1")
    )
    recorded = json.loads((RECORDED / "map_batch.json").read_text(encoding="utf-8"))
    for kind, now in zip(("written", "executed"), graphs(dataset), strict=True):
        then = StageGraph.from_dict(recorded[kind])
        assert [(node.op, node.key, node.arguments) for node in now.walk()] == [
            (node.op, node.key, node.arguments) for node in then.walk()
        ]


def test_a_window_of_a_live_pipeline(tf: Any, tmp_path: Path) -> None:
    files = [str(tmp_path / f"{index}.tfrecord") for index in range(3)]
    for path in files:
        with tf.io.TFRecordWriter(path) as writer:
            for _ in range(50):
                writer.write(b"x" * 1000)

    def wait(record: Any) -> Any:
        def sleep(text: bytes) -> int:
            time.sleep(0.001)
            return len(text)

        return tf.numpy_function(sleep, [record], tf.int64)

    dataset = (
        tf.data.Dataset.from_tensor_slices(files, name="source")
        .repeat(name="stages_0")
        .interleave(lambda path: tf.data.TFRecordDataset(path, name="stages_1_source"), cycle_length=3, name="stages_1")
        .map(wait, name="stages_2")
        .padded_batch(5, padded_shapes=[], name="stages_3")
    )
    iterator = iter(dataset)
    snapshots = []
    for _ in range(4):
        for _ in range(7):
            next(iterator)
        raw = reading.take_snapshot(iterator)
        assert raw is not None
        assert raw.node_count == len(raw.to_dict()["nodes"])
        snapshots.append(raw.to_dict())
    written = reading.read_written(dataset, in_memory=0)
    executed = reading.read_executed(dataset, in_memory=0, written=written)
    assert match(StageGraph.from_dict(executed), snapshots[-1]).unattributed == ()
    pairs = list(pairwise(snapshots))
    rows, _ = explain_stages(written, executed, segments=pairs, batches=21, seconds=1.0, cores=2)
    stages = {row.id: row for row in rows}
    assert [row.op for row in rows if row.origin == "written"] == [
        "from_tensor_slices",
        "repeat",
        "interleave",
        "TFRecordDataset",
        "map",
        "padded_batch",
    ]
    slow = max(rows, key=lambda row: row.share or 0)
    assert slow.id == "stages.2"
    assert slow.cpu_ms_per_batch is not None
    assert slow.cpu_ms_per_batch >= 5
    assert slow.executed == "stays serial: stateful op PyFunc"
    assert stages["stages.1.source"].bytes_per_element == pytest.approx(1000, rel=0.1)
    assert stages["injected.0"].op == "prefetch"


def test_values_to_settle_on_carry_no_ids(tf: Any) -> None:
    dataset = tf.data.Dataset.range(10).map(lambda element: element + 1).repeat().prefetch(tf.data.AUTOTUNE)
    iterator = iter(dataset)
    next(iterator)
    raw = reading.take_snapshot(iterator)
    assert raw is not None
    assert {(node, name) for node, name, _ in raw.parameters()} == {
        ("ParallelMapV2", "parallelism"),
        ("Prefetch", "buffer_size"),
    }


def test_without_autotune_there_is_no_model_but_fusion(tf: Any) -> None:
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = tf.data.Dataset.range(10).map(lambda element: element + 1).batch(2).with_options(options)
    assert reading.snapshot_model(iter(dataset)) is None
    _, executed = graphs(dataset)
    assert executed.has("MapAndBatch")
    assert not executed.has("Model", "Prefetch")


def test_a_graph_that_is_too_large_is_not_read(tf: Any) -> None:
    dataset = tf.data.Dataset.from_tensor_slices(np.zeros((10, 100), np.float64)).batch(2)
    for read in (reading.read_written, reading.read_executed):
        assert "in memory" in str(read(dataset, in_memory=10**10)["reason"])
        assert "are left" in str(read(dataset, in_memory=1000, room=3999)["reason"])
        assert read(dataset, in_memory=1000, room=4000)["root"] is not None
