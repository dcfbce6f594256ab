"""Pipelines with large arrays made again from their graphs: the arrays are the same ones, not copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tensorflow as tf
from integration.graph_compare import differences
from integration.plain_graphs import GraphPair

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import builder
from pipeprof.pipelines.edits.edits import InsertStage, PipelineEdit, SetArgument, SetOption, VectoriseMap
from pipeprof.pipelines.graph.edit.apply import apply_edits
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.replay.replay import Replay, replay_stages
from pipeprof.pipelines.graph.edit.round_trip import round_trip
from pipeprof.pipelines.graph.observe.held import Held
from pipeprof.pipelines.graph.observe.in_memory_sources import SourceWatch
from pipeprof.pipelines.graph.observe.light_graph import light_graph, tensors_of
from pipeprof.pipelines.graph.observe.reading import read_graphs, serialised

pytestmark = pytest.mark.usefixtures("without_autograph")

ROWS = np.arange(60_000, dtype=np.float32).reshape(120, 500)
TABLE = np.arange(5_000, dtype=np.int64) * 3
LARGE = 2_000_000
"""Bytes that a caller states: from so many on, arrays are shared."""


def make() -> tf.data.Dataset:
    table = tf.constant(TABLE)
    rows = tf.data.Dataset.from_tensor_slices({"x": ROWS, "y": np.arange(120)})
    picked = rows.map(lambda one: {**one, "z": tf.gather(table, one["y"])}, name="pick")
    return picked.shuffle(50, seed=3, reshuffle_each_iteration=False).batch(8)


def watched(function: Callable[[], tf.data.Dataset] = make) -> tuple[tf.data.Dataset, SourceWatch]:
    with SourceWatch(own=lambda file: file == __file__) as watch:
        dataset = function()
    return dataset, watch


def plain(dataset: tf.data.Dataset) -> list[Any]:
    return [tf.nest.map_structure(lambda part: part.tolist(), one) for one in dataset.as_numpy_iterator()]


def edit(dataset: tf.data.Dataset, watch: SourceWatch, *edits: PipelineEdit) -> tf.data.Dataset:
    building = builder(BuildContext(base_dir=Path()))
    return apply_edits(dataset, edits, building=building, in_memory=LARGE, watch=watch)


def sources_of(dataset: tf.data.Dataset, watch: SourceWatch) -> Iterator[tuple[int | None, int | None]]:
    found = read_graphs(dataset, in_memory=LARGE, watch=watch)
    for node in (*found.written["nodes"], *found.executed["nodes"]):
        if node["op"] == "TensorSliceDataset":
            yield node["length"], node["held_bytes"]


def test_the_graph_has_marks_in_the_place_of_arrays() -> None:
    dataset, watch = watched()
    light = light_graph(dataset, in_memory=LARGE, watch=watch)
    assert not isinstance(light, str)
    assert light.graph.ByteSize() < 20_000 < ROWS.nbytes
    held = light.held.tensors(light.graph)
    assert sorted(int(tensor.shape[0]) for tensor in held.values()) == [120, 120, 5_000]
    known = {id(tensor) for tensor in tensors_of(dataset)}
    assert all(id(tensor) in known for tensor in held.values())
    # Without large arrays, nothing is left out.
    whole = light_graph(dataset, in_memory=100)
    assert not isinstance(whole, str)
    assert not whole.held


def test_a_dataset_made_again_has_the_elements_of_the_same_arrays() -> None:
    dataset, watch = watched()
    again = round_trip(dataset, in_memory=LARGE, watch=watch)
    assert plain(again) == plain(dataset)
    assert again.element_spec == dataset.element_spec
    assert list(sources_of(again, watch)) == list(sources_of(dataset, watch)) == [(120, 240_960)] * 2


def test_large_texts_and_ragged_rows_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeprof.pipelines.graph.observe.light_graph.SHARED_FROM", 10_000)
    lines = [f"line {number} of a text" for number in range(1000)]
    ragged = tf.RaggedTensor.from_row_lengths(np.arange(4000), [4] * 1000)

    def of_texts(*given: Any) -> Iterator[Any]:
        yield from (text[::-1] for text in given[0])

    for make_one in (
        lambda: tf.data.Dataset.from_generator(of_texts, args=(lines,), output_signature=tf.TensorSpec([], tf.string)),
        lambda: tf.data.Dataset.from_tensor_slices((ragged, np.arange(1000))).batch(500),
        lambda: tf.data.Dataset.from_tensor_slices(lines).map(lambda line: tf.strings.join([line, lines[7]])),
    ):
        dataset, watch = watched(lambda make_one=make_one: make_one().apply(in_few))
        building = builder(BuildContext(base_dir=Path()))
        again = apply_edits(dataset, [InsertStage("prefetch", {"buffer_size": 2})], building=building, watch=watch)
        for one, other in zip(dataset, again, strict=True):
            assert all(map(same_tensor, tf.nest.flatten(one, True), tf.nest.flatten(other, True)))


def in_few(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The same elements in so few that they are compared in a second: texts come one by one."""
    return dataset.batch(500) if dataset.element_spec == tf.TensorSpec([], tf.string) else dataset


