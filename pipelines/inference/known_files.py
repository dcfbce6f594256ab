"""The files of a spec: what arrays hold and how many match a glob, from headers and recipes; nothing is loaded."""

from __future__ import annotations

import fnmatch
import glob
import itertools
import re
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO

from pipeprof.pipelines.data.look import read_header
from pipeprof.pipelines.data.recipes import Npy, Recipe
from pipeprof.pipelines.inference.tensor.shapes import Content, Tensor, array, literal
from pipeprof.pipelines.ops.constants import WIDTHS
from pipeprof.pipelines.ops.values.arrays import FilesArray, RaggedArray, SparseArray
from pipeprof.pipelines.ops.values.structures import Array, MadeArray, NpyArray, NpzArray
from pipeprof.pipelines.ops.values.values import FilePatterns
from pipeprof.pipelines.regular_files import open_regular
from pipeprof.pipelines.spec.paths import has_scheme, is_glob, resolve_pattern

MAX_LISTED = 50_000
"""Files beyond which a glob is not counted: a check is to stay quick."""
_SYNTHESISED = "data:"
_DAMAGE = (
    ValueError,
    SyntaxError,
    KeyError,
    TypeError,
    EOFError,
    RuntimeError,
    OverflowError,
    tokenize.TokenError,
    zlib.error,
)
"""Exceptions of damaged headers and archives."""


class KnownFiles:
    """The files of a spec: what arrays hold, how many match a glob, and which recipe makes them."""

    def __init__(self, base_dir: Path, data: Mapping[str, Recipe], *, counting: bool = True) -> None:
        """Files of a spec.

        Args:
            counting: Whether files are counted, which takes a while where there are many.
        """
        self._base_dir = base_dir
        self._data = data
        self._counting = counting
        self._found: dict[Array, Tensor | None] = {}

    def array(self, described: Array) -> Tensor | None:
        """The tensor that an array becomes; ``None`` if it cannot be read or is none that TensorFlow takes."""
        if described not in self._found:
            self._found[described] = self._array(described)
        return self._found[described]

    def _array(self, described: Array) -> Tensor | None:
        if isinstance(described, MadeArray):
            return array(described.array)
        if isinstance(described, FilesArray):
            files = described.files
            return Tensor("string", (self.count(files),), content=self.content(files))
        if isinstance(described, RaggedArray | SparseArray):
            return _ragged(described) if isinstance(described, RaggedArray) else _sparse(described)
        return self._saved(described) if isinstance(described, NpyArray | NpzArray) else None

    def _saved(self, described: NpyArray | NpzArray) -> Tensor | None:
        name = str(described.npy if isinstance(described, NpyArray) else described.npz)
        recipe = self.recipe(name)
        if recipe is not None:
            is_npy = isinstance(recipe, Npy) and isinstance(described, NpyArray)
            return Tensor(recipe.dtype, tuple(recipe.shape)) if is_npy and isinstance(recipe, Npy) else None
        path = self._base_dir / Path(name).expanduser()
        try:
            with open_regular(path) as file:
                if isinstance(described, NpyArray):
                    return _tensor_of(file)
                with zipfile.ZipFile(file) as archive, archive.open(f"{described.key}.npy") as member:
                    return _tensor_of(member)
        except (OSError, zipfile.BadZipFile, *_DAMAGE):
            return None

    def recipe(self, pattern: str) -> Recipe | None:
        """The recipe of a path such as ``data:NAME/…``."""
        if not pattern.startswith(_SYNTHESISED):
            return None
        name = pattern.removeprefix(_SYNTHESISED).partition("/")[0]
        return self._data.get(name)

    def content(self, files: FilePatterns) -> Content | None:
        """Return the content of file names that all come from one recipe."""
        recipes = [self.recipe(pattern) for pattern in files.patterns]
        first = recipes[0]
        return Content("files", first) if first is not None and all(recipe is first for recipe in recipes) else None

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
        if not self._counting or has_scheme(pattern) or "**" in pattern:
            return None
        recipe = self.recipe(pattern)
        if recipe is not None:
            return len(_matching(recipe, pattern.partition("/")[2]))
        if not is_glob(pattern):
            return 1
        names = glob.iglob(resolve_pattern(pattern, self._base_dir, {}))  # noqa: PTH207
        found = sum(1 for _ in itertools.islice(names, MAX_LISTED + 1))
        return found if found <= MAX_LISTED else None


def _ragged(described: RaggedArray) -> Tensor | None:
    depth, flat = 1, list(described.ragged)
    while any(isinstance(item, tuple) for item in flat):
        if not all(isinstance(item, tuple) for item in flat):
            return None
        depth, flat = depth + 1, [inner for item in flat for inner in item]
    values = literal(flat, None if described.dtype is None else str(described.dtype))
    if values is None or described.ragged_rank is not None or not flat:
        return None
    shape = (len(described.ragged), *(None,) * (depth - 1))
    return Tensor(values.dtype, shape, "ragged" if depth > 1 else "dense")


def _sparse(described: SparseArray) -> Tensor | None:
    parts = described.sparse
    values = literal(list(parts.values), None if parts.dtype is None else str(parts.dtype))
    return None if values is None else Tensor(values.dtype, tuple(parts.dense_shape), "sparse")


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


def _tensor_of(file: IO[bytes]) -> Tensor | None:
    shape, dtype = read_header(file)
    name = "string" if dtype.kind in "SU" else dtype.name
    # Numbers in another byte order are no tensors.
    fits = name in (*WIDTHS, "string") and (dtype.isnative or name == "string") and min(shape, default=0) >= 0
    return Tensor(name, shape) if fits else None
