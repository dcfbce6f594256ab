"""What comes out of the sources of a spec: from headers of saved arrays, file names and recipes; nothing is loaded."""

from __future__ import annotations

import ast
import fnmatch
import glob
import itertools
import re
import struct
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from pipeprof.pipelines.data.models import Csv, Npy, Recipe, Text, TFRecord
from pipeprof.pipelines.ops.base import Source
from pipeprof.pipelines.ops.calling import FieldError, pick
from pipeprof.pipelines.ops.source_files import CsvDataset, ListFiles, TextLineDataset, TFRecordDataset
from pipeprof.pipelines.ops.source_tensors import FromGenerator, FromTensors, FromTensorSlices, Range
from pipeprof.pipelines.ops.structures import Array, MadeArray, NpyArray, NpzArray, ShapeOf, TensorSpec, map_leaves
from pipeprof.pipelines.ops.structures import Structure as WrittenStructure
from pipeprof.pipelines.ops.values import FilePatterns, OuterElement
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.spec.paths import has_scheme, is_glob, resolve_pattern
from pipeprof.pipelines.spec.shape_rules_io import column_dtype
from pipeprof.pipelines.spec.shapes import WIDTHS, Content, Structure, Tensor, array, each, leaves, literal

INFINITE = -1
"""Cardinality of a pipeline without end."""
MAX_LISTED = 50_000
"""Files beyond which a glob is not counted: a check is to stay quick."""
_SYNTHESISED = "data:"
_MAGIC = b"\x93NUMPY"
_NUMPY_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex"}


@dataclass(frozen=True)
class Made:
    """What comes out of a source.

    Attributes:
        structure: Dicts and tuples of `Tensor`, with ``None`` for what is not known.
        cardinality: Number of elements; `INFINITE` for no end, ``None`` when not known.
        source_bytes: Bytes of the tensors that it holds in memory.
    """

    structure: Structure
    cardinality: int | None
    source_bytes: int | None = None


class Files:
    """The files of a spec: what arrays hold, how many match a glob, and which recipe makes them."""

    def __init__(self, loaded: LoadedSpec) -> None:
        self._base_dir = loaded.base_dir
        self._data = loaded.spec.data
        self._found: dict[Array, Tensor | None] = {}

    def array(self, described: Array) -> Tensor | None:
        """The tensor that an array becomes; ``None`` if it cannot be read or is none that TensorFlow takes."""
        if described not in self._found:
            self._found[described] = self._array(described)
        return self._found[described]

    def _array(self, described: Array) -> Tensor | None:
        if isinstance(described, MadeArray):
            return array(described.array)
        name = str(described.npy if isinstance(described, NpyArray) else described.npz)
        recipe = self.recipe(name)
        if recipe is not None:
            is_npy = isinstance(recipe, Npy) and isinstance(described, NpyArray)
            return Tensor(recipe.dtype, tuple(recipe.shape)) if is_npy and isinstance(recipe, Npy) else None
        path = self._base_dir / Path(name).expanduser()
        try:
            if isinstance(described, NpzArray):
                with zipfile.ZipFile(path) as archive, archive.open(f"{described.key}.npy") as member:
                    return _read_header(member)
            with path.open("rb") as file:
                return _read_header(file)
        except (OSError, ValueError, SyntaxError, KeyError, struct.error, zipfile.BadZipFile):
            return None

    def recipe(self, pattern: str) -> Recipe | None:
        """The recipe of a path such as ``data:NAME/…``."""
        if not pattern.startswith(_SYNTHESISED):
            return None
        name = pattern.removeprefix(_SYNTHESISED).partition("/")[0]
        return self._data[name].recipe if name in self._data else None

    def content(self, files: FilePatterns) -> Content | None:
        """What the names are, when all are of one recipe."""
        recipes = [self.recipe(pattern) for pattern in files.patterns]
        first = recipes[0]
        return Content("files", first) if first is not None and all(one is first for one in recipes) else None

    def count(self, files: FilePatterns) -> int | None:
        """Number of files; ``None`` if they are elsewhere, or too many to count."""
        counts = [self._count(pattern) for pattern in files.patterns]
        return None if None in counts else sum(count for count in counts if count is not None)

    def names(self, files: FilePatterns) -> list[str]:
        """Names of the files that a recipe makes."""
        return [
            name
            for pattern in files.patterns
            if (recipe := self.recipe(pattern)) is not None
            for name in _matching(recipe, pattern.partition("/")[2])
        ]

    def _count(self, pattern: str) -> int | None:
        if has_scheme(pattern) or "**" in pattern:
            return None
        recipe = self.recipe(pattern)
        if recipe is not None:
            return len(_matching(recipe, pattern.partition("/")[2]))
        if not is_glob(pattern):
            return 1
        absolute = resolve_pattern(pattern, self._base_dir, {})
        found = glob.iglob(absolute)  # noqa: PTH207  # patterns are absolute, which Path.glob refuses
        count = sum(1 for _ in itertools.islice(found, MAX_LISTED + 1))
        return count if count <= MAX_LISTED else None


