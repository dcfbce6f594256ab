"""The functions of this benchmark's specs, and the pipeline that makes its own files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Iterator

CHEAP, DEAR = 16, 400
BUSY_SECONDS = 0.080
SCRAMBLED = np.random.default_rng(1).random(20_000, dtype=np.float32)


def compute(_batch: Any) -> None:
    """A step that keeps all cores busy for 80 ms."""
    until = time.perf_counter() + BUSY_SECONDS
    product = tf.fill([512, 512], 0.01)
    while time.perf_counter() < until:
        product = tf.tanh(product @ product)
        product.numpy()


def burn(number: tf.Tensor, times: tf.Tensor | int) -> tf.Tensor:
    """So many products of small matrices, some 20 µs each; they depend on the element, else they would be folded."""
    square = tf.fill([64, 64], 0.01 + 1e-9 * tf.cast(number, tf.float32))
    _, square = tf.while_loop(lambda i, _: i < times, lambda i, m: (i + 1, tf.tanh(m @ m)), [0, square])
    return square[0, 0]


def uneven(number: tf.Tensor) -> tf.Tensor:
    """One element in twenty costs 25 times as much."""
    return burn(number, tf.where(number % 20 == 0, DEAR, CHEAP))


def work(number: tf.Tensor) -> tf.Tensor:
    """A millisecond of computing."""
    return burn(number, 40)


def noisy_work(number: tf.Tensor) -> tf.Tensor:
    """A millisecond of computing with something random. A sort stays on one thread; a product of matrices may not."""
    ordered = tf.sort(tf.constant(SCRAMBLED) + tf.cast(number, tf.float32))
    return ordered[0] + tf.random.uniform([])


def noise(number: tf.Tensor) -> tf.Tensor:
    """The number, give or take."""
    return tf.cast(number, tf.float32) * 2.0 + tf.random.uniform([])


def logarithms(numbers: tf.Tensor) -> tf.Tensor:
    """Logarithms by NumPy, on one core and without Python's lock."""

    def compute_all(values: Any) -> Any:
        return np.log1p(np.outer(values % 7, np.arange(850.0))).sum(axis=1)

    return tf.ensure_shape(tf.numpy_function(compute_all, [numbers], np.float64), [512])


def some(row: tf.Tensor) -> tf.Tensor:
    """About nine rows in ten."""
    return row[0] < 0.9


def held(number: tf.Tensor, milliseconds: Any) -> tf.Tensor:
    """The number after a while in which no core has anything to do."""

    def wait(value: Any) -> Any:
        time.sleep(milliseconds(value) / 1e3)
        return value

    return tf.ensure_shape(tf.numpy_function(wait, [number], np.int64), [])


def burst(number: tf.Tensor) -> tf.Tensor:
    """44 ms for one in eight, 3 for the others."""
    return held(number, lambda value: 44 if value % 8 == 0 else 3)


def fetched(number: tf.Tensor) -> tf.Tensor:
    """5 ms of waiting, as for a file far away."""
    return held(number, lambda _: 5)


def looked_up(number: tf.Tensor) -> tf.Tensor:
    """4 ms of waiting."""
    return held(number, lambda _: 4)


def opened(number: tf.Tensor) -> tf.data.Dataset:
    """Fifty numbers, after 20 ms of opening what holds them."""
    return tf.data.Dataset.range(50 + 0 * held(number, lambda _: 20))


def added_up(number: tf.Tensor) -> tf.Tensor:
    """A sum in a Python loop, half a millisecond or more."""

    def add(value: Any) -> Any:
        total = 0
        for each in range(20_000):
            total += each
        return np.int64(value + total)

    return tf.ensure_shape(tf.numpy_function(add, [number], np.int64), [])


def mel(number: tf.Tensor) -> tf.Tensor:
    """A mel spectrum; window and matrix are constants that the function makes at every call, as written."""
    signal = tf.sin(tf.range(1024, dtype=tf.float32) * (1.0 + 1e-6 * tf.cast(number, tf.float32)))
    spectrum = tf.abs(tf.signal.rfft(signal * tf.signal.hann_window(1024)))
    matrix = tf.signal.linear_to_mel_weight_matrix(40, 513, 16_000)
    return tf.linalg.matvec(matrix, spectrum, transpose_a=True)


def rows() -> Iterator[Any]:
    """The rows of an array, one by one."""
    table = np.random.default_rng(1).random((100_000, 256), np.float32)
    yield from table


def picture(number: tf.Tensor) -> tf.Tensor:
    """600 kB from a number."""
    return tf.random.stateless_uniform([224, 224, 3], tf.stack([number, 1]))


def bright(image: tf.Tensor) -> tf.Tensor:
    """By what the picture shows."""
    return tf.reduce_mean(image) > 0.4


def indices() -> tf.data.Dataset:
    """100,000 indices shuffled as a whole, then read and decoded; the files are made where the command runs."""
    folder = Path("photos")
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(3)
    count = 300
    for index in range(count):
        pixels = generator.integers(0, 256, (12, 16, 3), np.uint8).repeat(10, 0).repeat(10, 1)
        (folder / f"{index}.jpg").write_bytes(tf.io.encode_jpeg(pixels).numpy())
    names = tf.constant([str(folder.resolve() / f"{index}.jpg") for index in range(count)])

    def load(index: tf.Tensor) -> tf.Tensor:
        picture = tf.io.decode_jpeg(tf.io.read_file(names[index % count]), channels=3)
        return tf.image.resize(picture, [64, 64])

    numbers = tf.data.Dataset.range(100_000).shuffle(100_000, seed=7)
    return numbers.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(32).prefetch(2)
