"""Argument values as literals of a spec; `NotExpressible` for those without one."""

from __future__ import annotations

import glob
import math
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

from pipeprof.pipelines.data.globbing import matching_files
from pipeprof.pipelines.from_python.records import (
    Array,
    Dataset,
    Dtype,
    NotExpressible,
    Opaque,
    RecordedFeature,
    RecordedFunction,
    RecordedOptions,
    RecordedSpec,
    RecordedTensor,
    Shape,
)
from pipeprof.pipelines.ops.calls.element import record_defaults
from pipeprof.pipelines.ops.values.python_ref import split_reference
from pipeprof.pipelines.spec.paths import has_scheme

NATURAL: Final = ("int32", "float32", "string", "bool")
"""TensorFlow's dtypes of Python literals."""

_FEW: Final = 3


@dataclass
class Folders:
    """Spelling of the user's paths in a spec.

    Attributes:
        here: Absolute folder that the user's code runs in.
        saved: Paths of arrays saved next to the spec, by their number; None to save none.
    """

    spec: Path
    here: Path
    saved: dict[int, str] | None = None
    stem: str = "array"

    def path(self, text: str) -> str:
        """Convert a path or glob for the spec: relative if it was, or if it is inside the spec's folder."""
        if has_scheme(text):
            return text
        whole = os.path.normpath(self.here / text)
        inside = Path(whole).is_relative_to(self.spec)
        if not inside and Path(text).is_absolute():
            return text
        relative = os.path.relpath(whole, self.spec)
        return f"./{relative}" if relative.startswith("~") or ":" in relative.split("/", maxsplit=1)[0] else relative

    def reference(self, target: str) -> str:
        """Convert ``file.py:function`` to the spec's reference."""
        file, name, arguments = split_reference(target) or ("", target, "")
        inside = Path(file).is_relative_to(self.here)
        return f"{self.path(str(Path(file).relative_to(self.here)) if inside else file)}:{name}{arguments}"

    def files(self, names: Sequence[str]) -> str | list[str]:
        """Convert files in order: to a glob that matches exactly them, else to their names."""
        whole = [os.path.normpath(self.here / name) for name in names]
        if len(names) > 1 and not any(has_scheme(name) for name in names):
            for pattern in _patterns(whole):
                if matching_files(pattern, recursive=False) == whole:
                    return self.path(pattern)
        written = [self.path(name) for name in names]
        return written[0] if len(written) == 1 else written


