"""Stages replaced by a replay of their outputs: everything before them still runs, as often as before."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import tensorflow as tf
from integration.changed_datasets import replayed

from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.pipelines.changes.replay import Replay

pytestmark = pytest.mark.usefixtures("without_autograph", "recording")


class Counted:
    """Stages that count their calls."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def stage(self, name: str) -> Any:
        """A function that gives what it gets, and counts."""

        def call(value: Any) -> Any:
            def count(given: Any) -> Any:
                self.calls[name] += 1
                return given

            given = tf.py_function(count, [value], value.dtype)
            given.set_shape(value.shape)
            return given

        return call

    def of(self, dataset: Any) -> tuple[list[Any], dict[str, int]]:
        """All elements, and the calls that they took."""
        self.calls.clear()
        found = [tf.nest.map_structure(lambda part: part.numpy().tolist(), element) for element in dataset]
        return found, dict(self.calls)


def replaced(dataset: Any, *stages: str, batches: int = 6, **measured: Any) -> Any:
    return replayed(dataset, Replay(stages, batches, **measured)).dataset


def test_a_map_is_not_called_and_all_before_it_is() -> None:
    counted = Counted()
    dataset = tf.data.Dataset.range(40).map(counted.stage("before")).map(counted.stage("slow")).map(lambda x: x + 100)
    found, calls = counted.of(replaced(dataset, "stages.1"))
    assert found == [100 + number % 6 for number in range(40)]
    assert calls == {"before": 40}


def test_a_map_before_a_batch_draws_groups_and_loses_none() -> None:
    counted = Counted()
    dataset = tf.data.Dataset.range(43).map(counted.stage("before")).map(counted.stage("slow")).batch(4).repeat(2)
    found, calls = counted.of(replaced(dataset, "stages.1", batches=2))
    assert found == [*[[0, 1, 2, 3], [4, 5, 6, 7]] * 5, [0, 1, 2]] * 2
    assert calls == {"before": 86}


@pytest.mark.parametrize("drop", [True, False])
def test_a_batch_draws_its_elements_and_gives_as_many_batches(drop: bool) -> None:
    counted = Counted()
    dataset = tf.data.Dataset.range(43).map(counted.stage("before")).batch(4, drop_remainder=drop)
    found, calls = counted.of(replaced(dataset, "stages.1", batches=3))
    assert len(found) == (10 if drop else 11)
    assert found[:4] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [0, 1, 2, 3]]
    assert calls == {"before": 43}


def test_a_reader_before_a_batch_reads_all_of_its_records(tmp_path: Any) -> None:
    # A stage that only skips elements would let the reader skip records without reading them.
    path = str(tmp_path / "records")
    with tf.io.TFRecordWriter(path) as writer:
        for number in range(8):
            writer.write(b"record %d" % number)
    data = bytearray((tmp_path / "records").read_bytes())
    data[-5] ^= 1  # a checksum that only a reader of the record sees
    (tmp_path / "records").write_bytes(data)
    dataset = tf.data.TFRecordDataset(path).batch(2)
    with pytest.raises(tf.errors.DataLossError):
        list(replaced(dataset, "stages.0", batches=3))


def test_a_filter_draws_as_many_inputs_per_output_as_measured() -> None:
    counted = Counted()
    dataset = tf.data.Dataset.range(60).map(counted.stage("before")).filter(lambda x: x % 3 != 2).batch(10)
    found, calls = counted.of(replaced(dataset, "stages.1", batches=2, inputs=3, outputs=2))
    assert [len(batch) for batch in found] == [10, 10, 10, 10]
    assert found[0] == [0, 1, 3, 4, 6, 7, 9, 10, 12, 13]
    assert calls == {"before": 60}


def test_several_outputs_per_input_come_from_one_input() -> None:
    counted = Counted()
    slow = counted.stage("slow")
    dataset = (
        tf.data.Dataset.range(5)
        .map(counted.stage("before"))
        .flat_map(lambda x: tf.data.Dataset.range(10 * x, 10 * x + 4).map(slow))
    )
    found, calls = counted.of(replaced(dataset, "stages.1", batches=6, inputs=1, outputs=4))
    assert found == [0, 1, 2, 3, 10, 11, 0, 1, 2, 3, 10, 11, 0, 1, 2, 3, 10, 11, 0, 1]
    assert calls == {"before": 5}


