"""Writes ``.npy`` files a few megabytes at a time, so that an array may be larger than memory. No TensorFlow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeprof.pipelines.data.makers.progress import DataProgress
from pipeprof.pipelines.data.recipes.models import Npy

_ITEMS_AT_A_TIME = 1 << 20
_LARGEST_RANDOM_INTEGER = 999
# Largest runs of whole numbers that the small types count without rounding or overflow.
_WRAP_AT = {"bool": 2, "float16": 2**11, "float32": 2**24}


def make_npy(recipe: Npy, folder: Path, progress: DataProgress) -> None:
    """Write all arrays of ``recipe`` into ``folder``; counts elements as progress."""
    items = math.prod(recipe.shape)
    header = {
        "descr": np.dtype(recipe.dtype).newbyteorder("<").str,
        "fortran_order": False,
        "shape": tuple(recipe.shape),
    }
    for number, name in enumerate(recipe.file_names()):
        rng = np.random.default_rng([recipe.seed, number])
        with (folder / name).open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, items, _ITEMS_AT_A_TIME):
                count = min(_ITEMS_AT_A_TIME, items - start)
                file.write(fill(recipe, rng, start, count).tobytes())
                progress.advance(count)


def fill(recipe: Npy, rng: np.random.Generator, start: int, count: int) -> NDArray[Any]:
    """Elements ``start`` … ``start + count - 1`` of the flat array, little-endian."""
    dtype = np.dtype(recipe.dtype).newbyteorder("<")
    if recipe.fill == "zeros":
        return np.zeros(count, dtype)
    if recipe.fill == "arange":
        numbers = np.arange(start, start + count, dtype=np.int64)
        return (numbers % _WRAP_AT[recipe.dtype] if recipe.dtype in _WRAP_AT else numbers).astype(dtype)
    if dtype.kind == "f":
        uniform: NDArray[Any] = rng.random(count, dtype=np.float64 if dtype.itemsize == 8 else np.float32).astype(dtype)
        # Rounding to half precision could reach 1.0; the largest number below it is as random.
        below_one: NDArray[Any] = np.minimum(uniform, np.nextafter(dtype.type(1), dtype.type(0)))
        return below_one
    largest = 1 if dtype.kind == "b" else min(_LARGEST_RANDOM_INTEGER, int(np.iinfo(dtype).max))
    return rng.integers(0, largest, count, dtype=np.int64, endpoint=True).astype(dtype)
