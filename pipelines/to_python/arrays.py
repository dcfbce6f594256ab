"""NumPy and TensorFlow expressions for a spec's arrays and tensors."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from pipeprof.pipelines.ops.values.arrays import CsvArray, FilesArray, LinesArray, RaggedArray, SparseArray
from pipeprof.pipelines.ops.values.structures import Array, Filling, MadeArray, NpyArray, NpzArray
from pipeprof.pipelines.ops.values.values import FilePatterns
from pipeprof.pipelines.to_python.code import call, listed, scalar, text
from pipeprof.pipelines.to_python.files import Files

_SYNTHESISED: Final = "data:"
_READ_COLUMNS: Final = '''\
def read_columns(path, delimiter=","):
    """The columns of a CSV file with a header: whole numbers, numbers (empty fields are NaN) or texts."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, delimiter=delimiter)

    def typed(fields):
        for kind in (int, float):
            try:
                return [kind(field) if field or kind is int else math.nan for field in fields]
            except ValueError:
                continue
        return fields

    return {name: np.array(typed([row[i] for row in rows])) for i, name in enumerate(header)}'''


def array(files: Files, described: Array) -> str:
    """Return the expression that reads or creates an array."""
    imports = files.module.imports
    if isinstance(described, RaggedArray | SparseArray):
        return _tensor(described)
    imports.add("import numpy as np")
    if isinstance(described, NpyArray):
        mapping = {"mmap_mode": text(described.mmap_mode)} if described.mmap_mode else {}
        return call("np.load", files.file(str(described.npy)), **mapping)
    if isinstance(described, NpzArray):
        return f"{call('np.load', files.file(str(described.npz)))}[{text(described.key)}]"
    return _array_expression(files, described)


def _array_expression(files: Files, described: MadeArray | FilesArray | LinesArray | CsvArray) -> str:
    if isinstance(described, MadeArray):
        return made_array(described.array)
    if isinstance(described, FilesArray):
        patterns = described.files
        return call("np.array", files.files(patterns, always_list=True) if isinstance(patterns, FilePatterns) else "[]")
    if isinstance(described, LinesArray):
        return call("np.array", lines_of(files, str(described.lines)))
    files.module.imports |= {"import csv", "import math"}
    files.module.helper("read_columns", _READ_COLUMNS)
    named = {} if described.field_delim == "," else {"delimiter": text(described.field_delim)}
    return call("read_columns", files.file(str(described.csv)), **named)


def lines_of(files: Files, path: str) -> str:
    """Return the expression for a file's lines as a list."""
    shown = files.file(path)
    shown = f"({shown})" if " / " in shown else shown
    return f'{shown}.read_text(encoding="utf-8").splitlines()'


def _tensor(described: RaggedArray | SparseArray) -> str:
    kind = described.dtype if isinstance(described, RaggedArray) else described.sparse.dtype
    dtype: dict[str, str] = {"dtype": f"tf.{kind}"} if kind is not None else {}
    if isinstance(described, RaggedArray):
        if described.ragged_rank is not None:
            dtype["ragged_rank"] = str(described.ragged_rank)
        return call("tf.ragged.constant", _lists(described.ragged), **dtype)
    parts = described.sparse
    rows: str = _lists(parts.indices)
    indices: str = call("tf.constant", rows, "tf.int64")
    if not parts.indices:
        indices = f"tf.zeros([0, {len(parts.dense_shape)}], tf.int64)"
    found = call("tf.constant", _lists(parts.values), **dtype)
    return call("tf.SparseTensor", indices, found, repr(list(parts.dense_shape)))


def _lists(value: Any) -> str:
    return listed(map(_lists, value)) if isinstance(value, list | tuple) else scalar(value)


def made_array(filling: Filling) -> str:
    """Return the NumPy expression for a synthesised array; same values as `pipelines.build.context`."""
    kind = str(filling.dtype)
    size = repr(tuple(filling.shape))
    if filling.fill == "zeros":
        return call("np.zeros", size, f"np.{_numpy(kind)}")
    if filling.fill == "arange":
        made = f"np.arange({math.prod(filling.shape)})"
        made += "" if kind == "int64" else f".astype(np.{_numpy(kind)})"
        return made if len(filling.shape) == 1 else f"{made}.reshape({size})"
    generator = f"np.random.default_rng({filling.seed})"
    if kind.startswith("complex"):
        pair = f"{generator}.random((2, {math.prod(filling.shape)}), dtype=np.float32)"
        return f"({pair} * [[1], [1j]]).sum(0).reshape({size}).astype(np.{kind})"
    if kind.startswith("float"):
        drawn = kind if kind in ("float32", "float64") else "float32"
        argument = "" if drawn == "float64" else ", dtype=np.float32"
        made = f"{generator}.random({size}{argument})"
        return made if drawn == kind else f"{made}.astype(np.{kind})"
    levels = {"bool": 2, "int8": 128}.get(kind, 256)
    made = f"{generator}.integers(0, {levels}, {size}, dtype=np.uint8)"
    return made if kind == "uint8" else f"{made}.astype(np.{_numpy(kind)})"


def _numpy(kind: str) -> str:
    return "bool_" if kind == "bool" else kind


def array_noun(described: Array, default: str) -> str:
    """Return the noun for an array, from its file or input."""
    if isinstance(described, NpzArray):
        return described.key
    if isinstance(described, FilesArray):
        return "paths"
    name = next((str(vars(described)[key]) for key in ("npy", "lines", "csv") if key in vars(described)), None)
    if name is None:
        return default
    stem = re.sub(r"\.\w+$", "", name.rpartition("/")[2])
    synthesised = name.startswith(_SYNTHESISED) and stem == "data"
    return name.removeprefix(_SYNTHESISED).partition("/")[0] if synthesised else stem
