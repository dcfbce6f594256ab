"""Arrays in memory: read from files, or made."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.ops.structures import Array, Filling, NpyArray, NpzArray

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

# Values drawn at a time: few enough that filling adds next to nothing to the memory of the array itself.
_CHUNK = 1 << 20
_LEVELS = 256


def load_array(array: Array, resolve: Callable[[str], Path]) -> Any:
    """The NumPy array that ``array`` describes; ``resolve`` finds its file.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file holds no array, or one of Python objects.
        KeyError: The archive has no array of that name.
    """
    import numpy as np

    if isinstance(array, NpyArray):
        return np.load(resolve(array.npy), mmap_mode=array.mmap_mode, allow_pickle=False)  # type: ignore[arg-type]  # r or c
    if isinstance(array, NpzArray):
        with np.load(resolve(array.npz), allow_pickle=False) as archive:
            if array.key not in archive.files:
                msg = f"got key {array.key!r}, expected one of {', '.join(archive.files)}"
                raise KeyError(msg)
            return archive[array.key]
    return fill(array.array)


def fill(filling: Filling) -> np.ndarray[Any, Any]:
    """A new array; random ones are drawn in chunks and depend on nothing but shape, dtype and seed.

    Example:
        >>> fill(Filling(shape=[2, 2], dtype="int32", fill="arange")).tolist()
        [[0, 1], [2, 3]]
    """
    import numpy as np

    dtype = np.dtype(filling.dtype)
    size = math.prod(filling.shape)
    if filling.fill == "zeros":
        return np.zeros(filling.shape, dtype)
    if filling.fill == "arange":
        return np.arange(size).astype(dtype).reshape(filling.shape)
    flat = np.empty(size, dtype)
    generator = np.random.default_rng(filling.seed)
    for start in range(0, size, _CHUNK):
        part = flat[start : start + _CHUNK]
        _draw(generator, part)
    return flat.reshape(filling.shape)


def _draw(generator: np.random.Generator, part: np.ndarray[Any, Any]) -> None:
    """Fill ``part`` with random values of its dtype."""
    import numpy as np

    kind = part.dtype.kind
    if kind == "b":
        part[:] = generator.integers(0, 2, part.size, dtype=np.uint8)
    elif kind in "iu":
        levels = min(_LEVELS, np.iinfo(part.dtype).max + 1)
        part[:] = generator.integers(0, levels, part.size, dtype=np.uint8)
    elif kind == "c":
        part.real = generator.random(part.size, dtype=np.float32)
        part.imag = generator.random(part.size, dtype=np.float32)
    else:
        part[:] = generator.random(part.size, dtype=np.float64 if part.dtype.itemsize == 8 else np.float32)
