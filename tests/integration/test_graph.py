"""Live pipelines in one process: the graphs, the model, and that both still are as the recorded ones."""

from __future__ import annotations

import functools
import json
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeprof.pipelines.graph.align import StageGraphs, match
from pipeprof.pipelines.graph.costs.snapshots import take_snapshot
from pipeprof.pipelines.graph.observe import reading
from pipeprof.pipelines.graph.observe.build_watch import SourceWatch
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.profiles.time.stage_table import explain_stages
from pipeprof.profiles.view.from_graph import view_of_graphs

pytestmark = pytest.mark.usefixtures("without_autograph")

RECORDED = Path(__file__).parents[1] / "recorded" / "graphs"


def graphs(dataset: Any) -> tuple[StageGraph, StageGraph]:
    written = reading.read_written(dataset, in_memory=0)
    executed = reading.read_executed(dataset, in_memory=0, written=written)
    assert written["reason"] is None
    assert executed["reason"] is None
    json.dumps([written, executed])
    return StageGraph.from_dict(written), StageGraph.from_dict(executed)


def test_graphs_are_as_recorded() -> None:
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


def test_rebatch_is_known_with_the_size_of_its_batches() -> None:
    dataset = tf.data.Dataset.range(100).batch(8).rebatch(2)
    written = reading.read_written(dataset, in_memory=0)
    executed = reading.read_executed(dataset, in_memory=0, written=written)
    stages = view_of_graphs(StageGraph.from_dict(written), StageGraph.from_dict(executed), [], by_address=False).stages
    assert [one.arguments for one in stages if one.op == "rebatch"] == [{"batch_size": 2}]


def test_a_window_of_a_live_pipeline(tmp_path: Path) -> None:
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
        raw = take_snapshot(iterator)
        assert raw is not None
        snapshots.append(raw.to_dict())
    written = reading.read_written(dataset, in_memory=0)
    executed = reading.read_executed(dataset, in_memory=0, written=written)
    assert match(StageGraph.from_dict(executed), snapshots[-1]).unattributed == ()
    pairs = list(pairwise(snapshots))
    rows, _ = explain_stages(StageGraphs.of(written, executed), segments=pairs, batches=21)
    stages = {row.id: row for row in rows}
    assert [row.op for row in rows if row.origin == "written"] == [
        "from_tensor_slices",
        "repeat",
        "interleave",
        "TFRecordDataset",
        "map",
        "padded_batch",
    ]
    slow = stages["stages.2"]
    assert slow.time_ms_per_batch is not None
    assert slow.time_ms_per_batch > 0
    assert slow.executed == "stays serial: stateful op PyFunc"
    assert stages["stages.1.source"].bytes_per_element == pytest.approx(1000, rel=0.1)
    assert stages["injected.0"].op == "prefetch"


def test_values_to_settle_on_carry_no_ids() -> None:
    dataset = tf.data.Dataset.range(10).map(lambda element: element + 1).repeat().prefetch(tf.data.AUTOTUNE)
    iterator = iter(dataset)
    next(iterator)
    raw = take_snapshot(iterator)
    assert raw is not None
    assert {(node, name) for node, name, _ in raw.parameters()} == {
        ("ParallelMapV2", "parallelism"),
        ("Prefetch", "buffer_size"),
    }


def test_without_autotune_there_is_no_model_but_fusion() -> None:
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = tf.data.Dataset.range(10).map(lambda element: element + 1).batch(2).with_options(options)
    assert take_snapshot(iter(dataset)) is None
    _, executed = graphs(dataset)
    assert executed.has("MapAndBatch")
    assert not executed.has("Model", "Prefetch")


