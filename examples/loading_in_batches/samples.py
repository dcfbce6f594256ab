"""Pictures generated in Python."""

import numpy as np

SAMPLES, BATCH = 1_000, 32
SHAPE = (32, 32, 3)


def one_by_one():
    """Yield one picture at a time, as NumPy generates it: float64 with an int64 label."""
    rng = np.random.default_rng(1)
    for _ in range(SAMPLES):
        yield rng.random(SHAPE), rng.integers(0, 10)


def by_batches():
    """Yield a batch at a time, in the types of the model; the last batch is smaller."""
    rng = np.random.default_rng(1)
    for start in range(0, SAMPLES, BATCH):
        count = min(BATCH, SAMPLES - start)
        yield rng.random((count, *SHAPE), dtype=np.float32), rng.integers(0, 10, count, dtype=np.int32)