def test_a_source_is_the_replay_alone() -> None:
    calls = Counter[str]()

    def numbers() -> Any:
        for number in range(7):
            calls["source"] += 1
            yield number

    dataset = tf.data.Dataset.from_generator(numbers, output_signature=tf.TensorSpec([], tf.int64)).map(lambda x: x * 2)
    made = replaced(dataset, "source", batches=3)
    calls.clear()
    assert [int(x) for x in made.take(8)] == [0, 2, 4, 0, 2, 4, 0, 2]
    assert not calls


def test_all_that_a_cache_saves_is_the_replay_alone() -> None:
    counted = Counted()
    dataset = tf.data.Dataset.range(8).shuffle(8).repeat(3).map(counted.stage("slow")).batch(4)
    made = replaced(dataset, "source", "stages.0", "stages.1", "stages.2", batches=2)
    found, calls = counted.of(made)
    assert [len(batch) for batch in found] == [4] * 6
    assert found[0] == found[2]
    assert not calls


def test_a_source_of_known_length_keeps_it() -> None:
    assert len(list(replaced(tf.data.Dataset.range(9).batch(2), "source", batches=2))) == 5


def test_a_run_of_stages_is_replaced_as_a_whole() -> None:
    counted = Counted()
    dataset = tf.data.Dataset.range(24).map(counted.stage("before")).map(counted.stage("slow")).batch(4).prefetch(1)
    found, calls = counted.of(replaced(dataset, "stages.1", "stages.2", batches=2))
    assert found == [[0, 1, 2, 3], [4, 5, 6, 7]] * 3
    assert calls == {"before": 24}


def test_elements_of_any_kind_are_replayed() -> None:
    dataset = tf.data.Dataset.range(6).map(
        lambda x: {"rows": tf.ragged.range(x + 1), "text": tf.strings.as_string(x), "long": tf.range(x)}
    )
    found = [(one["text"].numpy(), len(one["long"]), one["rows"].to_list()) for one in replaced(dataset, "stages.0")]
    assert [text for text, _, _ in found] == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert [length for _, length, _ in found] == [0, 1, 2, 3, 4, 5]
    assert found[2][2] == [[0, 1, 2]]


def test_every_epoch_draws_anew() -> None:
    counted = Counted()
    dataset = tf.data.Dataset.range(5).map(counted.stage("before")).map(counted.stage("slow")).repeat(3)
    found, calls = counted.of(replaced(dataset, "stages.1", batches=5))
    assert found == [0, 1, 2, 3, 4] * 3
    assert calls == {"before": 15}


@pytest.mark.parametrize(("parallel", "op"), [(None, "MapDataset"), (3, "ParallelMapDatasetV2")])
def test_a_replaced_map_runs_on_threads_of_its_own_where_the_map_does(parallel: int | None, op: str) -> None:
    from pipeprof.pipelines.graph.observe.reading import read_written

    dataset = tf.data.Dataset.range(8).map(Counted().stage("slow"), num_parallel_calls=parallel)
    graph = read_written(replaced(dataset, "stages.0"), in_memory=0)
    assert next(node["op"] for node in graph["nodes"] if node["id"] == graph["root"]) == op


