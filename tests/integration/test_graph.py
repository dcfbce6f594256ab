"""Live pipelines in one process: the graphs, the model, and that both still are as the recorded ones."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeprof.pipelines.graph.observe import reading
from pipeprof.pipelines.graph.observe.build_watch import SourceWatch
from pipeprof.pipelines.graph.stages import StageGraph

pytestmark = pytest.mark.usefixtures("without_autograph")

RECORDED = Path(__file__).parents[1] / "recorded" / "graphs"


def graphs(dataset: Any) -> tuple[StageGraph, StageGraph]:
    written = reading.read_written(dataset, in_memory=0)
    executed = reading.read_executed(dataset, written)
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


def test_a_graph_that_is_too_large_is_not_read() -> None:
    dataset = tf.data.Dataset.from_tensor_slices(np.zeros((10, 100), np.float64)).batch(2)
    written = reading.read_written(dataset, in_memory=10**10)
    assert "in memory" in str(written["reason"])
    assert reading.read_executed(dataset, written) == written
    assert "are free" in str(reading.read_written(dataset, in_memory=1000, room=14_999)["reason"])
    assert reading.read_written(dataset, in_memory=1000, room=15_000)["root"] is not None


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
    assert [(one["elements"], one["traced"], Path(str(one["file"])).name) for one in (*seen_eager, *seen_inside)] == [
        (6, False, "test_graph.py"),
        (None, True, "test_graph.py"),
    ]


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
    assert [one["elements"] for one in watch.made] == [elements, 1]
    assert watch.note is None


def test_options_are_those_that_tensorflow_says_are_set() -> None:
    options = tf.data.Options()
    parts = {"": options, **{name: getattr(options, name) for name in ("threading", "autotune")}}
    parts["experimental_optimization"] = options.experimental_optimization
    set_ = {
        "": {
            "deterministic": False, "experimental_slack": True, "experimental_symbolic_checkpoint": True,
            "experimental_warm_start": True,
        },
        "threading": {"max_intra_op_parallelism": 3, "private_threadpool_size": 200},
        "autotune": {"enabled": True, "cpu_budget": 5, "ram_budget": 7 << 30},
        "experimental_optimization": {
            name: False for name, one in vars(type(options.experimental_optimization)).items()
            if isinstance(one, property) and name != "autotune"
        },
    }  # fmt: skip
    for part, values in set_.items():
        for name, value in values.items():
            setattr(parts[part], name, value)
    found = reading.read_written(tf.data.Dataset.range(3).with_options(options).batch(2), in_memory=0)["options"]
    assert found == {f"{part}.{name}".removeprefix("."): value for part in set_ for name, value in set_[part].items()}


def test_of_options_set_twice_the_later_ones_hold() -> None:
    first, second = tf.data.Options(), tf.data.Options()
    first.threading.private_threadpool_size = 3
    first.deterministic = False
    second.threading.private_threadpool_size = 5
    dataset = tf.data.Dataset.range(3).with_options(first).batch(2).with_options(second)
    found = reading.read_written(dataset, in_memory=0)["options"]
    assert found == {"threading.private_threadpool_size": 5, "deterministic": False}
    assert dataset.options().threading.private_threadpool_size == 5


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
