"""Inspection of ``.npy`` and ``.npz`` files by their headers."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pipeprof.pipelines.data.inspect.npy_header import check_header_length
from pipeprof.pipelines.errors import UsageError

_DAMAGE = (ValueError, EOFError, SyntaxError, TypeError, RuntimeError, tokenize.TokenError, zlib.error, OverflowError)
"""What NumPy raises for a header that is none, and `zipfile` for a member that it cannot unpack."""
_MOST_SAID = 200
_NUMBERS = {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8), "c": (8, 16)}


@dataclass(frozen=True)
class SavedArray:
    """One saved array."""

    key: str | None
    shape: tuple[int, ...]
    dtype: str
    bytes: int


@dataclass(frozen=True)
class ArraysFound:
    """A file of saved arrays.

    Attributes:
        arrays: Those that can be sliced together: their first dimensions are equal.
    """

    path: Path
    arrays: tuple[SavedArray, ...]
    left_out: tuple[str, ...] = ()


def look_at_arrays(path: Path) -> ArraysFound:
    """Inspect a ``.npy`` or ``.npz`` file."""
    try:
        arrays = _in_archive(path) if path.suffix.lower() == ".npz" else [_header(path, None)]
    except (OSError, zipfile.BadZipFile, *_DAMAGE) as error:
        said = " ".join(str(error).split())[:_MOST_SAID]
        raise UsageError(f"{path}: not a valid {path.suffix} file ({said})") from error
    sliceable = [array for array, fault in arrays if fault is None]
    if not sliceable:
        fault = arrays[0][1] if arrays else "holds no arrays"
        raise UsageError(f"{path} {fault}: expected an array of numbers with at least one element")
    length = Counter(array.shape[0] for array in sliceable).most_common(1)[0][0]
    chosen = tuple(array for array in sliceable if array.shape[0] == length)
    return ArraysFound(path, chosen, tuple(array.key or "" for array, _ in arrays if array not in chosen))


def _in_archive(path: Path) -> list[tuple[SavedArray, str | None]]:
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.endswith(".npy") and name != ".npy"]
        headers = []
        for member in members:
            with archive.open(member) as file:
                headers.append(_read_header(file, member.removesuffix(".npy")))
    return headers


def _header(path: Path, key: str | None) -> tuple[SavedArray, str | None]:
    with path.open("rb") as file:
        array, fault = _read_header(file, key)
        start = file.tell()
    if fault is None and path.stat().st_size < start + array.bytes:
        raise ValueError(f"truncated: {path.stat().st_size} bytes instead of {start + array.bytes}")
    return array, fault


def _read_header(file: IO[bytes], key: str | None) -> tuple[SavedArray, str | None]:
    import numpy as np

    check_header_length(file)
    version = np.lib.format.read_magic(file)
    read: Any = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    array = SavedArray(key, tuple(shape), dtype.name, dtype.itemsize * math.prod(shape))
    fault = None
    if dtype.hasobject:
        fault = "holds Python objects"
    elif dtype.itemsize not in _NUMBERS.get(dtype.kind, ()):
        fault = f"holds values of type {dtype}"
    elif not dtype.isnative:
        fault = "holds numbers in foreign byte order"
    elif not shape:
        fault = "holds a single value without dimensions"
    elif min(shape) <= 0:
        fault = "is empty"
    return array, fault
