"""Folders of generated inputs, below the current folder; nothing here is part of a pipeline."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np


def once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of that name, filled the first time."""
    folder = Path("strangers") / name
    if not folder.exists():
        draft = folder.with_name(f".{name}.{os.getpid()}")
        draft.mkdir(parents=True)
        make(draft)
        try:
            draft.rename(folder)
        except OSError:
            shutil.rmtree(draft)
    return folder


def smooth(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A picture that compresses as a photograph does: a few waves and a little noise."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    planes = [np.sin(x / rng.uniform(9, 40) + rng.uniform(0, 6)) + np.cos(y / rng.uniform(9, 40)) for _ in range(3)]
    picture = np.stack(planes, -1) * 50 + 127 + rng.normal(0, 4, (height, width, 3))
    return picture.clip(0, 255).astype(np.uint8)
