"""Datasets of every kind of element, and from the makers that users call."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf


def _rows() -> tf.data.Dataset:
    return tf.data.Dataset.range(12)


def dicts() -> tf.data.Dataset:
    return _rows().map(lambda x: {"b": x, "a": {"c": tf.cast(x, tf.float32)}}).batch(3)


def ragged() -> tf.data.Dataset:
    return _rows().map(tf.range).ragged_batch(3)


def sparse() -> tf.data.Dataset:
    return _rows().map(lambda x: tf.sparse.SparseTensor([[x]], [1.0], [20])).batch(3)


def unknown_shapes() -> tf.data.Dataset:
    def any_shape(x):
        return tf.ensure_shape(tf.numpy_function(lambda n: np.zeros([int(n) + 1, 2]), [x], tf.float64), None)

    return _rows().map(any_shape)


def nothing_inside() -> tf.data.Dataset:
    return _rows().map(lambda x: (x, None)).batch(3)


def _folder() -> Path:
    return Path(tempfile.mkdtemp())


def images() -> tf.data.Dataset:
    folder = _folder()
    for name in ("roses", "tulips"):
        (folder / name).mkdir()
        for n in range(3):
            tf.io.write_file(str(folder / name / f"{n}.png"), tf.io.encode_png(tf.zeros([6, 6, 3], tf.uint8)))
    return tf.keras.utils.image_dataset_from_directory(folder, image_size=(4, 4), batch_size=2)


def csv() -> tf.data.Dataset:
    path = _folder() / "rows.csv"
    path.write_text("a,b\n" + "1,2.5\n" * 9)
    return tf.data.experimental.make_csv_dataset(str(path), batch_size=3, num_epochs=1, label_name="b")
