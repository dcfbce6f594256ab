"""The files that the sources of a pipeline read, with their sizes and numbers of records; nothing is made or loaded."""

from __future__ import annotations

import contextlib
import gzip
import os
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeprof.pipelines.data.folders import find, locate
from pipeprof.pipelines.data.recipes.models import TFRecord
from pipeprof.pipelines.graph.read.file_names import UNKNOWN
from pipeprof.pipelines.inference.known_files import KnownFiles
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.ops.values.values import FilePatterns
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.spec.paths import Leaf, expand_all, has_scheme, leaves

MOST_COUNTED_BYTES = 1 << 30
"""Bytes of files whose records are counted: a check is to stay quick."""
MOST_COUNTED_RECORDS = 300_000
_MOST_READ_BYTES = 1 << 28
"""Bytes of files that have to be read whole, because they are compressed or have lines."""
_CHUNK = 1 << 20
_MADE = "data:"
_HEADER, _FOOTER = 12, 4


@dataclass(frozen=True)
class SourceFile:
    """A file that a source reads; `bytes` and `records` are None where they are not known."""

    name: str
    bytes: int | None = None
    records: int | None = None


class NamedFiles(Protocol):
    """The files of a pipeline's sources, by the addresses of these."""

    def of(self, address: str) -> list[SourceFile] | None:
        """The files of a source in TensorFlow's order; None where it names none, or they are not known."""

    def names_files(self, address: str) -> bool:
        """Whether a source names files."""


class GraphFiles:
    """The files whose names the graph of a pipeline holds, each looked up once."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self._names = names
        self._found: dict[str, list[SourceFile]] = {}

    def of(self, address: str) -> list[SourceFile] | None:
        """The files of a source in TensorFlow's order; None where it names none."""
        if address not in self._names:
            return None
        if address not in self._found:
            self._found[address] = [SourceFile(name, _size(name)) for name in self._names[address]]
        return self._found[address]

    def names_files(self, address: str) -> bool:
        """Whether a source names files."""
        return address in self._names


class SpecFiles:
    """The files of a spec's sources, each looked up once."""

    def __init__(self, loaded: LoadedSpec) -> None:
        self._loaded = loaded
        self._known = KnownFiles(loaded.base_dir, loaded.spec.data)
        folders = locate().readable
        made = {name: find(entry, folders) for name, entry in loaded.spec.data.items()}
        self._made = {name: folder for name, folder in made.items() if folder is not None}
        self._found: dict[str, list[SourceFile] | None] = {}

    def of(self, address: str) -> list[SourceFile] | None:
        """The files of a source in TensorFlow's order; None where it names none, or they are not known."""
        if address not in self._found:
            self._found[address] = self._files(address)
        return self._found[address]

    def names_files(self, address: str) -> bool:
        """Whether a source or its arrays name files."""
        return bool(self._leaves(address))

    def _leaves(self, address: str) -> list[Leaf]:
        found = leaves(self._loaded.spec)
        return [leaf for leaf in found if leaf.address == address and isinstance(leaf.value, FilePatterns)]

    def _files(self, address: str) -> list[SourceFile] | None:
        places = self._leaves(address)
        if len(places) != 1:
            return None
        (leaf,) = places
        files: FilePatterns = leaf.value
        if any(has_scheme(pattern) for pattern in files.patterns):
            return None
        made = [pattern.removeprefix(_MADE).partition("/")[0] for pattern in files.patterns if _is_made(pattern)]
        if all(name in self._made for name in made):
            with contextlib.suppress(OSError):
                names = expand_all(files, self._loaded.base_dir, self._made, recursive=leaf.recursive)
                return [SourceFile(name, _size(name)) for name in names]
            return None
        if len(made) < len(files.patterns):
            return None
        return [SourceFile(name, records=records) for name, records in self._to_be_made(files)]

    def _to_be_made(self, files: FilePatterns) -> list[tuple[str, int | None]]:
        """Names of files that a recipe is going to make, and their records where the recipe says them."""
        found: list[tuple[str, int | None]] = []
        for pattern in files.patterns:
            recipe = self._known.recipe(pattern)
            names = sorted(self._known.names(FilePatterns((pattern,), listed=False)))
            if isinstance(recipe, TFRecord):
                order = recipe.file_names()
                found += [(name, _dealt(recipe.records, recipe.shards, order.index(name))) for name in names]
            else:
                found += [(name, None) for name in names]
        return found


def _is_made(pattern: str) -> bool:
    return pattern.startswith(_MADE)


def _dealt(records: int, shards: int, index: int) -> int:
    """Records of one of the files that get the records in turns."""
    return records // shards + (index < records % shards)


def _size(name: str) -> int | None:
    with contextlib.suppress(OSError):
        return os.stat(name).st_size  # noqa: PTH116 - of very many files
    return None


def count_records(files: Sequence[SourceFile], op: str, arguments: Mapping[str, object]) -> list[int] | None:
    """Count the records in each file; None where they cannot be counted quickly.

    Args:
        op: What reads them.
        arguments: The reader's, by name.
    """
    if all(file.records is not None for file in files):
        return [file.records or 0 for file in files]
    sizes = [file.bytes for file in files]
    total = sum(size or 0 for size in sizes)
    if None in sizes or total > MOST_COUNTED_BYTES or UNKNOWN in arguments.values():
        return None
    packed = str(arguments.get("compression_type") or "")
    if packed not in ("", "GZIP") or (packed and total > _MOST_READ_BYTES):
        return None
    kind = traits(op).records
    if kind == "fixed":
        return None if packed else [_fixed(size or 0, arguments) for size in sizes]
    if kind == "lines":
        return None if total > _MOST_READ_BYTES else _each(files, lambda path: _lines(path, packed))
    return _each(files, lambda path: _framed(path, packed)) if kind == "framed" else None


def _each(files: Sequence[SourceFile], count: Callable[[Path], int]) -> list[int] | None:
    found: list[int] = []
    left = MOST_COUNTED_RECORDS
    try:
        for file in files:
            found.append(count(Path(file.name)))
            left -= found[-1]
            if left < 0:
                return None
    except (OSError, EOFError, zlib.error, struct.error):
        return None
    return found


def _fixed(size: int, arguments: Mapping[str, object]) -> int:
    header, footer, record = (
        value if isinstance(value := arguments.get(name), int) else 0
        for name in ("header_bytes", "footer_bytes", "record_bytes")
    )
    return max(0, size - header - footer) // record if record else 0


def _lines(path: Path, packed: str) -> int:
    count, last = 0, b"\n"
    with gzip.open(path, "rb") if packed else path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            count += chunk.count(b"\n")
            last = chunk[-1:]
    return count + (last != b"\n")


def _framed(path: Path, packed: str) -> int:
    """Records of a TFRecord file, by the lengths before them."""
    count = 0
    with gzip.open(path, "rb") if packed else path.open("rb") as file:
        while len(header := file.read(_HEADER)) == _HEADER:
            file.seek(struct.unpack("<Q", header[:8])[0] + _FOOTER, os.SEEK_CUR)
            count += 1
            if count > MOST_COUNTED_RECORDS:
                break
    return count
