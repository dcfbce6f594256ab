"""Ops of a traced pipeline by stage: what its functions contain, and the same pipeline made again with marks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import tensorflow as tf

from pipeprof.pipelines.changes.recorded_calls import CallWatch
from pipeprof.pipelines.graph.costs.op_owners import Marks
from pipeprof.pipelines.graph.observe.reading import read_written
from pipeprof.profiles.worker.steps.loop import Feed
from pipeprof.profiles.worker.trace.record import marked_feed
from pipeprof.profiles.worker.trace.work import traced_ops

pytestmark = pytest.mark.usefixtures("without_autograph")


def numbers() -> Iterator[int]:
    yield from range(10**6)


def keep(value: Any) -> Any:
    return value


@pytest.fixture(autouse=True)
def watch() -> Iterator[CallWatch]:
    """What sees the pipelines of a test being made."""
    with CallWatch(own=lambda file: file == __file__) as watch:
        yield watch


def marks_of(dataset: Any) -> tuple[Marks, Any]:
    graph = read_written(dataset, in_memory=0)
    return Marks(graph), graph


def marked(dataset: Any, found: Any, watch: CallWatch, *, stop: bool = True) -> Any:
    return marked_feed(dataset, *found, watch, fill_seconds=0.0, stop=lambda: stop)


def pipeline() -> Any:
    """Two maps with the same names inside, a function called in another, a nested pipeline and two kinds of Python."""

    @tf.function
    def helper(element: Any) -> Any:
        return element * 3

    def inside(element: Any) -> Any:
        return tf.data.Dataset.range(element, element + 2).map(lambda one: one * 2)

    source = tf.data.Dataset.from_generator(numbers, output_signature=tf.TensorSpec([], tf.int64))
    return (
        source.map(lambda element: helper(element * 2))
        .map(lambda element: tf.cond(element > 5, lambda: element * 2, lambda: element))
        .flat_map(inside)
        .map(lambda element: tf.numpy_function(keep, [element], tf.int64))
        .batch(4)
    )


def test_the_same_pipeline_with_marks_in_which_every_op_has_its_dataset(watch: CallWatch) -> None:
    dataset = pipeline()
    found = marks_of(dataset)
    assert "mul" in found[0].ambiguous()
    again = marked(dataset, found, watch)
    assert again is not None
    wanted = [batch.numpy().tolist() for batch in dataset.take(5)]
    assert [again.next().numpy().tolist() for _ in range(5)] == wanted

    traced = traced_ops(again, found[0])
    muls = [key for key, seen in traced.work.items() if "Mul" in seen.ops]
    assert len(muls) == 3
    assert not {"Mul", "PyFunc"} & set(traced.unattributed_ops)
    assert {one.function for one in traced.functions} <= {"numbers", "keep"}


def test_variables_are_those_of_the_pipeline(watch: CallWatch) -> None:
    factor, offset = tf.Variable(2, dtype=tf.int64), tf.Variable(30, dtype=tf.int64)
    dataset = tf.data.Dataset.range(10**6).map(lambda x: x * factor).map(lambda x: x * 2 + offset).map(lambda x: x * 3)
    found = marks_of(dataset)
    again = marked(dataset, found, watch)
    assert again is not None
    assert int(again.next()) == 90
    factor.assign(10)
    again.restart()
    assert [int(again.next()) for _ in range(2)] == [90, 150]


def test_names_that_only_one_stage_has_need_no_marks(watch: CallWatch) -> None:
    dataset = tf.data.Dataset.range(10**9).map(lambda element: tf.sort(tf.stack([element, element]))).batch(2)
    found = marks_of(dataset)
    assert not found[0].ambiguous()
    assert marked(dataset, found, watch, stop=False) is None
    feed = Feed(dataset)
    traced = traced_ops(feed, found[0])
    assert any("TopKV2" in seen.ops for seen in traced.work.values())


def test_what_was_computed_before_is_not_computed_again(watch: CallWatch) -> None:
    dataset = tf.data.Dataset.range(4).map(lambda one: one * 2).cache().map(lambda one: one * 2).repeat()
    found = marks_of(dataset)
    assert found[0].ambiguous()
    assert marked(dataset, found, watch, stop=False) is None
