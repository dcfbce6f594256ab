"""A table of rows in memory, as a library for data sets would hold it."""

import numpy as np

LENGTH = 64
WORDS = np.random.default_rng(61).integers(0, 30_000, (2_000, LENGTH))


def fetch(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The words and labels of rows, shapes (rows, 64) and (rows,)."""
    return WORDS[rows], WORDS[rows].sum(axis=1) % 2
