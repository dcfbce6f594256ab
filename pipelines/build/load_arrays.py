"""Arrays in memory, read from files or generated."""

from __future__ import annotations

import contextlib
import csv
import math
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.data.inspect.npy_header import check_header_length
from pipeprof.pipelines.ops.values.arrays import CsvArray, FilesArray, LinesArray
from pipeprof.pipelines.ops.values.structures import Filling, MadeArray, NpyArray, NpzArray
from pipeprof.pipelines.ops.values.values import FilePatterns

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

LoadedArray = NpyArray | NpzArray | MadeArray | FilesArray | LinesArray | CsvArray
# Values drawn at a time: few enough that filling adds next to nothing to the memory of the array itself.
_CHUNK = 1 << 20
_LEVELS = 256


def load_array(
    array: LoadedArray, resolve: Callable[[str], Path], expand: Callable[[FilePatterns], list[str]] | None = None
) -> Any:
    """The NumPy array that ``array`` describes (a mapping of them for a table).

    Raises:
        OSError: The file cannot be read.
        ValueError: The file holds no array, or one of Python objects.
        KeyError: The archive has no array of that name.
    """
    import numpy as np

    if isinstance(array, NpyArray):
        path = resolve(array.npy)
        with path.open("rb") as file:
            check_header_length(file)
        return np.load(path, mmap_mode=array.mmap_mode, allow_pickle=False)  # type: ignore[arg-type]  # r or c
    if isinstance(array, NpzArray):
        _check_member(resolve(array.npz), f"{array.key}.npy")
        with np.load(resolve(array.npz), allow_pickle=False) as archive:
            if array.key not in archive.files:
                msg = f"no array {array.key!r} in the file: expected one of {', '.join(archive.files)}"
                raise KeyError(msg)
            return archive[array.key]
    if isinstance(array, MadeArray):
        return fill(array.array)
    if isinstance(array, FilesArray):
        return np.array(expand(array.files) if expand is not None else list(array.files.patterns))
    if isinstance(array, LinesArray):
        return np.array(resolve(array.lines).read_text(encoding="utf-8").splitlines())
    return read_columns(resolve(array.csv), array.field_delim)


def _check_member(path: Path, name: str) -> None:
    # Whatever else is wrong with the archive is numpy's to say.
    with (
        contextlib.suppress(zipfile.BadZipFile, KeyError),
        zipfile.ZipFile(path) as archive,
        archive.open(name) as file,
    ):
        check_header_length(file)


def read_columns(path: Path, delimiter: str) -> dict[str, Any]:
    """The columns of a CSV file with a header: int64 if all fields are whole numbers, float64 if numbers, else text.

    Empty fields are NaN in a column of numbers.

    Raises:
        OSError: The file cannot be read.
        ValueError: A row has another number of fields than the header.
    """
    import numpy as np

    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, delimiter=delimiter)
    wrong = next((number for number, row in enumerate(rows, 2) if len(row) != len(header)), None)
    if wrong is not None:
        msg = f"{path.name}:{wrong}: {len(rows[wrong - 2])} fields, expected {len(header)}"
        raise ValueError(msg)
    return {name: np.array(_typed([row[index] for row in rows])) for index, name in enumerate(header)}


def _typed(fields: list[str]) -> list[int] | list[float] | list[str]:
    try:
        return [int(field) for field in fields]
    except ValueError:
        pass
    try:
        return [float(field) if field else math.nan for field in fields]
    except ValueError:
        return fields


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