def test_a_graph_that_is_too_large_is_not_read() -> None:
    dataset = tf.data.Dataset.from_tensor_slices(np.zeros((10, 100), np.float64)).batch(2)
    for read in (reading.read_written, reading.read_executed):
        assert "in memory" in str(read(dataset, in_memory=10**10)["reason"])
        assert "are free" in str(read(dataset, in_memory=1000, room=14_999)["reason"])
        assert read(dataset, in_memory=1000, room=15_000)["root"] is not None


def test_a_graph_does_not_tell_a_traced_source_but_watching_does() -> None:
    array = np.ones((6, 3), np.float32)

    @tf.function
    def traced() -> Any:
        return tf.data.Dataset.from_tensor_slices(array)

    def graph_of(made: Any) -> Any:
        def build() -> Any:
            return made().batch(2)

        with SourceWatch() as watch:
            dataset = build()
        return reading.read_written(dataset, in_memory=0, made=watch.made), watch.made

    eager, seen_eager = graph_of(lambda: tf.data.Dataset.from_tensor_slices(array))
    inside, seen_inside = graph_of(traced)
    assert [node["constant"] for node in eager["nodes"]] == [False, None]
    assert [node["constant"] for node in inside["nodes"]] == [True, None]
    differing = {"constant", "id", "key", "inputs"}
    for one, other in zip(eager["nodes"], inside["nodes"], strict=True):
        assert {key: one[key] for key in one if key not in differing} == {
            key: other[key] for key in other if key not in differing
        }
    assert [(one.elements, one.traced, Path(str(one.file)).name) for one in (*seen_eager, *seen_inside)] == [
        (6, False, "test_graph.py"),
        (None, True, "test_graph.py"),
    ]


def test_sources_of_one_element_made_in_both_ways_are_left_open() -> None:
    array = np.ones((4, 3), np.float32)
    with SourceWatch() as watch:
        first = tf.data.Dataset.from_tensor_slices(array)
        second = tf.function(lambda: tf.data.Dataset.from_tensor_slices(array))()
        dataset = first.concatenate(second)
        other = tf.data.Dataset.from_tensors({"a": array})
    assert [one.method for one in watch.made] == ["from_tensor_slices", "from_tensor_slices", "from_tensors"]
    nodes = reading.read_written(dataset, in_memory=0, made=watch.made)["nodes"]
    assert {node["constant"] for node in nodes if node["op"] == "TensorSliceDataset"} == {None}
    (node,) = reading.read_written(other, in_memory=0, made=watch.made)["nodes"]
    assert (node["constant"], node["held_bytes"], node["length"]) == (False, 48, 1)


def test_watching_ends_with_the_block_also_after_an_error() -> None:
    before = sys.getprofile()
    watch = SourceWatch()
    with pytest.raises(ValueError, match="rank"), watch:
        tf.data.Dataset.from_tensor_slices({"a": np.ones(3), "b": np.ones(())})
    assert sys.getprofile() is before
    assert watch.made == []


@pytest.mark.parametrize(
    ("tensors", "elements"),
    [
        (lambda _: np.zeros((7, 2)), 7),
        (lambda _: [1, 2, 3], 3),
        (lambda _: {"b": np.zeros(5), "a": (np.zeros((5, 1)), [1, 2, 3, 4, 5])}, 5),
        (lambda _: ((np.zeros(4), np.zeros(4)), np.zeros((4, 2))), 4),
        (lambda tf: tf.ragged.constant([[1], [2, 3]]), 2),
        (lambda tf: tf.sparse.from_dense([[1, 0], [0, 2], [3, 0]]), 3),
    ],
)
def test_rows_of_a_source_are_counted_without_reading_a_tensor(monkeypatch: Any, tensors: Any, elements: int) -> None:
    def refuse(*_: object) -> None:
        msg = "reading a value makes TensorFlow let go of arrays that a plain loop would still hold"
        raise AssertionError(msg)

    given = tensors(tf)
    with SourceWatch() as watch, monkeypatch.context() as patched:
        patched.setattr(tf.data.Dataset, "cardinality", refuse)
        tf.data.Dataset.from_tensor_slices(given)
        tf.data.Dataset.from_tensors(given)
    assert [one.elements for one in watch.made] == [elements, 1]
    assert watch.note is None


