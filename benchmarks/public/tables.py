"""Pipelines of rows, clicks and arrays, some through Python; inputs are those of data.py, below the current folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

AUTOTUNE = tf.data.AUTOTUNE


def csv_lines() -> tf.data.Dataset:
    """Lines of a CSV file parsed one by one: an example of a wide and deep model."""

    def parse_csv(line: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        fields = tf.io.decode_csv(line, [[0.0]] * 21)
        return (tf.stack(fields[:-1]) - 0.5) / 0.3, fields[-1]

    lines = tf.data.TextLineDataset("data/tables/train.csv").skip(1).shuffle(1000).repeat()
    return lines.map(parse_csv).batch(256, drop_remainder=True).prefetch(1)


def csv_lines_batched() -> tf.data.Dataset:
    """The same with whole batches of lines parsed at once."""

    def parse_csv(lines: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        fields = tf.io.decode_csv(lines, [[0.0]] * 21)
        return (tf.stack(fields[:-1], axis=1) - 0.5) / 0.3, fields[-1]

    lines = tf.data.TextLineDataset("data/tables/train.csv").skip(1).shuffle(1000).repeat()
    return lines.batch(256, drop_remainder=True).map(parse_csv).prefetch(1)


FEATURES = {
    **{f"i{number}": tf.io.FixedLenFeature([], tf.int64) for number in range(13)},
    **{f"c{number}": tf.io.FixedLenFeature([], tf.string) for number in range(26)},
    "label": tf.io.FixedLenFeature([], tf.int64),
}


def hash_words(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Rows with numbers in place of words."""
    hashed = {name: tf.strings.to_hash_bucket_fast(row[name], 10_000) for name in row if name.startswith("c")}
    return {**row, **hashed}


def clicks() -> tf.data.Dataset:
    """Clicks parsed one record at a time, their words hashed: advertising."""

    def parse(record: tf.Tensor) -> dict[str, tf.Tensor]:
        return tf.io.parse_single_example(record, FEATURES)

    records = tf.data.TFRecordDataset("data/tables/clicks.tfrecord").repeat().shuffle(1000)
    rows = records.map(parse, num_parallel_calls=AUTOTUNE).batch(256, drop_remainder=True)
    return rows.map(hash_words, num_parallel_calls=AUTOTUNE).prefetch(AUTOTUNE)


def clicks_batched() -> tf.data.Dataset:
    """The same with whole batches of records parsed at once."""

    def parse(records: tf.Tensor) -> dict[str, tf.Tensor]:
        return tf.io.parse_example(records, FEATURES)

    records = tf.data.TFRecordDataset("data/tables/clicks.tfrecord").repeat().shuffle(1000)
    rows = records.batch(256, drop_remainder=True).map(parse, num_parallel_calls=AUTOTUNE)
    return rows.map(hash_words, num_parallel_calls=AUTOTUNE).prefetch(AUTOTUNE)


def volumes() -> Iterator[tuple[np.ndarray, np.int64]]:
    """Arrays of files, normalised and augmented in NumPy, without end."""
    paths, rng = sorted(Path("data/arrays").glob("*.npy")), np.random.default_rng(5)
    while True:
        for path in rng.permutation(np.array(paths)):
            volume = np.load(path)
            volume = (volume - volume.mean(axis=(0, 1))) / volume.std(axis=(0, 1))
            if rng.random() < 0.5:
                volume = volume[::-1]
            yield np.ascontiguousarray(np.clip(volume, -2, 2)), np.int64(rng.integers(0, 3))


def medical_generator() -> tf.data.Dataset:
    """A generator that loads and prepares each array in NumPy: segmentation of volumes."""
    signature = (tf.TensorSpec([96, 96, 4], tf.float32), tf.TensorSpec([], tf.int64))
    dataset = tf.data.Dataset.from_generator(volumes, output_signature=signature)
    return dataset.batch(16, drop_remainder=True).prefetch(AUTOTUNE)


