"""Count what runs when a dataset is built; the rest runs during iteration.

Run it: python examples/first_pipelines/lazy.py
"""

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

COUNT = 1_000


def calls_of_a_map():
    """Count the calls of a map's function before iteration."""
    calls = []

    def note(number):
        calls.append(number)
        return number

    tf.data.Dataset.range(COUNT).map(lambda i: tf.numpy_function(note, [i], tf.int64))
    return len(calls)


def names_listed():
    """Count the names that a dataset of files gives after the files were deleted."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(COUNT):
            (Path(folder) / f"{number}.jpg").touch()
        dataset = tf.data.Dataset.list_files(f"{folder}/*.jpg")
    return sum(1 for _ in dataset)


def values_copied():
    """Count the old values that a dataset of slices gives after the array was changed."""
    array = np.zeros(COUNT)
    dataset = tf.data.Dataset.from_tensor_slices(array)
    array[:] = 1
    return sum(value == 0 for value in dataset.as_numpy_iterator())


if __name__ == "__main__":
    print("done when the dataset is built")
    print(f"  calls of a map's function   {calls_of_a_map():5,} of {COUNT:,}")
    print(f"  names listed by list_files  {names_listed():5,} of {COUNT:,}")
    print(f"  values taken from an array  {values_copied():5,} of {COUNT:,}")
