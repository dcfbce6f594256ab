"""Pipelines whose memory is planted, and the same without one owner of it.

``python memory_pipelines.py CASE [OWNER]`` runs the case in a plain loop, without that owner if one is named, and
prints the largest resident memory above that of TensorFlow with a trivial dataset: while it is being made, which is
until the first batch is out, and while it runs. That is the truth which the ledger is held against: nothing of pipeprof
takes part in it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

Dataset = tf.data.Dataset
STEPS, SECONDS = 400, 5.0
ENDLESS = 10**9


def plain(dataset: Dataset) -> Dataset:
    """Without the prefetch that TensorFlow would add, whose size changes from run to run."""
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    return dataset.with_options(options)


def made(dtype: tf.DType, *shape: int, elements: int = ENDLESS) -> Dataset:
    """New tensors of one shape."""
    return Dataset.range(elements).map(lambda number: tf.fill(shape, tf.cast(number, dtype)))


def array_eager(without: str = "") -> Dataset:
    """An array of 320 MB."""
    rows = 8 if without == "source" else 500
    return plain(Dataset.from_tensor_slices(np.ones((rows, 400, 400), np.float32)).repeat().batch(4))


def array_in_graph(without: str = "") -> Dataset:
    """An array of 24 MB that becomes a constant of a graph."""
    rows = 1 if without == "source" else 120
    values = np.random.default_rng(0).random((rows, 50_000), np.float32)

    @tf.function
    def sliced() -> Dataset:
        return Dataset.from_tensor_slices(values)

    return plain(sliced().repeat().batch(4))


def array_captured(without: str = "", most: int = 100) -> Dataset:
    """An array of 20 MB inside a map."""
    rows = 1 if without == "source" else most
    values = np.random.default_rng(0).random((rows, 50_000), np.float32)
    return plain(Dataset.range(ENDLESS).map(lambda number: tf.gather(values, number % rows)).batch(4))


def array_captured_large(without: str = "") -> Dataset:
    """An array of 120 MB inside a map: its graph is read without the array."""
    return array_captured(without, most=600)


def shuffle_images(without: str = "") -> Dataset:
    """700 images of 600 kB."""
    images = made(tf.uint8, 400, 500, 3)
    return plain((images if without == "shuffle" else images.shuffle(700)).batch(4))


def shuffle_slices(without: str = "") -> Dataset:
    """6,000 rows of 4 kB, views of tensors with 500 of them: the last row of a tensor keeps all of it."""
    rows = made(tf.float32, 500, 1024).flat_map(Dataset.from_tensor_slices)
    return plain((rows if without == "shuffle" else rows.shuffle(6_000)).batch(256))


def shuffle_scalars(without: str = "") -> Dataset:
    """1.5 million numbers: what they take is not their values."""
    numbers = Dataset.range(ENDLESS)
    return plain((numbers if without == "shuffle" else numbers.shuffle(1_500_000)).batch(256))


def cache_features(without: str = "") -> Dataset:
    """600 elements of 500 kB."""
    features = made(tf.float32, 125_000, elements=600)
    return plain((features if without == "cache" else features.cache()).repeat().batch(4))


def prefetch_deep(without: str = "") -> Dataset:
    """60 batches of 4.5 MB."""
    batches = made(tf.float16, 3, 750_000)
    return plain(batches if without == "prefetch" else batches.prefetch(60))


def prefetch_batches(without: str = "") -> Dataset:
    """40 batches of 64 shuffled images of 197 kB, which lie in the heaps of threads."""
    batches = made(tf.float32, 128, 128, 3).shuffle(1_500).batch(64)
    return plain(batches if without == "prefetch" else batches.prefetch(40))


def interleave_shuffles(without: str = "") -> Dataset:
    """A shuffle of 50 elements of 750 kB in each of eight open pipelines."""

    def opened(_number: tf.Tensor) -> Dataset:
        inner = made(tf.uint8, 750_000)
        return inner if without == "shuffle" else inner.shuffle(50)

    return plain(Dataset.range(ENDLESS).interleave(opened, cycle_length=8, block_length=1).batch(2))


def padded_batches(without: str = "") -> Dataset:
    """Batches of 64 rows of up to 1.6 MB: their elements and the padded copy."""
    rows = Dataset.range(ENDLESS).map(lambda number: tf.fill([400_000 - number % 2_000], tf.cast(number, tf.float32)))
    return plain(rows if without == "parallel" else rows.padded_batch(64))


def shuffle_ragged(without: str = "") -> Dataset:
    """250 ragged elements of 1.4 MB."""
    rows = Dataset.range(ENDLESS).map(lambda number: tf.ragged.range([30_000 + number % 5] * 6))
    return plain(rows if without == "shuffle" else rows.shuffle(250))


def shuffle_strings(without: str = "") -> Dataset:
    """1,500 elements of 256 texts of 700 letters."""
    texts = Dataset.range(ENDLESS).map(
        lambda number: tf.strings.join([tf.as_string(tf.fill([256], number)), "abcdefg" * 100])
    )
    return plain((texts if without == "shuffle" else texts.shuffle(1_500)).batch(2))


def several(without: str = "") -> Dataset:
    """An array of 120 MB, a shuffle of 250 results of 1 MB, and 40 batches of 4 MB prefetched."""
    rows = 4 if without == "source" else 120
    dataset = Dataset.from_tensor_slices(np.ones((rows, 250_000), np.float32)).repeat().map(lambda row: row + 1.0)
    dataset = (dataset if without == "shuffle" else dataset.shuffle(250)).batch(4)
    return plain(dataset if without == "prefetch" else dataset.prefetch(40))


def shuffle_of_views(without: str = "") -> Dataset:
    """A shuffle of all 600 rows of an array of 240 MB."""
    rows = Dataset.from_tensor_slices(np.ones((600, 100_000), np.float32))
    return plain((rows if without == "shuffle" else rows.shuffle(600)).repeat().batch(2))


def cache_of_views(without: str = "") -> Dataset:
    """A cache of all 500 rows of an array of 256 MB."""
    rows = Dataset.from_tensor_slices(np.ones((500, 64_000), np.int64))
    return plain((rows if without == "cache" else rows.cache()).repeat().batch(2))


def python_table(_without: str = "") -> Dataset:
    """A list of two million texts of Python's, from which a generator takes."""
    rows = [bytes([n % 7 + 97]) * (40 + n % 50) for n in range(2_000_000)]

    def generate() -> Iterator[bytes]:
        for n in range(ENDLESS):
            yield rows[n % len(rows)]

    return plain(Dataset.from_generator(generate, output_signature=tf.TensorSpec([], tf.string)).batch(64))


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def flat_arrays(batch: object) -> list[np.ndarray]:
    """The arrays of a batch, a ragged one's values among them."""
    return [one.numpy() for one in tf.nest.flatten(batch, expand_composites=True)]


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    """Run one case and print its rises in bytes, while it is made and while it runs."""
    case: Callable[[str], Dataset] = globals()[sys.argv[1]]
    without, pause = (sys.argv[2] if len(sys.argv) > 2 else ""), float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    for _ in Dataset.range(1):
        pass
    base = _status("VmRSS")
    _forget_peak()
    dataset = case(without)
    began, steps = time.perf_counter(), 0
    making = size = 0
    for batch in dataset:
        if not steps:
            making = _status("VmHWM")
            # The copy of an array that TensorFlow lets go of with the next conversion belongs to the making.
            tf.constant(np.zeros(1))
            _forget_peak()
            size = sum(one.nbytes for one in flat_arrays(batch))
        steps += 1
        if pause:
            time.sleep(pause)
        if steps >= STEPS or time.perf_counter() - began > SECONDS:
            break
    rises = {"making_bytes": making - base, "running_bytes": _status("VmHWM") - base}
    print(json.dumps(rises | {"batch_bytes": size, "steps": steps}))


if __name__ == "__main__":
    main()