def medical_parallel() -> tf.data.Dataset:
    """The same read and prepared by TensorFlow in parallel calls."""
    paths = sorted(map(str, Path("data/arrays").glob("*.npy")))

    def load(path: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        content = tf.strings.substr(tf.io.read_file(path), 128, -1)
        volume = tf.reshape(tf.io.decode_raw(content, tf.float32), [96, 96, 4])
        mean, variance = tf.nn.moments(volume, axes=[0, 1])
        volume = tf.clip_by_value((volume - mean) * tf.math.rsqrt(variance), -2.0, 2.0)
        volume = tf.cond(tf.random.uniform([]) < 0.5, lambda: tf.reverse(volume, [0]), lambda: volume)
        return volume, tf.random.uniform([], 0, 3, tf.int64)

    dataset = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths)).repeat()
    return dataset.map(load, num_parallel_calls=AUTOTUNE).batch(16, drop_remainder=True).prefetch(AUTOTUNE)


def through_python(load: Callable[[bytes], np.ndarray]) -> tf.data.Dataset:
    """Batches of arrays, loaded through Python."""

    def load_volume(path: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(load, [path], tf.float32), [96, 96, 4])

    files = tf.data.Dataset.list_files("data/arrays/*.npy", seed=2).repeat()
    return files.map(load_volume, num_parallel_calls=AUTOTUNE).batch(8, drop_remainder=True).prefetch(AUTOTUNE)


def numpy_loader() -> tf.data.Dataset:
    """Arrays loaded by NumPy inside a map, with a loop in Python: common in research code."""

    def load(path: bytes) -> np.ndarray:
        volume = np.load(path.decode())
        total = 0.0
        for value in volume[:60, :60, 0].ravel().tolist():
            total += value * value
        return np.asarray(volume / (total**0.5 + 1.0), np.float32)

    return through_python(load)


def numpy_loader_arrays() -> tf.data.Dataset:
    """The same with the loop as one operation on the array."""

    def load(path: bytes) -> np.ndarray:
        volume = np.load(path.decode())
        total = float((volume[:60, :60, 0] ** 2).sum())
        return np.asarray(volume / (total**0.5 + 1.0), np.float32)

    return through_python(load)


def fetch(path: bytes) -> np.ndarray:
    """An array that takes 10 ms to arrive."""
    time.sleep(0.010)
    return np.load(path.decode())[:32]


def fetch_volume(path: tf.Tensor) -> tf.Tensor:
    """The same through Python."""
    return tf.ensure_shape(tf.numpy_function(fetch, [path], tf.float32), [32, 96, 4])


def remote_store() -> tf.data.Dataset:
    """Arrays that take 10 ms each to arrive, fetched through Python: a bucket or a database."""
    files = tf.data.Dataset.list_files("data/arrays/*.npy", seed=2).repeat()
    return files.map(fetch_volume, num_parallel_calls=AUTOTUNE).batch(16, drop_remainder=True).prefetch(AUTOTUNE)


def remote_store_threads() -> tf.data.Dataset:
    """The same with 16 calls at once, and threads for them."""
    files = tf.data.Dataset.list_files("data/arrays/*.npy", seed=2).repeat()
    dataset = files.map(fetch_volume, num_parallel_calls=16).batch(16, drop_remainder=True).prefetch(AUTOTUNE)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 16
    return dataset.with_options(options)


def looked_up(table: np.ndarray | tf.Tensor) -> tf.data.Dataset:
    """Batches of a table's rows."""

    def look_up(rows: tf.Tensor) -> tf.Tensor:
        return tf.nn.l2_normalize(tf.gather(table, rows % 40_000), axis=-1)

    indices = tf.data.Dataset.range(1_000_000).repeat().batch(512, drop_remainder=True)
    return indices.map(look_up, num_parallel_calls=AUTOTUNE).prefetch(AUTOTUNE)


def embeddings() -> tf.data.Dataset:
    """Rows of a NumPy table used inside a map's function: it becomes a constant of the graph."""
    return looked_up(np.random.default_rng(6).random((40_000, 128), dtype=np.float32))


def embeddings_tensor() -> tf.data.Dataset:
    """The same with the table as a tensor."""
    return looked_up(tf.constant(np.random.default_rng(6).random((40_000, 128), dtype=np.float32)))
