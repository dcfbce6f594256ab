"""Rows of saved arrays as records of their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeprof.pipelines.inference.saved_rows import SavedRows, made_rows, saved_rows


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool", "float16", "complex64"])
def test_the_rows_lie_where_the_header_ends(tmp_path: Path, dtype: str) -> None:
    path, array = tmp_path / "x.npy", np.arange(24).reshape(4, 3, 2).astype(dtype)
    np.save(path, array)
    rows = saved_rows(path)
    assert rows == SavedRows(dtype, (3, 2), 4, path.stat().st_size - array.nbytes)
    assert rows == made_rows(dtype, (4, 3, 2))
    record = path.read_bytes()[rows.header_bytes :][rows.record_bytes : 2 * rows.record_bytes]
    assert np.array_equal(np.frombuffer(record, dtype).reshape(rows.shape), array[1])


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.ones((4, 3))),
        np.ones((4, 3), ">f4"),
        np.ones((4, 3), np.uint32),
        np.array(["a", "bc"]),
        np.float32(1),
        np.ones((0, 3), np.float32),
        np.ones((4, 0), np.float32),
        np.zeros(3, [("a", "<f4")]),
        np.zeros(3, "datetime64[s]"),
    ],
)
def test_what_tensorflow_does_not_decode_in_order_is_no_record(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "x.npy", array)
    assert saved_rows(tmp_path / "x.npy") is None


def test_a_file_that_is_no_array_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    assert saved_rows(path) is None
    path.write_bytes(b"\x93NUMPY\x01\x00\xff")
    assert saved_rows(path) is None
    np.save(path, np.ones((4, 3), np.float32))
    path.write_bytes(path.read_bytes()[:-1])
    assert saved_rows(path) is None
