"""Rows of arrays saved by NumPy, as records of a fixed length in their files; no row is read."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeprof.pipelines.data.inspect.npy_header import read_header
from pipeprof.pipelines.ops.constants import WIDTHS
from pipeprof.pipelines.regular_files import open_regular

_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex", "b": "bool"}
_NOT_DECODED = frozenset({"uint32", "uint64"})
"""Types that ``tf.io.decode_raw`` does not give."""


@dataclass(frozen=True)
class SavedRows:
    """The rows of an array in a file, one after the other."""

    dtype: str
    shape: tuple[int, ...]
    count: int
    header_bytes: int

    @property
    def record_bytes(self) -> int:
        """Bytes of a row."""
        return (WIDTHS.get(self.dtype) or 0) * math.prod(self.shape)


def saved_rows(path: Path) -> SavedRows | None:
    """The rows in a ``.npy`` file; ``None`` where they are no records that TensorFlow decodes, or it cannot be read."""
    try:
        with open_regular(path) as file:
            header = read_header(file)
            at, size = file.tell(), path.stat().st_size
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, RecursionError, struct.error):
        return None
    if header is None or header.get("fortran_order") is not False:
        return None
    rows = _rows(header.get("descr"), header.get("shape"), at)
    return rows if rows is not None and at + rows.count * rows.record_bytes == size else None


def made_rows(dtype: str, shape: tuple[int, ...]) -> SavedRows | None:
    """The rows in a file that NumPy writes now."""
    import io

    import numpy as np

    file = io.BytesIO()
    header: dict[str, Any] = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return _rows(header["descr"], shape, len(file.getvalue()))


def _rows(descr: Any, shape: Any, header_bytes: int) -> SavedRows | None:
    """The rows of an array; none of types with names, in the other byte order, or that TensorFlow does not decode."""
    if not isinstance(descr, str) or descr[:1] not in "<|" or not descr[2:].isdigit() or not shape:
        return None
    kind, width = _KINDS.get(descr[1]), int(descr[2:])
    dtype = "bool" if kind == "bool" else f"{kind}{8 * width}"
    found = SavedRows(dtype, tuple(shape[1:]), shape[0], header_bytes)
    known = kind is not None and dtype not in _NOT_DECODED and WIDTHS.get(dtype) == width
    return found if known and found.record_bytes and found.count else None
