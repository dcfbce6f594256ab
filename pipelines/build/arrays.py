"""Files of a spec, and its arrays in memory: saved or filled, lines or columns of files."""

from __future__ import annotations

import csv
import importlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeprof.pipelines.data.recipes import MOST_ELEMENTS
from pipeprof.pipelines.errors import PlainError
from pipeprof.pipelines.spec.operations import array_kind
from pipeprof.pipelines.spec.paths import PathError, expand, resolve, resolve_pattern

if TYPE_CHECKING:
    import numpy as np

# Values drawn at a time: few enough that filling adds next to nothing to the memory of the array itself.
_CHUNK: Final = 1 << 20
_LEVELS: Final = 256


def arrays_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """The arrays in a value of a spec."""
    if array_kind(value) is not None:
        yield value
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from arrays_in(inner)


@dataclass
class BuildContext:
    """What a spec is built with: its folder, the folders of its inputs, a seed, and its arrays, each read once.

    Attributes:
        service: Address of the tf.data service that was started for it.
    """

    base_dir: Path
    data_dirs: Mapping[str, Path] = field(default_factory=dict)
    seed: int | None = None
    service: str | None = None
    arrays: dict[str, Any] = field(default_factory=dict)

    def array(self, written: Mapping[str, Any]) -> Any:
        """The array, a mapping of them for a table; read or made on the first call.

        Raises:
            ValueError: The file holds no array, or one of Python objects.
            KeyError: The archive has no array of that name.
        """
        shape = written["array"]["shape"] if array_kind(written) == "array" else ()
        if math.prod(shape) > MOST_ELEMENTS:
            raise PlainError(f"an array of {math.prod(shape):.0e} elements: expected one that fits into memory")
        key = json.dumps(written, sort_keys=True)
        if key not in self.arrays:
            self.arrays[key] = self._load(written)
        return self.arrays[key]

    def held(self) -> list[tuple[str, int]]:
        """Type and bytes of each array: of each column of a table."""
        return [held for array in self.arrays.values() for held in _held_by(array)]

    def path(self, written: str) -> str:
        """A file or a folder; empty for none."""
        return str(resolve(written, self.base_dir, self.data_dirs)) if written else ""

    def files(self, written: str | Sequence[str]) -> list[str]:
        """The files that paths and globs stand for now.

        Raises:
            PathError: There are none.
        """
        gfile = importlib.import_module("tensorflow").io.gfile
        found: list[str] = []
        for pattern in [written] if isinstance(written, str) else written:
            for file in expand(pattern, self.base_dir, self.data_dirs):
                found += gfile.glob(file) if "://" in file and "*" in file else [file]
        if not found:
            raise PathError(f"{written if isinstance(written, str) else ', '.join(written)}: no file matches any more")
        return found

    def patterns(self, written: str | Sequence[str]) -> list[str]:
        """Paths and globs as patterns that TensorFlow matches itself."""
        listed = [written] if isinstance(written, str) else written
        return [resolve_pattern(pattern, self.base_dir, self.data_dirs) for pattern in listed]

    def _load(self, written: Mapping[str, Any]) -> Any:
        import numpy as np

        kind = array_kind(written)
        if kind == "npy":
            path = self.path(written["npy"])
            found: Any = np.load(path, mmap_mode=written.get("mmap_mode"), allow_pickle=False)
        elif kind == "npz":
            found = _of_archive(Path(self.path(written["npz"])), written["key"])
        elif kind == "array":
            found = fill(**written["array"])
        elif kind == "files":
            found = np.array(self.files(written["files"]))
        elif kind == "lines":
            found = np.array(Path(self.path(written["lines"])).read_text(encoding="utf-8").splitlines())
        else:
            found = read_columns(Path(self.path(written["csv"])), written.get("field_delim", ","))
        return found


def _of_archive(path: Path, key: str) -> Any:
    import numpy as np

    with np.load(path, allow_pickle=False) as arrays:
        if key not in arrays.files:
            raise KeyError(f"no array {key!r} in the file: expected one of {', '.join(arrays.files)}")
        return arrays[key]


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


def fill(shape: Sequence[int], dtype: str = "float32", fill: str = "random", seed: int = 0) -> np.ndarray[Any, Any]:
    """A new array; random ones are drawn in chunks and depend on nothing but shape, dtype and seed.

    Example:
        >>> fill([2, 2], "int32", "arange").tolist()
        [[0, 1], [2, 3]]
    """
    import numpy as np

    kind, size = np.dtype(dtype), math.prod(shape)
    if fill == "zeros":
        return np.zeros(shape, kind)
    if fill == "arange":
        return np.arange(size).astype(kind).reshape(shape)
    flat = np.empty(size, kind)
    generator = np.random.default_rng(seed)
    for start in range(0, size, _CHUNK):
        part = flat[start : start + _CHUNK]
        _draw(generator, part)
    return flat.reshape(shape)


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


def _held_by(array: Any) -> list[tuple[str, int]]:
    columns = array.values() if isinstance(array, Mapping) else [array]
    return [(column.dtype.name, column.nbytes) for column in columns]
