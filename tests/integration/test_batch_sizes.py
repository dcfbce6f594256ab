"""Sizes of real batches."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import pytest
import tensorflow as tf

from pipeprof.profiles.worker.steps.headspace import BatchSizes

ROWS = [[1, 2, 3], [4, 5, 0]]


@pytest.mark.parametrize(
    ("batch", "nbytes"),
    [
        (tf.constant(ROWS), 24),
        ({"b": tf.constant(ROWS), "a": tf.constant(1)}, 28),
        (({"b": tf.constant(ROWS), "a": (tf.constant(1), tf.zeros([7]))}, None), 56),
        (tf.RaggedTensor.from_tensor(ROWS), 48),
        (tf.sparse.from_dense(ROWS), 116),
        (tf.constant(["a", "b"]), None),
    ],
)
def test_a_batch_has_a_length_and_bytes_where_they_are_known(batch: Any, nbytes: int | None) -> None:
    sizes = BatchSizes()
    sizes.see(batch)
    assert (sizes.mean().length, sizes.mean().bytes) == (7 if nbytes == 56 else 2, nbytes)


def test_sizes_are_the_mean_of_what_was_seen_and_a_length_that_varies_is_none() -> None:
    sizes = BatchSizes()
    assert sizes.mean().length is None
    for rows in (8, 8, 8, 2):
        sizes.see(tf.zeros([rows, 2]))
    assert (sizes.mean().length, sizes.mean().bytes, sizes.mean().element) == (6.5, 52, "float32[8, 2]")
    sizes.see(tf.zeros([4, 2]))
    assert sizes.mean().length is None


class Pair(NamedTuple):
    image: tf.Tensor
    label: tf.Tensor


@pytest.mark.parametrize(
    ("batch", "text"),
    [
        (OrderedDict(b=tf.zeros([2]), a={"c": tf.constant(["x"])}), "{b: float32[2], a: {c: string[1]}}"),
        ((tf.zeros([2]), None), "(float32[2], None)"),
        ((tf.zeros([2]),), "(float32[2],)"),
        (Pair(tf.zeros([2, 3]), tf.ragged.constant([[1], []])), "(image: float32[2, 3], label: int32[2, None])"),
    ],
)
def test_an_element_is_written_without_the_names_of_classes(batch: object, text: str) -> None:
    sizes = BatchSizes()
    sizes.see(batch)
    assert sizes.mean().element == text
