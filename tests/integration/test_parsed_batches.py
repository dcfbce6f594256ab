"""Records with lists of values, parsed a batch at a time by the graph: the same elements, no loop."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import tensorflow as tf
from integration.edited_datasets import assert_same, edited, elements

from pipeprof.pipelines.edits.edits import VectoriseMap
from pipeprof.pipelines.graph.edit.errors import CannotEditError

pytestmark = pytest.mark.usefixtures("without_autograph")

ON_BATCH = VectoriseMap("stages.0", "stages.1")
LISTS: list[list[int]] = [[3, 1, 4], [], [1], [5, 9, 2, 6, 5], [3], [5, 8], [9, 7, 9], [], []]
FEATURES = {
    "label": tf.io.FixedLenFeature([], tf.int64),
    "pair": tf.io.FixedLenFeature([2], tf.float32),
    "tags": tf.io.VarLenFeature(tf.int64),
    "left": tf.io.VarLenFeature(tf.float32),
    "right": tf.io.VarLenFeature(tf.float32),
    "points": tf.io.FixedLenSequenceFeature([2], tf.float32, allow_missing=True),
    "steps": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
    "words": tf.io.RaggedFeature(tf.string),
    "raw": tf.io.FixedLenFeature([], tf.string),
}


def floats(values: Sequence[float]) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def texts(values: Sequence[bytes]) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def ints(values: Sequence[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def record(values: list[int], right: list[int] | None = None) -> bytes:
    """A record of which every feature has a list of values; without them, some features are missing."""
    features = {
        "label": ints([sum(values)]),
        "pair": floats([len(values), 1.0]),
        "tags": ints(values),
        "left": floats([-one - 0.5 for one in values]),
        "right": floats([one + 0.25 for one in (values if right is None else right)]),
        "raw": texts([struct.pack(f"<{2 * len(values)}h", *values, *values)]),
    }
    if values:
        features["points"] = floats([one / 2 for one in values for _ in range(2)])
        features["steps"] = ints(values)
        features["words"] = texts([b"x" * one for one in values])
    return bytes(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def records(function: Callable[[dict[str, Any]], Any], *given: bytes) -> tf.data.Dataset:
    made = list(given) or [record(values) for values in LISTS]
    return tf.data.Dataset.from_tensor_slices(made).map(
        lambda one: function(tf.io.parse_single_example(one, FEATURES)), num_parallel_calls=2
    )


def tags(one: dict[str, Any]) -> Any:
    return tf.sparse.to_dense(one["tags"], -1)


def decoded(one: dict[str, Any]) -> Any:
    return tf.io.decode_raw(one["raw"], tf.int16)


PADDED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "tags": tags,
    "all of one kind": lambda one: {"tags": tags(one), "label": one["label"], "pair": one["pair"] * 2.0},
    "values": lambda one: (one["tags"].values, one["label"]),
    "boxes": lambda one: tf.stack([tf.sparse.to_dense(one["left"]), tf.sparse.to_dense(one["right"])], axis=1),
    "joined": lambda one: tf.concat(
        [tf.sparse.to_dense(one["left"])[:, tf.newaxis], tf.sparse.to_dense(one["right"])[:, tf.newaxis]], axis=-1
    ),
    "with a channel": lambda one: (tags(one)[..., tf.newaxis], one["points"][..., 0], one["points"][:, tf.newaxis, 1:]),
    "many of a few": lambda one: tf.reduce_max(tf.one_hot(tags(one), 10), 0),
    "the widest": lambda one: tf.reduce_max(tf.sparse.to_dense(one["left"])),
    "the narrowest": lambda one: tf.reduce_min(tf.sparse.to_dense(one["right"]), keepdims=True),
    "points": lambda one: one["points"],
    "their norms": lambda one: tf.reduce_sum(tf.square(one["points"]), axis=-1),
    "their mean": lambda one: (tf.reduce_sum(one["points"], axis=0), tf.reduce_sum(one["points"])),
    "steps": lambda one: (one["steps"], tf.shape(one["steps"])[0], tf.ones_like(one["steps"])),
    "words": lambda one: one["words"],
    "a list, cast": lambda one: tf.sparse.to_dense(tf.cast(one["tags"], tf.int32)) + 1,
    "lengths": lambda one: tf.cast(tf.shape(tags(one))[0], tf.float32) / (one["pair"][0] + 1.0),
    "decoded": decoded,
    "decoded pairs": lambda one: tf.reshape(decoded(one), [-1, 2]),
    "decoded and scaled": lambda one: tf.cast(decoded(one), tf.float32) / 255.0,
    "numbers up to one": lambda one: tf.range(one["label"]),
}


# Whether the last batch is dropped is up to the batch alone: it is tried with some functions.
@pytest.mark.parametrize(
    ("name", "drop_remainder"),
    [*((name, False) for name in PADDED), *((name, True) for name in ("tags", "words", "decoded"))],
)
def test_a_padded_batch_is_the_same(name: str, *, drop_remainder: bool) -> None:
    dataset = records(PADDED[name]).padded_batch(3 if drop_remainder else 4, drop_remainder=drop_remainder)
    assert_same(edited(dataset, ON_BATCH), dataset)


def test_what_is_padded_with_a_value_is_padded_with_it() -> None:
    shapes, values = ([8], [6, 2], []), (tf.constant(-1, tf.int64), -2.0, tf.constant(0, tf.int64))
    dataset = records(lambda one: (tags(one), one["points"], one["label"]))
    dataset = dataset.padded_batch(4, padded_shapes=shapes, padding_values=values)
    assert_same(edited(dataset, ON_BATCH), dataset)


def test_rows_of_one_length_are_a_batch() -> None:
    cases: dict[str, Callable[[dict[str, Any]], Any]] = {
        "list": lambda one: one["steps"],
        "sparse": lambda one: tf.reshape(tags(one), [3]),
        "picture": lambda one: tf.reshape(decoded(one), [2, 3, 1]),
        "counted": lambda one: tf.reduce_sum(tf.one_hot(tags(one), 10), 0),
    }
    for name, function in cases.items():
        dataset = records(function, record([1, 2, 3]), record([4, 5, 6]), record([7, 8, 9])).batch(2)
        found = edited(dataset, ON_BATCH)
        assert elements(found) == elements(dataset), name
        assert found.element_spec == dataset.element_spec, name


def test_what_fails_for_an_element_fails_for_its_batch() -> None:
    odd = tf.train.Example.FromString(record([1]))
    odd.features.feature["raw"].bytes_list.value[0] = b"abcde"
    cases = {
        "lengths": records(PADDED["boxes"], record([1, 2], [1])).padded_batch(2),
        "differ": records(tags, record([1]), record([1, 2])).batch(2),
        "too few": records(lambda one: tf.reshape(tags(one), [2]), record([1]), record([1, 2, 3])).padded_batch(2),
        "odd pairs": records(lambda one: tf.reshape(tags(one), [-1, 2]), record([1, 2, 3])).padded_batch(2),
        "half a number": records(decoded, odd.SerializeToString(), odd.SerializeToString()).padded_batch(2),
        "another type": records(tags, record([1]), tf.train.Example(
            features=tf.train.Features(feature={"label": ints([1]), "tags": floats([1.0])})
        ).SerializeToString()).padded_batch(2),
        "missing": records(tags, record([1]), tf.train.Example().SerializeToString()).padded_batch(2),
    }  # fmt: skip
    for dataset in cases.values():
        for one in (dataset, edited(dataset, ON_BATCH)):
            with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.DataLossError)):
                list(one)


def test_what_has_no_form_for_many_elements_is_named() -> None:
    def shifted(one: dict[str, Any]) -> Any:
        places = one["tags"]
        return tf.sparse.to_dense(tf.SparseTensor(places.indices + 1, places.values, places.dense_shape + 1))

    cases: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
        (shifted, "makes a sparse tensor dense that is not a feature as it was parsed"),
        (lambda one: tags(one) + one["steps"], "combines rows whose lengths may differ"),
        (lambda one: tf.unique(tags(one))[0], "its op Unique to rows of different lengths"),
    ]
    for function, text in cases:
        with pytest.raises(CannotEditError, match=f"stages.0: .*{text}"):
            edited(records(function).padded_batch(2), ON_BATCH)
