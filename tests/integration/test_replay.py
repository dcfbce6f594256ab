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


def replays(counted: Counted) -> dict[str, tuple[Any, list[str], dict[str, Any], list[Any], dict[str, int]]]:
    """A dataset, what is replaced in it and how, the elements then, and the calls that they take."""
    before, slow, between = map(counted.stage, ("before", "slow", "between"))
    numbers, zip_ = tf.data.Dataset.range, tf.data.Dataset.zip
    parts = [numbers(100 * part, 100 * part + 8).map(before).map(slow) for part in range(3)]
    concatenated = parts[0].batch(4).concatenate(parts[1].batch(4)).concatenate(parts[2].batch(4))
    several = numbers(5).map(before).flat_map(lambda x: numbers(10 * x, 10 * x + 4).map(slow))
    zipped = zip_((parts[0], parts[1])).batch(4)
    sides = ["source.inputs.0.stages.1", "source.inputs.1.stages.1"]
    first, second = [0, 1, 2, 3], [4, 5, 6, 7]
    filtered = [[0, 1, 3, 4, 6, 7, 9, 10, 12, 13], [15, 16, 18, 19, 21, 22, 24, 25, 27, 28]]
    second_side = ([100, 101, 102, 103], [104, 105, 106, 107])
    return {
        "a map": (
            numbers(40).map(before).map(slow).map(lambda x: x + 100), ["stages.1"], {"batches": 6},
            [100 + number % 6 for number in range(40)], {"before": 40},
        ),
        "a map before a batch loses no group": (
            numbers(43).map(before).map(slow).batch(4).repeat(2), ["stages.1"], {},
            [*[first, second] * 5, [0, 1, 2]] * 2, {"before": 86},
        ),
        "a batch": (
            numbers(43).map(before).batch(4), ["stages.1"], {}, [*[first, second] * 5, first], {"before": 43},
        ),
        "a batch without the rest": (
            numbers(43).map(before).batch(4, drop_remainder=True), ["stages.1"], {"batches": 3},
            [*[first, second, [8, 9, 10, 11]] * 3, first], {"before": 43},
        ),
        "a filter, with as many inputs for an output as measured": (
            numbers(60).map(before).filter(lambda x: x % 3 != 2).batch(10), ["stages.1"],
            {"inputs": 3, "outputs": 2}, filtered * 2, {"before": 60},
        ),
        "several outputs of one input": (
            several, ["stages.1"], {"batches": 6, "inputs": 1, "outputs": 4},
            [*[0, 1, 2, 3, 10, 11] * 3, 0, 1], {"before": 5},
        ),
        "a run of stages": (
            numbers(24).map(before).map(slow).batch(4).prefetch(1), ["stages.1", "stages.2"], {},
            [first, second] * 3, {"before": 24},
        ),
        "concatenated parts have one replay": (
            concatenated, ["stages.1", "stages.3.inputs.1.stages.1", "stages.4.inputs.1.stages.1"],
            {"batches": 1, "per_batch": 4.0}, [first] * 6, {"before": 24},
        ),
        "both sides": (zipped, sides, {"batches": 1}, [(first, first)] * 2, {"before": 16}),
        "one side": (
            zipped, sides[1:], {},
            [*zip((first, second), second_side, strict=True)], {"before": 16, "slow": 8},
        ),
        "used twice": (
            zip_((parts[0], parts[0].map(lambda x: x * 2))).batch(4), sides, {},
            [(first, [0, 2, 4, 6]), (second, [8, 10, 12, 14])], {"before": 16},
        ),
        "with others between them": (
            numbers(12).map(slow).map(between).map(slow).batch(4), ["stages.0", "stages.2"], {"batches": 3},
            [first, second, [8, 9, 10, 11]], {"between": 12},
        ),
        "a source of known length": (numbers(9).batch(2), ["source"], {}, [*[[0, 1], [2, 3]] * 2, [0]], {}),
    }  # fmt: skip


def test_stages_give_what_they_gave_and_all_before_them_is_called_as_often() -> None:
    counted = Counted()
    for name, (dataset, stages, measured, elements, calls) in replays(counted).items():
        assert counted.of(replaced(dataset, *stages, **{"batches": 2, **measured})) == (elements, calls), name


def test_what_is_random_or_large_is_counted() -> None:
    counted = Counted()
    shuffled = tf.data.Dataset.range(8).shuffle(8).repeat(3).map(counted.stage("slow")).batch(4)
    found, calls = counted.of(replaced(shuffled, "source", "stages.0", "stages.1", "stages.2", batches=2))
    assert ([len(batch) for batch in found], found[0], calls) == ([4] * 6, found[2], {})
    numbers = tf.data.Dataset.range(50).map(counted.stage("before"))
    dataset = numbers.flat_map(lambda x: tf.data.Dataset.range(4).map(lambda y: 10 * x + y)).batch(32)
    found, calls = counted.of(replaced(dataset, "stages.1", batches=1, per_batch=32.0, inputs=1, outputs=4))
    assert (sum(map(len, found)), calls) == (200, {"before": 50})


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


def test_elements_of_any_kind_are_replayed() -> None:
    dataset = tf.data.Dataset.range(6).map(
        lambda x: {"rows": tf.ragged.range(x + 1), "text": tf.strings.as_string(x), "long": tf.range(x)}
    )
    found = [(one["text"].numpy(), len(one["long"]), one["rows"].to_list()) for one in replaced(dataset, "stages.0")]
    assert [text for text, _, _ in found] == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert [length for _, length, _ in found] == [0, 1, 2, 3, 4, 5]
    assert found[2][2] == [[0, 1, 2]]


def test_a_replay_holds_no_more_than_it_may() -> None:
    dataset = tf.data.Dataset.range(9).map(lambda x: tf.zeros([1000, 1000]) + tf.cast(x, tf.float32))
    with pytest.raises(CannotChangeError, match="its outputs for 3 batches, 3 of them, hold more than 10 MB"):
        replayed(dataset, Replay(("stages.0",), most_bytes=10_000_000))
