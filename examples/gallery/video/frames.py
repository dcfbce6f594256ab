"""Short films as a generator gives them, made of moving waves in place of files."""

from collections.abc import Iterator

import numpy as np

FILMS, FRAMES, SIZE, CLASSES = 40, 10, 64, 4


def clips() -> Iterator[tuple[np.ndarray, np.int16]]:
    """Films of ten frames, each with the direction in which the waves move."""
    rng = np.random.default_rng(60)
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    for _ in range(FILMS):
        label = rng.integers(CLASSES)
        angle = 2 * np.pi * label / CLASSES
        along = rows * np.sin(angle) + columns * np.cos(angle)
        phases = rng.uniform(0, 2 * np.pi) + np.arange(FRAMES)
        waves = np.sin(12 * along[None] - phases[:, None, None]) / 2 + 0.5
        yield np.repeat(waves[..., None], 3, axis=-1).astype(np.float32), np.int16(label)