@cache
def _expression(part: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(part))


def _matching(recipe: Recipe, pattern: str) -> list[str]:
    """The recipe's files that a relative glob matches, part by part."""
    names = recipe.file_names()
    if pattern in names:
        return [pattern]
    wanted = [_expression(part) for part in pattern.split("/")]
    return [name for name in names if _fits(name.split("/"), wanted)]


def _fits(parts: list[str], wanted: list[re.Pattern[str]]) -> bool:
    return len(parts) == len(wanted) and all(
        expression.match(part) for part, expression in zip(parts, wanted, strict=True)
    )


def _read_header(file: IO[bytes]) -> Tensor | None:
    """Shape and dtype from the header of NumPy's format, which is a Python literal."""
    magic = file.read(8)
    if magic[:6] != _MAGIC:
        return None
    form = "<H" if magic[6] == 1 else "<I"
    (length,) = struct.unpack(form, file.read(struct.calcsize(form)))
    header = ast.literal_eval(file.read(min(length, 1 << 20)).decode("utf-8" if magic[6] >= 3 else "latin1"))
    dtype = _tensorflows(header["descr"])
    return Tensor(dtype, tuple(header["shape"])) if dtype is not None else None


def _tensorflows(descr: Any) -> str | None:
    """TensorFlow's name of a dtype as NumPy writes it, ``<f4``."""
    if not isinstance(descr, str) or not descr[2:].isdigit():
        return None
    order, kind, width = descr[0], descr[1], int(descr[2:])
    if kind in "SU":
        return "string"
    if kind == "b":
        return "bool"
    name = f"{_NUMPY_KINDS.get(kind, '')}{8 * width}"
    # Numbers in another byte order are no tensors.
    return name if name in WIDTHS and (order in "<=" or width == 1) else None


def made(source: Source, files: Files, outer: Structure, *, strict: bool) -> Made:
    """What comes out of a source; `outer` is the element that a nested one is made for."""
    if isinstance(source, FromTensorSlices | FromTensors):
        return _from_tensors(source, files, outer)
    if isinstance(source, Range | FromGenerator):
        return _range(source) if isinstance(source, Range) else Made(_generated(source), None)
    if isinstance(source, ListFiles):
        return _listed(source, files)
    if isinstance(source, TFRecordDataset | TextLineDataset | CsvDataset):
        return _records(source, files, outer, strict=strict)
    return Made(None, None)


def _listed(source: ListFiles, files: Files) -> Made:
    patterns = source.file_pattern
    if isinstance(patterns, OuterElement):
        return Made(Tensor("string", ()), None)
    return Made(Tensor("string", (), content=files.content(patterns)), files.count(patterns))


def _picked(value: OuterElement, outer: Structure) -> Structure:
    try:
        return outer if value.on is None else pick(outer, value.on)
    except FieldError:
        return None


def _from_tensors(source: FromTensorSlices | FromTensors, files: Files, outer: Structure) -> Made:
    written = source.tensors
    if isinstance(written, OuterElement):
        structure, size = _picked(written, outer), None
    else:
        structure = _literals(written, files)
        size = _bytes(structure)
    if isinstance(source, FromTensors):
        return Made(structure, 1, size)
    firsts = [tensor.shape[0] if tensor is not None and tensor.shape else None for tensor in leaves(structure)]
    count = next((first for first in firsts if first is not None), None)
    return Made(each(_slice, structure), count, size)


