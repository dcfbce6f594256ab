"""CsvDataset with 430 columns: every row is 430 scalar tensors, packed again in a map.

tensorflow/tensorflow issue 30041, 2019-06-22.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from folders import once

COLUMNS, CLASSES = 430, 1928


def make(folder):
    rng = np.random.default_rng(8)
    table = rng.normal(size=(4000, COLUMNS)).astype(np.float32)
    table[:, -1] = rng.integers(0, CLASSES, 4000)
    np.savetxt(folder / "part.csv", table, fmt="%.5f", delimiter=" ")
    (folder / "frames.csv").write_text((folder / "part.csv").read_text() * 14)


PATH = str(once("csv_of_430_columns", make) / "frames.csv")


def pack(*columns):
    row = tf.stack(columns)
    return row[:-1], tf.one_hot(tf.cast(row[-1], tf.int32), CLASSES)


def pipeline():
    rows = tf.data.experimental.CsvDataset(PATH, [tf.float32] * COLUMNS, header=False, field_delim=" ")
    return rows.map(pack).batch(128).prefetch(1)


def pack_batch(lines):
    columns = tf.io.decode_csv(lines, [[0.0]] * COLUMNS, field_delim=" ")
    table = tf.stack(columns, axis=1)
    return table[:, :-1], tf.one_hot(tf.cast(table[:, -1], tf.int32), CLASSES)


def fixed():
    """Lines by the batch, decoded in one call for each."""
    lines = tf.data.TextLineDataset(PATH).batch(128)
    return lines.map(pack_batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(1)
