"""Compare loops that keep their iterator, create a new one, or create a new dataset at each step.

Run it: python examples/reloading/loops.py
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

ROWS, COLUMNS, BATCH = 50_000, 256, 32
STEPS = 60


def batches(features, labels):
    return tf.data.Dataset.from_tensor_slices((features, labels)).batch(BATCH)


def milliseconds_per_step(step):
    began = time.perf_counter()
    for _ in range(STEPS):
        step()
    return (time.perf_counter() - began) / STEPS * 1e3


def compare_loops():
    """Time one step from an existing iterator, a new iterator and a new dataset."""
    features = np.random.default_rng(1).random((ROWS, COLUMNS), dtype=np.float32)
    labels = np.arange(ROWS)
    dataset = batches(features, labels)
    iterator = iter(dataset.repeat())
    next(iterator)
    ways = {
        "next() of an existing iterator": lambda: next(iterator),
        "a new iterator at each step": lambda: next(iter(dataset)),
        "a new dataset at each step": lambda: next(iter(batches(features, labels))),
    }
    print("milliseconds per step")
    for words, step in ways.items():
        print(f"  {words:30}  {milliseconds_per_step(step):8.2f}")


def shards_in_order():
    """Print the files that the first eight records come from."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{shard}.tfrecord") for shard in range(4)]
        for shard, path in enumerate(paths):
            with tf.io.TFRecordWriter(path) as writer:
                for _ in range(100):
                    writer.write(str(shard).encode())
        print("shards of the first eight records")
        for words, parallel in (("a list of four files ", None), ("num_parallel_reads=4", 4)):
            records = tf.data.TFRecordDataset(paths, num_parallel_reads=parallel).take(8)
            print(f"  {words}   {' '.join(record.decode() for record in records.as_numpy_iterator())}")


if __name__ == "__main__":
    compare_loops()
    shards_in_order()
