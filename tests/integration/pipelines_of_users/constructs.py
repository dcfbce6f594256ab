"""One pipeline for every way in which datasets are put together. All end, so that their elements can be counted."""

from __future__ import annotations

import tempfile

import numpy as np
import tensorflow as tf

AUTOTUNE = tf.data.AUTOTUNE


def _range(count: int = 24) -> tf.data.Dataset:
    return tf.data.Dataset.range(count)


def zipped() -> tf.data.Dataset:
    left = _range()
    right = left.map(lambda _: tf.random.uniform([4]))
    return tf.data.Dataset.zip({"left": left, "right": right}).batch(4)


def twice() -> tf.data.Dataset:
    once = _range().map(lambda x: x + 1)
    return tf.data.Dataset.zip((once, once.shuffle(10))).batch(4)


def two_maps() -> tf.data.Dataset:
    dataset = _range()
    for _ in range(2):
        dataset = dataset.map(lambda x: x * 2)
    return dataset.shuffle(3)


def sampled() -> tf.data.Dataset:
    sides = [_range().repeat(), tf.data.Dataset.from_tensor_slices(np.arange(5)).repeat()]
    return tf.data.Dataset.sample_from_datasets(sides, weights=[0.3, 0.7]).batch(4)


def chosen() -> tf.data.Dataset:
    sides = [_range().repeat(), _range(5).repeat()]
    return tf.data.Dataset.choose_from_datasets(sides, _range(2).repeat(9)).batch(4)


def sampled_of_several_shapes() -> tf.data.Dataset:
    sides = [_range().map(lambda _, size=size: (tf.zeros([size, 3]), size)) for size in (2, 4)]
    return tf.data.Dataset.sample_from_datasets(sides).shuffle(3).prefetch(1)


def bucketed() -> tf.data.Dataset:
    return _range().map(tf.range).bucket_by_sequence_length(tf.size, [4, 9], [4, 3, 2])


def applied() -> tf.data.Dataset:
    by_length = tf.data.experimental.bucket_by_sequence_length(tf.size, [4, 9], [4, 3, 2])
    dataset = _range().map(tf.range).apply(by_length).unbatch()
    return dataset.apply(tf.data.experimental.dense_to_ragged_batch(2)).map(lambda rows: rows.to_tensor())


def numbered_without_end() -> tf.data.Dataset:
    return _range(3).repeat().enumerate().batch(2)


def grouped() -> tf.data.Dataset:
    return _range().group_by_window(
        lambda x: x % 3,
        lambda key, window: window.map(lambda x: x + key).batch(5),
        window_size=5,
    )


def interleaved() -> tf.data.Dataset:
    return (
        _range(6)
        .interleave(
            lambda x: _range(4).map(lambda y: y + x).shuffle(2),
            cycle_length=2,
            num_parallel_calls=AUTOTUNE,
        )
        .batch(4)
    )


def captured() -> tf.data.Dataset:
    other = _range(3).map(lambda x: x + 5)
    return _range(4).flat_map(lambda x: tf.data.Dataset.zip((_range(3).map(lambda y: y + x), other))).batch(4)




def cached() -> tf.data.Dataset:
    return _range().map(lambda x: x + 1).cache().shuffle(10).repeat(2).batch(4)


def snapshotted() -> tf.data.Dataset:
    return _range().map(lambda x: x + 1).snapshot(tempfile.mkdtemp()).repeat(2).batch(4)


def rebatched() -> tf.data.Dataset:
    return _range().batch(8).rebatch(3)


def with_options() -> tf.data.Dataset:
    options = tf.data.Options()
    options.threading.private_threadpool_size = 3
    options.threading.max_intra_op_parallelism = 1
    options.deterministic = False
    return _range().map(lambda x: x + 1).with_options(options).shuffle(3).batch(4)


def without_autotune() -> tf.data.Dataset:
    options = tf.data.Options()
    options.autotune.enabled = False
    return _range().map(lambda x: x + 1).shuffle(3).with_options(options)


def windows() -> tf.data.Dataset:
    return _range().window(4, 2, 1, drop_remainder=True).flat_map(lambda window: window.batch(4)).batch(2)


def counted() -> tf.data.Dataset:
    return tf.data.Dataset.zip((tf.data.Dataset.random(), _range(9))).batch(2, drop_remainder=True)


def in_a_row() -> tf.data.Dataset:
    dataset = _range().enumerate().filter(lambda _, x: x % 2 == 0).map(lambda _, x: tf.fill([3], x)).unbatch()
    return dataset.unique().shard(2, 1).skip(1).take(3).concatenate(_range(5)).batch(4)


def listed() -> tf.data.Dataset:
    """Elements of a Python list."""
    return tf.data.experimental.from_list([(number, str(number)) for number in range(24)]).shuffle(4).batch(5)


def promised() -> tf.data.Dataset:
    dataset = _range().filter(lambda x: x % 2 == 0)
    return dataset.apply(tf.data.experimental.assert_cardinality(12)).batch(5)


def _two() -> tuple[tf.data.Dataset, tf.data.Dataset]:
    return _range(5).map(lambda x: x + 1), _range(7).skip(2)


def two_traced() -> tf.data.Dataset:
    # A function that is traced in each call: in one process another test may have traced it before.
    return tf.data.Dataset.zip(tf.function(_two)()).batch(3)


def in_memory(rows: int = 2000) -> tf.data.Dataset:
    """With 2,000 rows what it captures is small enough to be kept, and its rows are not."""
    table = tf.range(10, dtype=tf.float32)
    image = np.ones((rows, 8), np.float32)
    label = np.arange(rows, dtype=np.int64)
    dataset = tf.data.Dataset.from_tensor_slices({"image": image, "label": label})
    dataset = dataset.shuffle(16, name="mixed").map(
        lambda one: (one["image"], tf.gather(table, one["label"] % 10)),
        name="looked_up",
    )
    return tf.data.Dataset.zip((dataset, dataset.skip(3))).batch(4)


def in_memory_once() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensors(np.ones((2000, 8), np.float32)).unbatch().map(lambda row: row + 1).batch(4)
