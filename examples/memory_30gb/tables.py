"""One table, held in several ways; each function is a target, such as tables.py:in_a_function."""

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

BLOCKS, ROWS, COLUMNS = 25, 500, 500


def table():
    """50 MB of float64, as 25 blocks of 500 rows."""
    return np.random.default_rng(1).random((BLOCKS, ROWS, COLUMNS))


def eager():
    """The plain case, for comparison."""
    return tf.data.Dataset.from_tensor_slices(table()).repeat()


def in_a_function():
    """Create the dataset while a tf.function is traced: the array becomes a constant of its graph."""
    array = table()

    @tf.function
    def make():
        return tf.data.Dataset.from_tensor_slices(array)

    return make().repeat()


def captured():
    """Use the array inside a map: it becomes a constant of the map function's graph."""
    array = table()
    return tf.data.Dataset.range(BLOCKS).map(lambda block: tf.gather(array, block)).repeat()


def captured_tensor():
    """Convert the array once before the graph is made: the graph refers to the tensor."""
    tensor = tf.constant(table())
    return tf.data.Dataset.range(BLOCKS).map(lambda block: tf.gather(tensor, block)).repeat()


def from_file():
    """500 MB on disk, read a block at a time by a map."""
    blocks, values = 250, ROWS * COLUMNS
    path = Path(tempfile.gettempdir()) / "pipeprof-example-table.bin"
    if not path.exists():
        rng = np.random.default_rng(1)
        with path.open("wb") as file:
            for _ in range(blocks):
                rng.random(values).tofile(file)

    def read(block):
        return np.fromfile(path, np.float64, values, offset=int(block) * values * 8).reshape(ROWS, COLUMNS)

    def load(block):
        return tf.ensure_shape(tf.numpy_function(read, [block], tf.float64), [ROWS, COLUMNS])

    return tf.data.Dataset.range(blocks).repeat().map(load, num_parallel_calls=tf.data.AUTOTUNE)


def from_lists():
    """20 MB of float64 as a list of lists of Python numbers."""
    return tf.data.Dataset.from_tensor_slices(rows().tolist()).repeat().batch(ROWS)


def from_rows():
    """The same 20 MB as an array."""
    return tf.data.Dataset.from_tensor_slices(rows()).repeat().batch(ROWS)


def rows():
    return np.random.default_rng(1).random((5_000, COLUMNS))