def _literals(written: WrittenStructure, files: Files) -> Structure:
    def visit(value: Any) -> Structure:
        if isinstance(value, dict):
            return {key: visit(inner) for key, inner in value.items()}
        if isinstance(value, tuple):
            return tuple(visit(inner) for inner in value)
        return files.array(value) if isinstance(value, NpyArray | NpzArray | MadeArray) else literal(value)

    return visit(written.value)


def _bytes(structure: Structure) -> int | None:
    """Bytes of the numbers in a structure; ``None`` if one component is not known. Text is left out."""
    total = 0
    for tensor in leaves(structure):
        if tensor is None or tensor.size is None:
            return None
        total += tensor.size * WIDTHS.get(tensor.dtype, 0)
    return total


def _slice(tensor: Tensor) -> Tensor | None:
    if tensor.kind != "dense":
        return None
    return Tensor(tensor.dtype, tensor.shape[1:] if tensor.shape else None)


def _range(source: Range) -> Made:
    number = Tensor(str(source.output_type or "int64"), ())
    if isinstance(source.stop, OuterElement):
        return Made(number, None)
    return Made(number, len(range(source.start, source.stop, source.step)))


def _generated(source: FromGenerator) -> Structure:
    if source.output_signature is not None:
        return map_leaves(_signature, source.output_signature.value)
    if source.output_types is None:
        return None
    shapes = source.output_shapes.value if source.output_shapes is not None else None
    return _typed(source.output_types.value, shapes)


def _signature(leaf: Any) -> Tensor | None:
    return Tensor(str(leaf.dtype), leaf.shape) if isinstance(leaf, TensorSpec) else None


def _typed(types: Any, shapes: Any) -> Structure:
    if isinstance(types, dict):
        return {
            key: _typed(inner, shapes.get(key) if isinstance(shapes, dict) else None) for key, inner in types.items()
        }
    if isinstance(types, tuple):
        inner = shapes if isinstance(shapes, tuple) else (None,) * len(types)
        return tuple(_typed(one, shape) for one, shape in zip(types, inner, strict=False))
    return Tensor(str(types), shapes.dimensions if isinstance(shapes, ShapeOf) else None)


def _records(
    source: TFRecordDataset | TextLineDataset | CsvDataset, files: Files, outer: Structure, *, strict: bool
) -> Made:
    if isinstance(source.filenames, OuterElement):
        names = _picked(source.filenames, outer)
        content = names.content if isinstance(names, Tensor) else None
        recipe = content.recipe if content is not None and content.kind == "files" else None
        count = None if recipe is None else _even_share(recipe)
    else:
        content = files.content(source.filenames)
        recipe = content.recipe if content is not None else None
        count = None if recipe is None else _total(recipe, files.names(source.filenames))
    structure: Structure
    if isinstance(source, CsvDataset):
        structure = tuple(Tensor(column_dtype(default), ()) for default in source.record_defaults)
        count = count if isinstance(recipe, Csv) and recipe.header == source.header else None
    else:
        structure = Tensor("string", (), content=_record_content(source, recipe))
        count = count if isinstance(recipe, TFRecord | Text) else None
    return Made(structure, None if strict else count)


def _records_of(recipe: Recipe) -> int | None:
    if isinstance(recipe, TFRecord):
        return recipe.records
    if isinstance(recipe, Csv):
        return recipe.rows
    return recipe.lines if isinstance(recipe, Text) else None


def _even_share(recipe: Recipe) -> int | None:
    """Records in each file of a recipe, if all have as many."""
    records, files = _records_of(recipe), len(recipe.file_names())
    return records // files if records is not None and records % files == 0 else None


def _total(recipe: Recipe, names: Iterable[str]) -> int | None:
    chosen = list(names)
    if sorted(chosen) == sorted(recipe.file_names()):
        return _records_of(recipe)
    share = _even_share(recipe)
    return None if share is None else share * len(chosen)


def _record_content(source: Source, recipe: Recipe | None) -> Content | None:
    if isinstance(source, TFRecordDataset) and isinstance(recipe, TFRecord):
        return Content("record", recipe, recipe.estimated_bytes() / recipe.records)
    if isinstance(source, TextLineDataset) and isinstance(recipe, Text | Csv):
        return Content("text", recipe, recipe.estimated_bytes() / max(1, _records_of(recipe) or 1))
    return None
