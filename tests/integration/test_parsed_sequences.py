"""Sequence examples, parsed a batch at a time by the graph: the same elements, no loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from integration.edited_datasets import assert_same, edited

from pipeprof.pipelines.edits.edits import VectoriseMap
from pipeprof.pipelines.graph.edit.errors import CannotEditError

pytestmark = pytest.mark.usefixtures("without_autograph")

ON_BATCH = VectoriseMap("stages.0", "stages.1")
CONTEXT = {
    "id": tf.io.FixedLenFeature([], tf.string),
    "pair": tf.io.FixedLenFeature([2], tf.float32, default_value=[1.0, 2.0]),
    "labels": tf.io.VarLenFeature(tf.int64),
    "words": tf.io.RaggedFeature(tf.string),
}
LISTS = {
    "rgb": tf.io.FixedLenSequenceFeature([], tf.string),
    "points": tf.io.FixedLenSequenceFeature([2], tf.float32),
    "steps": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
}
FRAMES = [3, 1, 5, 2, 2, 7, 1]
Parsed = tuple[dict[str, Any], dict[str, Any]]


def texts(*values: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def ints(*values: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def floats(*values: float) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def record(number: int, frames: int, *, complete: bool = True) -> bytes:
    """A record with a list of so many frames, four bytes each; an odd one has no ``steps`` and no ``pair``."""
    made = tf.train.SequenceExample()
    made.context.feature["id"].CopyFrom(texts(b"%d" % number))
    made.context.feature["labels"].CopyFrom(ints(*range(number)))
    made.context.feature["words"].CopyFrom(texts(*[b"w" * one for one in range(number % 3)]))
    lists = made.feature_lists.feature_list
    lists["rgb"].feature.extend([texts(bytes([number, at, 1, 2])) for at in range(frames)])
    if complete:
        lists["points"].feature.extend([floats(at, -at) for at in range(frames)])
    if number % 2 == 0:
        made.context.feature["pair"].CopyFrom(floats(number, 0.5))
        lists["steps"].feature.extend([ints(at) for at in range(frames)])
    return bytes(made.SerializeToString())


def records(function: Callable[[dict[str, Any], dict[str, Any]], Any], *given: bytes) -> tf.data.Dataset:
    made = list(given) or [record(number, frames) for number, frames in enumerate(FRAMES)]
    return tf.data.Dataset.from_tensor_slices(made).map(
        lambda one: function(*tf.io.parse_single_sequence_example(one, CONTEXT, LISTS))
    )


def frames(_: dict[str, Any], lists: dict[str, Any]) -> Any:
    return tf.reshape(tf.cast(tf.io.decode_raw(lists["rgb"], tf.uint8), tf.float32), [-1, 4])


def first_frames(context: dict[str, Any], lists: dict[str, Any]) -> Any:
    found = frames(context, lists)[:3]
    padded = tf.pad(found, [[0, 3 - tf.shape(found)[0]], [0, 0]])
    return tf.ensure_shape(padded, [3, 4]), tf.minimum(tf.shape(lists["rgb"])[0], 3)


def resized_frames(context: dict[str, Any], lists: dict[str, Any]) -> Any:
    """Frames cut or filled up to four, as pipelines of videos do it that take any axis."""
    found = frames(context, lists)
    shape = tf.unstack(tf.shape(found))
    missing = [tf.maximum(0, 4 - shape[0]), shape[1]]
    shape[0] = tf.minimum(shape[0], 4)
    kept = tf.slice(found, tf.zeros_like(tf.stack(shape)), tf.stack(shape))
    made = tf.concat([kept, tf.fill(tf.stack(missing), -1.0)], 0)
    made.set_shape([4, 4])
    return made


PADDED: dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]] = {
    "context": lambda context, _lists: (context["id"], context["pair"] * 2.0),
    "a sparse one": lambda context, _lists: tf.sparse.to_dense(context["labels"], -1),
    "a ragged one": lambda context, _lists: context["words"],
    "lists": lambda _, lists: (lists["points"], lists["steps"], lists["rgb"]),
    "lengths": lambda _, lists: (tf.shape(lists["points"])[0], tf.size(lists["steps"])),
    "decoded": frames,
    "with the context": lambda context, lists: {"frames": frames(context, lists) / 255.0, "id": context["id"]},
    "their mean": lambda _, lists: tf.reduce_sum(lists["points"], axis=0),
    "the first ones": first_frames,
    "resized": resized_frames,
    "a part of them": lambda _, lists: tf.slice(frames(_, lists), [0, 1], [tf.minimum(tf.size(lists["rgb"]), 2), 3]),
    "all but the first": lambda _, lists: tf.slice(frames(_, lists), [1, 0], [-1, -1]),
    "with a border": lambda _, lists: tf.pad(frames(_, lists), [[1, 0], [0, 2]], constant_values=-1.0),
    "twos": lambda _, lists: tf.fill([tf.size(lists["rgb"]), 3], 2.0),
}


@pytest.mark.parametrize("name", PADDED)
def test_a_padded_batch_is_the_same(name: str) -> None:
    rows = records(PADDED[name])
    for size, drop_remainder in ((4, False), (3, True)):
        dataset = rows.padded_batch(size, drop_remainder=drop_remainder)
        assert_same(edited(dataset, ON_BATCH), dataset)


def test_what_is_cut_to_one_length_is_a_batch() -> None:
    for function in (first_frames, resized_frames):
        dataset = records(function).batch(2)
        assert_same(edited(dataset, ON_BATCH), dataset)


def test_what_fails_for_an_element_fails_for_its_batch() -> None:
    good = record(0, 2)
    cases = {
        "no points": records(PADDED["lists"], good, record(2, 2, complete=False)).padded_batch(2),
        "no id": records(PADDED["context"], good, tf.train.SequenceExample().SerializeToString()).padded_batch(2),
        "lengths differ": records(lambda _, lists: lists["points"], good, record(2, 3)).batch(2),
        "a slice out of bounds": records(
            lambda _, lists: tf.slice(lists["points"], [0, 0], [3, 2]), good, record(2, 3)
        ).padded_batch(2),
        "no record": records(PADDED["context"], good, b"\xff\xff").padded_batch(2),
    }
    for dataset in cases.values():
        for one in (dataset, edited(dataset, ON_BATCH)):
            with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.DataLossError)):
                list(one)


def test_lists_of_lists_have_no_form_for_many_elements() -> None:
    features = {"tags": tf.io.VarLenFeature(tf.int64)}

    def tags(one: Any) -> Any:
        return tf.sparse.to_dense(tf.io.parse_single_sequence_example(one, sequence_features=features)[1]["tags"])

    dataset = tf.data.Dataset.from_tensor_slices([record(0, 1)]).map(tags).padded_batch(2, padded_shapes=[None, None])
    with pytest.raises(CannotEditError, match="sequence of lists that differ in length"):
        edited(dataset, ON_BATCH)


def test_frames_of_a_text_are_the_bytes_of_its_record() -> None:
    dataset = edited(records(frames).padded_batch(2), ON_BATCH)
    first = next(iter(dataset)).numpy()
    assert first.shape == (2, 3, 4)
    assert np.array_equal(first[1], [[1, 0, 1, 2], [0] * 4, [0] * 4])
