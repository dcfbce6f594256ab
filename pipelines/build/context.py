"""Context of a build: folders, seed, arrays in memory."""

from __future__ import annotations

import contextlib
import csv
import importlib
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.data.look import check_header
from pipeprof.pipelines.ops.values.arrays import CsvArray, FilesArray, LinesArray, RaggedArray, SparseArray
from pipeprof.pipelines.ops.values.structures import Array, Filling, MadeArray, NpyArray, NpzArray
from pipeprof.pipelines.ops.values.values import FilePatterns
from pipeprof.pipelines.spec.paths import expand_all, resolve

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
        ValueError: The file holds no array, or one of Python objects.
        KeyError: The archive has no array of that name.
    """
    import numpy as np

    if isinstance(array, NpyArray):
        path = resolve(array.npy)
        with path.open("rb") as file:
            check_header(file)
        return np.load(path, mmap_mode=array.mmap_mode, allow_pickle=False)  # type: ignore[arg-type]  # r or c
    if isinstance(array, NpzArray):
        _check_member(resolve(array.npz), f"{array.key}.npy")
        with np.load(resolve(array.npz), allow_pickle=False) as archive:
            if array.key not in archive.files:
                raise KeyError(f"no array {array.key!r} in the file: expected one of {', '.join(archive.files)}")
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
        check_header(file)


def read_columns(path: Path, delimiter: str) -> dict[str, Any]:
    """The columns of a CSV file with a header: int64 if all fields are whole numbers, float64 if numbers, else text.

    Empty fields are NaN in a column of numbers.

    Raises:
        ValueError: A row has another number of fields than the header.
    """
    import numpy as np

    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, delimiter=delimiter)
    wrong = next((number for number, row in enumerate(rows, 2) if len(row) != len(header)), None)
    if wrong is not None:
        raise ValueError(f"{path.name}:{wrong}: {len(rows[wrong - 2])} fields, expected {len(header)}")
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


def make_tensor(array: RaggedArray | SparseArray) -> Any:
    """The ragged or sparse tensor that ``array`` describes."""
    tf = importlib.import_module("tensorflow")
    dtype = array.dtype if isinstance(array, RaggedArray) else array.sparse.dtype
    of_dtype = None if dtype is None else tf.as_dtype(str(dtype))
    if isinstance(array, RaggedArray):
        return tf.ragged.constant(_lists(array.ragged), dtype=of_dtype, ragged_rank=array.ragged_rank)
    parts = array.sparse
    values = tf.constant(list(parts.values), dtype=of_dtype)
    indices = [list(index) for index in parts.indices]
    return tf.SparseTensor(
        tf.reshape(tf.constant(indices, tf.int64), [-1, len(parts.dense_shape)]), values, parts.dense_shape
    )


def held_by(array: Any) -> list[tuple[str, int]]:
    """Type and bytes of what an array holds in memory."""
    if isinstance(array, Mapping):
        return [held for column in array.values() for held in held_by(column)]
    if hasattr(array, "nbytes"):
        return [(array.dtype.name, array.nbytes)]
    tf = importlib.import_module("tensorflow")
    parts = tf.nest.flatten(array, expand_composites=True)
    return [(part.dtype.name, part.shape.num_elements() * part.dtype.size) for part in parts]


def _lists(value: Any) -> Any:
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


@dataclass
class BuildContext:
    """Files of a spec, its seed, its arrays in memory, and the tf.data service that was started for it."""

    base_dir: Path
    data_dirs: dict[str, Path] = field(default_factory=dict)
    seed: int | None = None
    arrays: dict[Array, Any] = field(default_factory=dict)
    service: str | None = None

    def loaded(self, array: Array) -> Any:
        """The array, read or made on the first call."""
        if array not in self.arrays:
            self.arrays[array] = self._load(array)
        return self.arrays[array]

    def held(self) -> list[tuple[str, int]]:
        """Type and bytes of each array: of each column of a table, each part of a ragged or sparse tensor."""
        return [held for array in self.arrays.values() for held in held_by(array)]

    def _load(self, array: Array) -> Any:
        if isinstance(array, RaggedArray | SparseArray):
            return make_tensor(array)
        return load_array(array, self._path, self.files)

    def _path(self, path: str) -> Path:
        return resolve(path, self.base_dir, self.data_dirs)

    def files(self, patterns: FilePatterns) -> list[str]:
        """The files that match now."""
        return expand_all(patterns, self.base_dir, self.data_dirs)