def _common_prefix(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    count = next((index for index, letter in enumerate(first) if letter != last[index : index + 1]), len(first))
    return first[:count]


def _patterns(names: list[str]) -> Iterator[str]:
    """Yield globs that may match exactly these files, the narrowest first."""
    folders = {str(Path(name).parent) for name in names}
    first, last = _common_prefix(names), _common_prefix([name[::-1] for name in names])[::-1]
    suffix = Path(last).name if "/" in last else last
    if len(folders) == 1:
        folder = folders.pop()
        stem = first[len(folder) + 1 :] if first.startswith(folder) else ""
        yield f"{glob.escape(f'{folder}/{stem}')}*{glob.escape(suffix)}"
        return
    above = {str(Path(folder).parent) for folder in folders}
    ending = Path(names[0]).suffix if all(Path(name).suffix == Path(names[0]).suffix for name in names) else ""
    if len(above) == 1:
        yield f"{glob.escape(above.pop())}/*/*{glob.escape(ending)}"


def literal(value: Any, folders: Folders) -> Any:
    """Convert a value to YAML data."""
    if isinstance(value, IntEnum):
        return value.name
    if value is None or isinstance(value, bool | int | str | float):
        return value
    if isinstance(value, list | tuple):
        return [literal(item, folders) for item in value]
    if isinstance(value, dict):
        return {name: literal(item, folders) for name, item in value.items()}
    if isinstance(value, Array):
        return _array(value, folders)
    return _typed_literal(value, folders)


def _typed_literal(value: Any, folders: Folders) -> Any:
    if isinstance(value, Dtype):
        return value.name
    if isinstance(value, Shape):
        if value.dimensions is None:
            raise NotExpressible("a shape whose number of dimensions is not known")
        return list(value.dimensions)
    if isinstance(value, RecordedSpec):
        shape = None if value.shape is None else list(value.shape)
        described: dict[str, Any] = {"shape": shape, "dtype": value.dtype}
        if value.kind == "ragged" and value.ragged_rank is not None:
            described["ragged_rank"] = value.ragged_rank
        return described if value.kind == "dense" else {value.kind: described}
    if isinstance(value, RecordedFeature):
        return {value.kind: literal(dict(value.arguments), folders)}
    if isinstance(value, RecordedOptions):
        return dict(value.values)
    words = {RecordedTensor: "a tensor that the function computes", Dataset: "a dataset"}
    if isinstance(value, RecordedFunction):
        raise NotExpressible(f"the function {value.name}")
    raise NotExpressible(
        value.what if isinstance(value, Opaque) else words.get(type(value), f"a {type(value).__name__}")
    )


def _array(value: Array, folders: Folders) -> Any:
    """Convert a constant of a function; the other operand determines its dtype."""
    if value.values is not None:
        return shortest(value.values) if value.dtype == "float32" else value.values
    return _array_file(value, folders)


def _array_file(value: Array, folders: Folders) -> Any:
    if value.file is not None:
        first = next(iter(value.file))
        return {**value.file, first: folders.path(value.file[first])}
    if value.made is not None:
        return {"array": dict(value.made)}
    count = math.prod(value.shape)
    if folders.saved is None:
        described = f"{value.dtype}, {list(value.shape)}: {count:,} values"
        raise NotExpressible(f"an array in memory ({described}; --save-arrays saves it in a file)")
    folders.saved.setdefault(value.number, f"{folders.stem}_{len(folders.saved) + 1}.npy")
    return {"npy": folders.saved[value.number]}


def shortest(value: Any) -> Any:
    """Convert float32 numbers to the shortest equal decimals.

    Example:
        >>> shortest(0.4850000143051147)
        0.485
    """
    if isinstance(value, list):
        return [shortest(item) for item in value]
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    packed = struct.pack("f", value)
    return next(number for digits in range(1, 18) if struct.pack("f", number := float(f"{value:.{digits}g}")) == packed)


def tensors(value: Any, folders: Folders) -> Any:
    """Convert the argument of ``from_tensor_slices``: arrays and literals, alone or in dicts and tuples.

    Raises:
        NotExpressible: Something is too large to be written, or of a dtype that a literal does not have.
    """
    if isinstance(value, dict):
        return {name: tensors(item, folders) for name, item in value.items()}
    if isinstance(value, tuple):
        written = [tensors(item, folders) for item in value]
        if not any(isinstance(item, dict) for item in written):
            written = _with_mapping(value, written, folders)
        return written
    if isinstance(value, Array):
        return component(value, folders)
    written = literal(value, folders)
    return _files(written, folders) if isinstance(written, list) else written


def _with_mapping(value: tuple[Any, ...], written: list[Any], folders: Folders) -> list[Any]:
    """Write one of the arrays as a mapping: a list of lists would be one array."""
    for index, array in enumerate(value):
        if isinstance(array, Array) and (array.made is not None or array.file is not None or folders.saved is not None):
            return [*written[:index], _array_file(array, folders), *written[index + 1 :]]
    raise NotExpressible("a tuple of short lists, which a spec would read as a single array")


def component(value: Array, folders: Folders) -> Any:
    """One array of a source."""
    if value.file is not None:
        return _array_file(value, folders)
    if value.made is not None and (value.dtype not in NATURAL or value.values is None):
        return {"array": dict(value.made)}
    if value.values is None:
        return _array_file(value, folders)
    if value.dtype == "string" and isinstance(value.values, list):
        return _files(value.values, folders)
    if value.dtype in NATURAL:
        return _array(value, folders)
    if folders.saved is not None:
        return _array_file(value, folders)
    raise NotExpressible(f"an array of {value.dtype}, which has no literal form (--save-arrays saves it in a file)")


def _files(names: list[Any], folders: Folders) -> Any:
    """Convert texts; the ordered files of a folder become a glob."""
    if len(names) >= _FEW and all(isinstance(name, str) and (folders.here / name).is_file() for name in names):
        pattern = folders.files(names)
        if isinstance(pattern, str):
            return {"files": pattern}
    return names


def column_defaults(values: Sequence[Any], folders: Folders) -> list[Any]:
    """Convert the defaults of columns; an empty array of a dtype means that the column must have a value."""
    written = [
        value.dtype if isinstance(value, Array) and value.shape == (0,) else literal(value, folders) for value in values
    ]
    return record_defaults([value[0] if isinstance(value, list) and len(value) == 1 else value for value in written])
