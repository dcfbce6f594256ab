"""Sizes of real batches."""

from __future__ import annotations

from typing import Any

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
    assert (sizes.mean().length, sizes.mean().bytes) == (6.5, 52)
    sizes.see(tf.zeros([4, 2]))
    assert sizes.mean().length is None
