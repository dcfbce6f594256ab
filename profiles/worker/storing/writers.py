"""Elements in files: those that `tf.data.Dataset.save` writes, and rows of arrays. TensorFlow 2.21."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BYTES_AT_ONCE = 8 << 20


def write_elements(dataset: Any, folder: str) -> None:
    """Write the elements of an epoch, in their order, as `tf.data.Dataset.save` does."""
    import tensorflow as tf

    # By default there is a shard for every core, and another machine with more or fewer cores reads another order.
    dataset.save(folder, shard_func=lambda *_: tf.constant(0, tf.int64))


def load_elements(folder: str) -> Any:
    """Return the dataset that was written."""
    import tensorflow as tf

    return tf.data.Dataset.load(folder)


def row_file(folder: Path, index: int) -> Path:
    """The file of one component's rows."""
    return folder / f"rows-{index}.npy"


def write_rows(dataset: Any, folder: Path, count: int) -> None:
    """Write each component of the elements as the rows of an array in a ``.npy`` file.

    A file is written, not a memory map: on a full disk, that would end the process by a signal.

    Args:
        dataset: Its components are tensors of a fixed shape.
    """
    import numpy as np
    import tensorflow as tf

    folder.mkdir(parents=True)
    specs = tf.nest.flatten(dataset.element_spec)
    row = sum(spec.dtype.size * math.prod(spec.shape) for spec in specs)
    files = [row_file(folder, index).open("wb") for index in range(len(specs))]
    try:
        for file, spec in zip(files, specs, strict=True):
            shape = (count, *spec.shape)
            header = {"descr": np.dtype(spec.dtype.as_numpy_dtype).str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
        for batch in dataset.batch(max(1, _BYTES_AT_ONCE // max(1, row))):
            for file, part in zip(files, tf.nest.flatten(batch), strict=True):
                file.write(np.ascontiguousarray(part.numpy()).data)
    finally:
        for file in files:
            file.close()


def read_rows(dataset: Any, folder: Path, count: int) -> Iterator[Any]:
    """Yield the first elements from the files, structured as the dataset's."""
    import numpy as np
    import tensorflow as tf

    specs = tf.nest.flatten(dataset.element_spec)
    arrays = [np.load(row_file(folder, index), mmap_mode="r") for index in range(len(specs))]
    for rows in itertools.islice(zip(*arrays, strict=True), count):
        parts = [tf.constant(row, spec.dtype) for row, spec in zip(rows, specs, strict=True)]
        yield tf.nest.pack_sequence_as(dataset.element_spec, parts)