def test_options_are_those_that_tensorflow_says_are_set() -> None:
    options = tf.data.Options()
    options.deterministic = False
    options.experimental_slack = True
    options.experimental_symbolic_checkpoint = True
    options.experimental_warm_start = True
    options.threading.max_intra_op_parallelism = 3
    options.threading.private_threadpool_size = 200
    options.autotune.enabled = True
    options.autotune.cpu_budget = 5
    options.autotune.ram_budget = 7 << 30
    for name in (
        "apply_default_optimizations",
        "filter_fusion",
        "filter_parallelization",
        "inject_prefetch",
        "map_and_batch_fusion",
        "map_and_filter_fusion",
        "map_fusion",
        "map_parallelization",
        "noop_elimination",
        "parallel_batch",
        "shuffle_and_repeat_fusion",
    ):
        setattr(options.experimental_optimization, name, False)
    found = reading.read_written(tf.data.Dataset.range(3).with_options(options).batch(2), in_memory=0)["options"]
    expected = {}
    for part in ("", "threading", "autotune", "experimental_optimization"):
        for name in dir(getattr(options, part) if part else options):
            value = getattr(getattr(options, part) if part else options, name, None)
            if not name.startswith("_") and type(value) in (bool, int):
                expected[f"{part}.{name}" if part else name] = value
    del expected["experimental_deterministic"]  # an older name of `deterministic`
    assert found == expected


def test_of_options_set_twice_the_later_ones_hold() -> None:
    first, second = tf.data.Options(), tf.data.Options()
    first.threading.private_threadpool_size = 3
    first.deterministic = False
    second.threading.private_threadpool_size = 5
    dataset = tf.data.Dataset.range(3).with_options(first).batch(2).with_options(second)
    found = reading.read_written(dataset, in_memory=0)["options"]
    assert found == {"threading.private_threadpool_size": 5, "deterministic": False}
    assert dataset.options().threading.private_threadpool_size == 5


def test_what_functions_do() -> None:
    table = np.arange(600, dtype=np.float32)
    tensor = tf.constant(table)

    @tf.function
    def scaled(value: Any) -> Any:
        return value / 255.0

    def facts(function: Any) -> Any:
        element = {"image": np.ones((5, 4), np.float32), "label": np.arange(5)}
        dataset = tf.data.Dataset.from_tensor_slices(element).map(function)
        graph = reading.read_written(dataset, in_memory=0)
        return next(node for node in graph["nodes"] if node["op"] == "MapDataset")["function"], graph["keys"]

    called, keys = facts(lambda one: {**one, "image": scaled(one["image"])})
    assert (called["elementwise"], called["reads"], called["passes"]) == (True, [0], [None, 1])
    assert keys == ["image", "label"]
    captured, keys = facts(lambda one: (one["label"], tf.gather(table, one["label"])))
    assert captured["constant_bytes"] >= table.nbytes
    assert (captured["reads"], captured["passes"], keys) == ([1], [1, None], ["0", "1"])
    held, keys = facts(lambda one: tf.gather(tensor, one["label"]))
    assert held["constant_bytes"] < 100
    assert keys == ["0"]
    branched, _ = facts(lambda one: tf.cond(one["label"] > 2, lambda: one["image"], lambda: tf.random.uniform([4])))
    assert (branched["random"], branched["elementwise"]) == (True, False)
    # Another test of this process may have set the global seed, which seeds all ops.
    tf.random.set_seed(None)
    flip = tf.image.random_flip_left_right
    assert [
        facts(lambda one, seed=seed: flip(one["image"][..., None, None], seed))[0]["seeded"] for seed in (None, 3)
    ] == [False, True]
    ragged, _ = facts(lambda one: tf.numpy_function(lambda value: value, [one["image"]], tf.float32))
    assert (ragged["python"], ragged["random"], ragged["passes"]) == (True, None, [None])


