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
from pipeprof.pipelines.graph.align import join, match
from pipeprof.pipelines.graph.bodies import _STATEFUL
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.profiles.explain.stages import explain_stages

RECORDED = Path(__file__).parents[1] / "recorded" / "graphs"


@pytest.fixture(scope="module")
def tf() -> Any:
    import tensorflow

    return tensorflow


def graphs(dataset: Any) -> tuple[StageGraph, StageGraph]:
    written = reading.read_written(dataset)
    executed = reading.read_executed(dataset, written=written)
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
    written = reading.read_written(dataset)
    executed = reading.read_executed(dataset, written=written)
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


def test_sources_in_memory_are_sized_before_they_are_serialised(tf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    captured = tf.constant(np.zeros(1000, np.float32))
    dataset = tf.data.Dataset.zip(
        tf.data.Dataset.from_tensor_slices({"a": np.zeros((10, 100), np.float64), "b": np.arange(10)}),
        tf.data.Dataset.range(10).map(lambda index: captured[index]),
    ).batch(2)
    assert reading.in_memory_bytes(dataset) == 8000 + 80 + 4000
    monkeypatch.setattr(reading, "SERIALISABLE_BYTES", 10_000)
    for graph in (reading.read_written(dataset), reading.read_executed(dataset)):
        assert graph["root"] is None
        assert "in memory" in str(graph["reason"])
    assert reading.read_written(dataset, in_memory=0)["root"] is not None


def test_datasets_made_in_called_functions_are_found(tf: Any) -> None:
    @tf.function
    def inner(start: Any) -> Any:
        return tf.data.Dataset.range(start, start + 3).map(lambda element: element * 2, name="doubled")

    written, executed = graphs(tf.data.Dataset.range(5).flat_map(inner))
    assert [stage.op for stage in written.stages()] == ["range", "flat_map", "range", "map"]
    assert join(written, executed).removed == ()


def test_composites_of_the_python_api(tf: Any, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("1\n2\n", encoding="utf-8")
    files = [str(tmp_path / name) for name in ("a.txt", "b.txt")]
    cases = [
        (tf.data.Dataset.list_files(str(tmp_path / "*.txt"), shuffle=False), ["list_files"]),
        (tf.data.TextLineDataset(files), ["TextLineDataset"]),
        (tf.data.TextLineDataset(files, num_parallel_reads=2), ["TextLineDataset"]),
        (tf.data.Dataset.range(9).enumerate(), ["range", "enumerate"]),
        (tf.data.Dataset.range(9).snapshot(str(tmp_path / "kept")), ["range", "snapshot"]),
        (tf.data.Dataset.range(9).batch(3).rebatch(2), ["range", "batch", "rebatch"]),
        (tf.data.Dataset.range(9).batch(3).unbatch(), ["range", "batch", "unbatch"]),
    ]
    for dataset, ops in cases:
        assert [stage.op for stage in graphs(dataset)[0].stages()] == ops


def test_ops_with_state_are_those_tensorflow_knows(tf: Any) -> None:
    from tensorflow.python.framework import op_def_registry

    ours = [name for name in dir(tf.raw_ops) if _STATEFUL.fullmatch(name)]
    known = {name: op_def_registry.get(name) for name in ours}
    assert len(ours) > 40
    assert [name for name, op in known.items() if op is not None and not op.is_stateful] == []


@pytest.mark.parametrize(
    ("function", "parallel"),
    [("lookup", False), ("variable", False), ("assertion", True), ("stateless_random", True), ("random_flip", False)],
)
def test_state_decides_about_parallel_maps(tf: Any, function: str, parallel: bool) -> None:
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant([1], tf.int64), tf.constant([1], tf.int64)), 0
    )
    variable = tf.Variable(1, dtype=tf.int64)

    def assertion(element: Any) -> Any:
        tf.debugging.assert_greater(element, tf.constant(-1, tf.int64))
        return element

    functions = {
        "lookup": table.lookup,
        "variable": lambda element: element + variable,
        "assertion": assertion,
        "stateless_random": lambda element: tf.random.stateless_uniform([], seed=[element, element]),
        "random_flip": lambda element: tf.image.random_flip_left_right(tf.fill([4, 4, 3], element)),
    }
    written, executed = graphs(tf.data.Dataset.range(9).map(functions[function]))
    assert executed.has("ParallelMap") is parallel
    node = next(node for node in written.walk() if node.family == "Map")
    assert (node.stateful_op is None) is parallel