@pytest.mark.parametrize(
    ("make", "stage", "reason"),
    [
        (lambda ds: ds.map(lambda x: x).filter(lambda x: x > 1), "stages.0", "filter after it depends on the values"),
        (lambda ds: ds.repeat(2), "stages.0", "repeat computes nothing"),
        (lambda ds: ds.flat_map(lambda _: ds.map(lambda y: y)), "stages.0.stages.0", "it is inside a function"),
        (lambda ds: ds.filter(lambda x: x > 1), "stages.0", "how many inputs it takes for an output is not known"),
        (lambda ds: ds.batch(2).unbatch(), "stages.0", "how many of its outputs make a batch is not known"),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_its_reason(make: Any, stage: str, reason: str) -> None:
    with pytest.raises(CannotChangeError, match=reason):
        replaced(make(tf.data.Dataset.range(9)), stage)


def test_a_replay_holds_no_more_than_it_may() -> None:
    dataset = tf.data.Dataset.range(9).map(lambda x: tf.zeros([1000, 1000]) + tf.cast(x, tf.float32))
    with pytest.raises(CannotChangeError, match="its outputs for 3 batches, 3 of them, hold more than 10 MB"):
        replayed(dataset, Replay(("stages.0",), most_bytes=10_000_000))


def parts(counted: Counted, count: int) -> list[Any]:
    """Datasets that one function makes."""
    slow, before = counted.stage("slow"), counted.stage("before")
    return [tf.data.Dataset.range(100 * part, 100 * part + 8).map(before).map(slow) for part in range(count)]


def test_stages_of_concatenated_parts_have_one_replay() -> None:
    counted = Counted()
    first, second, third = parts(counted, 3)
    dataset = first.batch(4).concatenate(second.batch(4)).concatenate(third.batch(4))
    stages = ["stages.1", "stages.3.inputs.1.stages.1", "stages.4.inputs.1.stages.1"]
    found, calls = counted.of(replaced(dataset, *stages, batches=1, per_batch=4.0))
    assert found == [[0, 1, 2, 3]] * 6
    assert calls == {"before": 24}


def test_stages_of_zipped_parts_are_replaced_one_or_all() -> None:
    counted = Counted()
    dataset = tf.data.Dataset.zip(tuple(parts(counted, 2))).batch(4)
    both = ["source.inputs.0.stages.1", "source.inputs.1.stages.1"]
    found, calls = counted.of(replaced(dataset, *both, batches=1))
    assert found == [([0, 1, 2, 3], [0, 1, 2, 3])] * 2
    assert calls == {"before": 16}
    one, calls = counted.of(replaced(dataset, both[1], batches=2))
    assert one == counted.of(dataset)[0]
    assert calls == {"before": 16, "slow": 8}


def test_a_dataset_that_is_used_twice_is_replaced_in_both_places() -> None:
    counted = Counted()
    (base,) = parts(counted, 1)
    dataset = tf.data.Dataset.zip((base, base.map(lambda x: x * 2))).batch(4)
    found, calls = counted.of(replaced(dataset, "source.inputs.0.stages.1", "source.inputs.1.stages.1", batches=2))
    assert found == [([0, 1, 2, 3], [0, 2, 4, 6]), ([4, 5, 6, 7], [8, 10, 12, 14])]
    assert calls == {"before": 16}


def test_stages_with_others_between_them_are_replaced_apart() -> None:
    counted = Counted()
    slow, between = counted.stage("slow"), counted.stage("between")
    dataset = tf.data.Dataset.range(12).map(slow).map(between).map(slow).batch(4)
    found, calls = counted.of(replaced(dataset, "stages.0", "stages.2", batches=3))
    assert found == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert calls == {"between": 12}


def test_a_stage_in_a_function_is_named() -> None:
    dataset = tf.data.Dataset.range(3).flat_map(lambda x: tf.data.Dataset.range(x).map(lambda y: y + 1))
    with pytest.raises(
        CannotChangeError, match=r"stages.0.stages.0: it is inside a function, whose datasets are made anew"
    ):
        replaced(dataset, "stages.0.stages.0")


def test_what_handing_out_a_replay_costs_is_measured() -> None:
    rows = tf.data.Dataset.range(100).flat_map(lambda x: tf.data.Dataset.range(4).map(lambda y: x + y))
    cut = Replay(("stages.0",), 3, per_batch=32.0, inputs=1, outputs=4)
    few = replayed(rows.batch(32), cut).own_seconds
    assert 0 < few < 1


def test_a_flat_map_of_few_elements_is_replayed_in_large_groups() -> None:
    counted = Counted()
    numbers = tf.data.Dataset.range(50).map(counted.stage("before"))
    dataset = numbers.flat_map(lambda x: tf.data.Dataset.range(4).map(lambda y: 10 * x + y)).batch(32)
    found, calls = counted.of(replaced(dataset, "stages.1", batches=1, per_batch=32.0, inputs=1, outputs=4))
    assert sum(map(len, found)) == 200
    assert calls == {"before": 50}
