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
    found = rows_at_once(f"{code}import h5py\nX = h5py.File('a.h5')\n", "read", 2)
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
        "return [X[i] for X in others]",
        "if i:\n        return X[i]\n    return X[0]",
    ],
)
def test_what_is_no_row_by_its_index_stays(body: str) -> None:
    after = "import numpy as np\nX = np.load('x.npy')\n"
    assert rows_at_once(f"def read(i):\n    {body}\n{after}", "read", 2) is None
    assert rows_at_once(f"def read(i, j):\n    return X[i]\n{after}", "read", 2) is None
    assert rows_at_once(f"def read(i):\n    return X[i]\n{after}", "read", 2) is not None
    assert rows_at_once("def (", "read", 2) is None


@pytest.mark.parametrize(
    ("made", "table"),
    [
        ("X = np.load('x.npy')", True),
        ("X, Y = np.load('x.npy'), [1, 2]", True),
        ("(X, Y), others = keras.datasets.mnist.load_data()", True),
        ("X = np.load('x.npy').astype('float32') / 255", True),
        ("X = np.array([1, 2])[1:]", True),
        ("Y = np.load('x.npy')\nX = Y", True),
        ("with h5py.File('a') as X:\n    pass", True),
        ("def load():\n    return np.ones(3), np.ones(2)\nX, Y = load()", True),
        ("X = [1, 2]", False),
        ("X = {1: 2}", False),
        ("X = [one for one in range(9)]", False),
        ("X = dict(a=1)", False),
        ("X = list(np.ones(3))", False),
        ("X = np.ones(3).tolist()", False),
        ("X = sorted(found)", False),
        ("X = open('x').readlines()", False),
        ("X = json.load(open('x'))", False),
        ("X = pickle.load(file)", False),
        ("Y = [1, 2]\nX = Y", False),
        ("Y, X = np.load('x.npy'), [1, 2]", False),
        ("def load():\n    return [1, 2]\nX = load()", False),
        ("X = np.ones(3)\nX = [1, 2]", False),
        ("X: list[int] = [1, 2]", False),
        ("from data import X", False),
        ("for X in others:\n    pass", False),
    ],
)
def test_only_arrays_and_tables_are_indexed_by_arrays(made: str, table: bool) -> None:
    code = f"import h5py, json, keras, pickle\nimport numpy as np\n{made}\n"
    read = "def read(i):\n    return X[i]\n"
    line = code.count("\n") + 2
    assert (rows_at_once(code + read, "read", line) is not None) is table
    assert (rows_at_once(read, "read", 2, code) is not None) is table


@pytest.mark.parametrize(
    ("base", "given", "table"),
    [
        ("rows", "np.ones(3)", True),
        ("rows", "[1, 2]", False),
        ("rows['x']", "{'x': np.ones(3), 'y': [1]}", True),
        ("rows['y']", "{'x': np.ones(3), 'y': [1]}", False),
    ],
)
def test_what_functions_and_classes_are_given_is_traced(base: str, given: str, table: bool) -> None:
    code = f"import numpy as np\ndef make(rows):\n    def read(i):\n        return {base}[i]\nHELD = {given}\n"
    assert (rows_at_once(f"{code}make(HELD)\n", "read", 4) is not None) is table
    assert rows_at_once(code, "read", 4) is None


@pytest.mark.parametrize(("given", "table"), [("np.ones(3)", True), ("[1, 2]", False)])
def test_what_an_object_holds_is_traced(given: str, table: bool) -> None:
    of_class = "class Rows:\n    def __init__(self, rows):\n        self.rows = rows\n"
    code = f"import numpy as np\n{of_class}held = Rows({given})\ndef read(i):\n    return held.rows[i]\n"
    assert (rows_at_once(code, "read", 7) is not None) is table


def test_pandas_takes_rows_in_any_order() -> None:
    table = "import pandas as pd\ndf = pd.read_csv('x.csv')\n"
    code = f"def read(i):\n    row = df.iloc[int(i)]\n    return row['a'], row['b']\n{table}"
    found = rows_at_once(code, "read", 2)
    assert found is not None
    assert found.lines == ("def read_of_batch(i):", "    row = df.iloc[i]", "    return (row['a'], row['b'])")
    assert rows_at_once(f"def read(i):\n    return df.iloc[i].sum()\n{table}", "read", 2) is None


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
