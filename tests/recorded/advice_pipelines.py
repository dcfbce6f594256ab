"""Pipelines with something to advise on, and near twins with nothing: see ``record_graphs.py``.

They are written as users write them, without names. Sleeps of known length stand for work that waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

DATASET = tf.data.Dataset
AUTOTUNE = tf.data.AUTOTUNE
Build = Callable[[], tf.data.Dataset]

SIDE = 64
LARGE = (3072, 1024)
"""Shape of a large array: 12.6 MB of float32."""


def options(**values: Any) -> tf.data.Options:
    made = tf.data.Options()
    for name, value in values.items():
        *parts, last = name.split("__")
        at: Any = made
        for part in parts:
            at = getattr(at, part)
        setattr(at, last, value)
    return made


def waiting(milliseconds: float) -> Callable[[Any], Any]:
    """A map function that waits so long, in Python, and hands on what it was given."""

    def sleep(value: Any) -> Any:
        time.sleep(milliseconds / 1e3)
        return value

    def function(element: Any) -> Any:
        result = tf.numpy_function(sleep, [element], element.dtype)
        result.set_shape(element.shape)
        return result

    return function


def rows(count: int | None = None) -> Iterator[Any]:
    block = np.ones((256,) if count is None else (count, 256), np.float32)
    while True:
        yield block


class Files:
    """Small files to read from."""

    def __init__(self, folder: Path) -> None:
        self.images = [str(folder / f"{index}.jpg") for index in range(40)]
        picture = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
        encoded = tf.io.encode_jpeg(picture).numpy()
        for path in self.images:
            Path(path).write_bytes(encoded)
        self.records = str(folder / "examples.tfrecord")
        image, label = tf.train.BytesList(value=[encoded]), tf.train.Int64List(value=[3])
        feature = {"image": tf.train.Feature(bytes_list=image), "label": tf.train.Feature(int64_list=label)}
        example = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
        with tf.io.TFRecordWriter(self.records) as writer:
            for _ in range(400):
                writer.write(example)


FEATURES = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}


def parse(record: Any) -> Any:
    return tf.io.parse_single_example(record, FEATURES)


def load(path: Any) -> Any:
    return tf.image.resize(tf.io.decode_jpeg(tf.io.read_file(path), channels=3), [224, 224])


def memory() -> Iterator[tuple[str, Build]]:
    """Arrays, buffers, caches."""
    array = np.random.default_rng(0).random(LARGE, np.float32)
    tensor = tf.constant(array)

    @tf.function
    def traced_source() -> tf.data.Dataset:
        return DATASET.from_tensor_slices(array)

    @tf.function
    def traced_pipeline() -> tf.data.Dataset:
        return DATASET.from_tensor_slices(array).map(lambda row: row * 2.0).shuffle(64).batch(8)

    yield "eager_source", lambda: DATASET.from_tensor_slices(array).batch(8).repeat()
    yield "traced_source", lambda: traced_source().batch(8).repeat()
    yield "traced_pipeline", lambda: traced_pipeline().repeat()
    indices = DATASET.range(LARGE[0])
    yield "captured_array", lambda: indices.map(lambda index: tf.gather(array, index)).batch(8).repeat()
    yield "captured_tensor", lambda: indices.map(lambda index: tf.gather(tensor, index)).batch(8).repeat()
    few = DATASET.range(4)
    yield "array_in_function", lambda: few.flat_map(lambda _: DATASET.from_tensor_slices(array)).batch(8).repeat()


def images(files: Files) -> Iterator[tuple[str, Build]]:
    """What comes before and after decoding."""

    def paths() -> tf.data.Dataset:
        return DATASET.from_tensor_slices(files.images).repeat()

    def once() -> tf.data.Dataset:
        return DATASET.from_tensor_slices(files.images)

    def encoded() -> tf.data.Dataset:
        return tf.data.TFRecordDataset(files.records).cache().repeat().map(parse, AUTOTUNE)

    def decode(example: Any) -> Any:
        return tf.io.decode_jpeg(example["image"], channels=3), example["label"]

    flip = tf.image.random_flip_left_right
    yield "shuffle_after_decode", lambda: paths().map(load, AUTOTUNE).shuffle(32).batch(8)
    yield "shuffle_after_batch", lambda: paths().map(load, AUTOTUNE).batch(8).shuffle(4)
    yield "cache_after_random", lambda: once().map(load).map(flip).cache().repeat().batch(8)
    yield (
        "cache_before_random",
        lambda: once().map(load).cache().repeat().map(flip, AUTOTUNE).batch(8).prefetch(AUTOTUNE),
    )
    yield "cache_encoded", lambda: encoded().map(decode, AUTOTUNE).ragged_batch(8)
    records = tf.data.TFRecordDataset(files.records).repeat()
    yield "parse_before_batch", lambda: records.map(parse).batch(8)
    yield "parse_after_batch", lambda: records.batch(8).map(lambda some: tf.io.parse_example(some, FEATURES))


def waits() -> Iterator[tuple[str, Build]]:
    """Maps that wait, one after the other and side by side."""
    source = DATASET.range(10**9)
    wait, short, long = waiting(5), waiting(2), waiting(4)
    pool = options(threading__private_threadpool_size=16)
    yield "waiting_serial", lambda: source.map(wait).batch(4)
    yield "waiting_parallel", lambda: source.map(wait, num_parallel_calls=16).batch(4)
    yield "waiting_autotune", lambda: source.map(wait, num_parallel_calls=AUTOTUNE).batch(4)
    yield "waiting_pool", lambda: source.map(wait, num_parallel_calls=16).batch(4).with_options(pool)
    yield "serial_after_serial", lambda: source.map(short).map(short)
    yield "serial_prefetch_serial", lambda: source.map(short).prefetch(2).map(short)
    yield "zip_serial", lambda: DATASET.zip(source.map(long), source.map(long)).batch(2)
    yield "zip_prefetched", lambda: DATASET.zip(source.map(long).prefetch(2), source.map(long).prefetch(2)).batch(2)
    tail = source.map(short).padded_batch(4)
    no_prefetch = options(experimental_optimization__inject_prefetch=False)
    yield "tail_injected", lambda: tail
    yield "tail_inject_off", lambda: tail.with_options(no_prefetch)
    yield "tail_autotune_off", lambda: tail.with_options(options(autotune__enabled=False))
    yield "tail_written", lambda: tail.prefetch(AUTOTUNE)


def work() -> Iterator[tuple[str, Build]]:
    """Maps that compute, and where they stand."""
    source = DATASET.range(10**9)

    def noisy(element: Any) -> Any:
        noise = tf.random.uniform([160, 160])
        return tf.reduce_sum(noise @ noise) + tf.cast(element, tf.float32)

    def scale(value: Any) -> Any:
        return tf.cast(value, tf.float32) * 2.0 + 1.0

    yield "random_serial", lambda: source.map(noisy).batch(4)
    yield "generator_rows", lambda: DATASET.from_generator(rows, output_signature=tf.TensorSpec([256])).batch(64)
    blocks = partial(rows, 64)
    yield "generator_chunks", lambda: DATASET.from_generator(blocks, output_signature=tf.TensorSpec([64, 256]))
    yield "cast_before_batch", lambda: source.map(scale).batch(256)
    yield "cast_after_batch", lambda: source.batch(256).map(scale)
    table = {"image": np.zeros((64, SIDE, SIDE, 3), np.uint8), "label": np.arange(64)}

    def elements() -> tf.data.Dataset:
        return DATASET.from_tensor_slices(table).repeat()

    def enlarge(element: dict[str, Any]) -> dict[str, Any]:
        return {**element, "image": tf.image.resize(element["image"], [224, 224])}

    def enlarge_beside(element: dict[str, Any]) -> dict[str, Any]:
        return {"a": tf.image.resize(element["image"], [224, 224]), **element}

    yield "filter_on_input", lambda: elements().map(enlarge).filter(lambda one: one["label"] % 4 == 0).batch(8)
    yield "filter_on_kept_input", lambda: elements().map(enlarge_beside).filter(lambda one: one["label"] % 4 == 0)
    yield "filter_first", lambda: elements().filter(lambda one: one["label"] % 4 == 0).map(enlarge).batch(8)
    small = np.zeros((20_000, 64), np.float32)
    yield "small_slices", lambda: DATASET.from_tensor_slices(small).shuffle(20_000).batch(256).repeat()
    yield "uniform_padding", lambda: source.map(lambda one: tf.fill([16], one)).padded_batch(8)


def pipelines(folder: Path) -> Iterator[tuple[str, Build]]:
    """All of them: name, and what builds it."""
    files = Files(folder)
    yield from memory()
    yield from images(files)
    yield from waits()
    yield from work()
