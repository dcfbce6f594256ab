"""Pictures that are made, not loaded."""

import numpy as np

SAMPLES, BATCH = 1_000, 32
SHAPE = (32, 32, 3)


def one_by_one():
    """One picture at a time, float64 as NumPy draws it, with a label that NumPy makes int64."""
    rng = np.random.default_rng(1)
    for _ in range(SAMPLES):
        yield rng.random(SHAPE), rng.integers(0, 10)


def by_batches():
    """The same a batch at a time and in the types the model wants; the last batch is smaller."""
    rng = np.random.default_rng(1)
    for start in range(0, SAMPLES, BATCH):
        count = min(BATCH, SAMPLES - start)
        yield rng.random((count, *SHAPE), dtype=np.float32), rng.integers(0, 10, count, dtype=np.int32)