def same_tensor(one: tf.Tensor, other: tf.Tensor) -> bool:
    return bool(tf.reduce_all(one == other))


def test_the_graphs_of_a_dataset_made_again_are_read_in_little_memory() -> None:
    dataset, watch = watched()
    again = round_trip(dataset, in_memory=LARGE, watch=watch)
    before = psutil.Process().memory_info().rss
    assert read_graphs(again, in_memory=LARGE, watch=watch).executed["root"] is not None
    assert psutil.Process().memory_info().rss - before < 200_000_000


def test_graphs_are_compared_by_the_hashes_of_their_arrays() -> None:
    def graph(first: float) -> GraphPair:
        rows = ROWS.copy()
        rows[0, 0] = first
        table = tf.constant(rows)
        return GraphPair(tf, tf.data.Dataset.range(8).map(lambda index: tf.gather(table, index)), ROWS.nbytes)

    one, same, other = graph(1.0), graph(1.0), graph(2.0)
    assert not isinstance(one.executed, str)
    assert len(repr(one.executed)) < 20_000 < ROWS.nbytes
    assert differences(one.executed, same.executed) == []
    found, *_ = differences(one.executed, other.executed)
    assert "float32 [120, 500], with different values" in found.what


def test_edits_follow_each_other_without_a_copy() -> None:
    dataset, watch = watched()
    one = edit(
        dataset, watch, SetArgument("stages.0", "map", "num_parallel_calls", 2), SetOption("deterministic", True)
    )
    two = edit(
        one, watch, InsertStage("prefetch", {"buffer_size": 1}, "stages.1"), InsertStage("prefetch", {"buffer_size": 1})
    )
    assert plain(two) == plain(dataset)
    assert two.options().deterministic is True
    light = light_graph(two)
    assert not isinstance(light, str)
    assert light.graph.ByteSize() < 20_000
    assert len(light.held.tensors(light.graph)) == 3


def test_a_map_of_rows_is_vectorised() -> None:
    def rows() -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(ROWS).map(lambda row: tf.reduce_sum(row) * 2).batch(8)

    dataset, watch = watched(rows)
    assert plain(edit(dataset, watch, VectoriseMap("stages.0", "stages.1"))) == plain(dataset)


def test_a_replay_comes_from_the_real_arrays() -> None:
    dataset, watch = watched()
    stages = replay_stages(dataset, Replay(("stages.0",), batches=2), in_memory=LARGE, watch=watch).dataset
    replayed = {tuple(row) for batch in plain(stages) for row in batch["x"]}
    assert replayed <= {tuple(row) for row in ROWS.tolist()[:16]}
    assert len(plain(stages)) == len(plain(dataset))
    source = replay_stages(dataset, Replay(("source",), batches=2), in_memory=LARGE, watch=watch).dataset
    assert len(plain(source)) == len(plain(dataset))


def test_arrays_that_are_constants_of_a_function_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeprof.pipelines.graph.observe.light_graph.MOST_COPIED_BYTES", 200_000)
    dataset, watch = watched(lambda: tf.data.Dataset.range(8).map(lambda index: tf.gather(ROWS, index)))
    with pytest.raises(CannotEditError, match=r"0 MB of its arrays are constants of its graph; from 0 MB on"):
        round_trip(dataset, in_memory=LARGE, watch=watch)
    with pytest.raises(CannotEditError, match=r"holds up to 2 MB in memory in a way that is not known"):
        round_trip(dataset, in_memory=LARGE)
    sliced, watch = watched()
    assert plain(round_trip(sliced, in_memory=LARGE, watch=watch))


def test_a_mark_keeps_the_name_of_its_source() -> None:
    held = Held()
    dataset = tf.data.Dataset.from_tensor_slices(ROWS, name="rows")
    graph = serialised(dataset, in_memory=0)
    node = next(node for node in graph.node if node.op == "TensorSliceDataset")
    before = bytes(node.attr["metadata"].s)
    node.attr["metadata"].s = held.slices([ROWS], before)
    again = serialised(tf.raw_ops.DatasetFromGraph(graph_def=graph.SerializeToString()), in_memory=0)
    ((found, slices),) = held.sources(again)
    assert b"rows" in found.attr["metadata"].s
    assert slices.metadata == before
