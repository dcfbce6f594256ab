"""Functions of one element as functions of a batch: they give the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeprof.pipelines.static.by_batch import calls_tensorflow, rows_at_once, wrapped


class Sorted:
    """An array that is read by rising indices alone, as one of HDF5 is."""

    def __init__(self, values: Any) -> None:
        self.values, self.reads = np.asarray(values), 0

    def __getitem__(self, index: Any) -> Any:
        self.reads += 1
        if isinstance(index, np.ndarray) and index.ndim:
            assert (np.diff(index) > 0).all()
        return self.values[index]


@pytest.mark.parametrize(
    "body",
    [
        "return X['a'][i]",
        "row = X['a'][int(i)]\n    return row.astype(np.float32) / 255",
        "return X['a'][i], np.asarray(X['b'][i], np.int64)",
        "row, label = X['a'][i], X['b'][i]\n    return row[::-1] * label, label",
        "return (X['a'][i] - MEAN).sum()",
        "row = X['a'][i]\n    return {'x': row - MEAN, 'y': X['b'][i]}",
    ],
)
def test_rows_of_a_batch_are_read_with_one_access(body: str) -> None:
    stores = {"a": Sorted(np.arange(24).reshape(8, 3)), "b": Sorted(np.arange(8) % 3)}
    code = f"def read(i):\n    {body}\n"
    found = rows_at_once(code, "read", 2)
    assert found is not None
    namespace: dict[str, Any] = {"np": np, "X": stores, "MEAN": np.ones(3)}
    exec(code + "\n".join(found.lines), namespace)
    order = np.array([5, 1, 5, 0])
    each = [namespace["read"](i) for i in order]
    for store in stores.values():
        store.reads = 0
    whole = namespace[found.name](order)
    if isinstance(whole, dict):
        whole, each = list(whole.values()), [tuple(one.values()) for one in each]
    if isinstance(whole, tuple | list):
        for part, ones in zip(whole, zip(*each, strict=True), strict=True):
            np.testing.assert_array_equal(part, np.stack(ones))
    else:
        np.testing.assert_array_equal(whole, np.stack(each))
    assert all(store.reads <= 1 for store in stores.values())


@pytest.mark.parametrize(
    "body",
    [
        "return X[i + 1]",
        "return X[i] + i",
        "with lock:\n        return X[i]",
        "X[i] = 0\n    return X[i]",
        "table = open_it()\n    return table[i]",
        "return X[i:i + 3]",
        "if i:\n        return X[i]\n    return X[0]",
    ],
)
def test_what_is_no_row_by_its_index_stays(body: str) -> None:
    assert rows_at_once(f"def read(i):\n    {body}\n", "read", 2) is None
    assert rows_at_once("def read(i, j):\n    return X[i]\n", "read", 2) is None
    assert rows_at_once("def (", "read", 2) is None


def test_pandas_takes_rows_in_any_order() -> None:
    found = rows_at_once("def read(i):\n    row = df.iloc[int(i)]\n    return row['a'], row['b']\n", "read", 2)
    assert found is not None
    assert found.lines == ("def read_of_batch(i):", "    row = df.iloc[i]", "    return (row['a'], row['b'])")
    assert rows_at_once("def read(i):\n    return df.iloc[i].sum()\n", "read", 2) is None


@pytest.mark.parametrize(
    ("function", "inputs", "results"),
    [
        ("lambda i: tf.numpy_function(read, [i], tf.float32)", ("i",), ("value",)),
        ("lambda i, y: (tf.ensure_shape(tf.numpy_function(read, [i], tf.float32), [3]), y)", ("i",), ("value", "y")),
        (
            "def load(i, y):\n    x, z = tf.py_function(func=read, inp=[i], Tout=[tf.float32, tf.int64])\n    return x",
            ("i",),
            ("x",),
        ),
        (
            "def load(i, y):\n    x = tf.py_function(func=read, inp=[i], Tout=tf.float32)\n    return {'x': x}, y",
            ("i",),
            ("x", "y"),
        ),
        (
            "def load(i):\n    x, z = tf.py_function(read, [i], Tout=[tf.float32, tf.int64])\n    x.set_shape([3])\n"
            "    return {'z': z, 'a': x}",
            ("i",),
            ("x", "z"),
        ),
        ("def load(i):\n    x = tf.py_function(read, [i], tf.float32)\n    return x / 2", None, None),
        ("def load(i):\n    x = tf.py_function(read, [i + 1], tf.float32)\n    return x", None, None),
        ("def load(i):\n    return i", None, None),
        ("through(read)", None, None),
    ],
)
def test_a_map_that_only_calls_python(
    function: str, inputs: tuple[str, ...] | None, results: tuple[str, ...] | None
) -> None:
    found = wrapped(function)
    assert (found.inputs if found else None) == inputs
    assert (found.results if found else None) == results


@pytest.mark.parametrize(
    ("body", "same"),
    [
        ("raw = tf.io.read_file(path)\n    return tf.cast(flow.io.decode_jpeg(raw), tf.float32) / 255", True),
        ("return tf.io.read_file(path.numpy())", False),
        ("return np.load(path)", False),
        ("if path == '':\n        return path\n    return tf.io.read_file(path)", False),
        ("return path", False),
        ("return tf.io.read_file(f'{path}.jpg')", False),
        ("return tf.stack([tf.io.read_file(one) for one in path])", False),
    ],
)
def test_a_function_of_tensorflow_alone(body: str, same: bool) -> None:
    code = f"import tensorflow as tf, tensorflow as flow\ndef read(path):\n    {body}\n"
    assert calls_tensorflow(code, "read") is same
