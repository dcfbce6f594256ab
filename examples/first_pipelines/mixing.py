"""Measure how well a shuffle buffer mixes data that is sorted by class.

Run it: python examples/first_pipelines/mixing.py
"""

import numpy as np
import tensorflow as tf

SAMPLES, CLASSES, BATCH = 10_000, 10, 64


def classes_per_batch(buffer):
    """Return the mean number of classes in a batch over one epoch; a perfect mix has 9.99 of 10."""
    labels = np.repeat(np.arange(CLASSES), SAMPLES // CLASSES)
    batches = tf.data.Dataset.from_tensor_slices(labels).shuffle(buffer, seed=1).batch(BATCH)
    return np.mean([len(set(batch.tolist())) for batch in batches.as_numpy_iterator()])


if __name__ == "__main__":
    print(f"{SAMPLES:,} samples of {CLASSES} classes, sorted; batches of {BATCH}")
    for size in (64, 100, 1_000, 5_000, SAMPLES):
        print(f"  shuffle({size:>6,})  {classes_per_batch(size):5.2f} classes in a batch")