def test_two_reads_of_a_map_agree_with_running_it_on_a_batch() -> None:
    """What is said to be element-wise gives the same after a batch as before it."""
    values = np.arange(24, dtype=np.int64).reshape(6, 4)
    row = tf.constant([1, 2, 3, 4], tf.int64)
    wide = tf.constant([[1, 2, 3, 4]], tf.int64)
    functions = {
        "cast": lambda x: tf.cast(x, tf.float32) * 2.0 + 1.0,
        "row": lambda x: tf.maximum(x, row) % 3,
        "where": lambda x: tf.where(x > 3, x, tf.zeros_like(x)),
        "sum": lambda x: x - tf.reduce_sum(x),
        "reverse": lambda x: tf.reverse(x, [0]),
        "wide": lambda x: x + wide,
    }
    source = tf.data.Dataset.from_tensor_slices(values)
    said = {}
    for name, function in functions.items():
        graph = reading.read_written(source.map(function), in_memory=0)
        (said[name],) = [node["function"]["elementwise"] for node in graph["nodes"] if node["function"]]
        before, after = next(iter(source.map(function).batch(6))), next(iter(source.batch(6).map(function)))
        same = before.shape == after.shape and bool(tf.reduce_all(before == after))
        assert same or not said[name]
    assert said == {"cast": True, "row": True, "where": True, "sum": False, "reverse": False, "wide": False}


def test_a_map_that_splits_lines_gives_the_same_on_a_batch() -> None:
    """Columns side by side along the last axis stay so; along the first one the batch would stand in another place."""
    defaults = [0.0, 0, ""]
    functions = {
        "columns": lambda line: tuple(tf.io.decode_csv(line, defaults)),
        "last": lambda line: tf.stack(tf.io.decode_csv(line, [0.0] * 3), axis=-1),
        "first": lambda line: tf.stack(tf.io.decode_csv(line, [0.0] * 3)),
        "sum": lambda line: tf.add_n(tf.io.decode_csv(line, [0.0] * 3)),
        "upper": lambda line: tf.io.decode_csv(tf.strings.upper(line), [0.0] * 3)[0],
    }
    source = tf.data.Dataset.from_tensor_slices([f"{number}.5,{number},{number * 7}" for number in range(6)])
    said = {}
    for name, function in functions.items():
        graph = reading.read_written(source.map(function), in_memory=0)
        (said[name],) = [node["function"]["elementwise"] for node in graph["nodes"] if node["function"]]
        before, after = next(iter(source.map(function).batch(6))), next(iter(source.batch(6).map(function)))
        pairs = list(zip(tf.nest.flatten(before), tf.nest.flatten(after), strict=True))
        same = all(one.shape == other.shape and bool(tf.reduce_all(one == other)) for one, other in pairs)
        assert same or not said[name]
    assert said == {"columns": True, "last": True, "first": False, "sum": False, "upper": False}


def test_a_reader_that_is_given_as_a_function_has_no_name_of_its_own() -> None:
    def length(line: Any) -> Any:
        return tf.strings.length(line)

    with SourceWatch() as watch:
        read = functools.partial(tf.data.TFRecordDataset, compression_type="GZIP")
        dataset = tf.data.Dataset.from_tensor_slices(["a", "b"]).interleave(read).flat_map(tf.data.TextLineDataset)
        dataset = dataset.map(functools.partial(length))
    places = watch.lines.places(dataset, reading.read_written(dataset, in_memory=0, made=watch.made))
    assert {name.partition("/")[0]: place["given"] for name, place in places.items() if "::" not in name} == {
        "TensorSliceDataset": None,
        "InterleaveDataset": None,
        "FlatMapDataset": None,
        "MapDataset": "length",
    }
