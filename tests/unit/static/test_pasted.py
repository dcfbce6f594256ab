"""Code to paste has the names of its file, and what a file lacks is imported."""

from __future__ import annotations

import ast

import pytest

from pipeprof.pipelines.static.imports import Imports, in_file
from pipeprof.pipelines.static.unchanging import unknown_names


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("from tensorflow import keras\n", "class A(keras.callbacks.Callback): ..."),
        ("from tensorflow import keras as k\n", "class A(k.callbacks.Callback): ..."),
        ("import tf_keras as keras\n", "class A(keras.callbacks.Callback): ..."),
        ("import tensorflow as tf\nkeras = tf.keras\n", "class A(keras.callbacks.Callback): ..."),
        ("import tensorflow.keras\n", "import keras\nclass A(keras.callbacks.Callback): ..."),
    ],
)
def test_a_name_of_the_file_is_not_bound_again(file: str, line: str) -> None:
    assert in_file("class A(keras.callbacks.Callback): ...", file) == line


def test_an_import_of_a_submodule_names_its_package() -> None:
    imports = Imports(ast.parse("import numpy.random\nimport os.path as p"))
    assert imports.dotted(ast.parse("numpy.random.rand", mode="eval").body) == "numpy.random.rand"
    assert imports.dotted(ast.parse("p.join", mode="eval").body) == "os.path.join"


@pytest.mark.parametrize(
    ("file", "lines"),
    [
        ("import tensorflow as tf\nimport numpy as np\n", "x = np.zeros(tf.constant(3))"),
        ("import tensorflow.compat.v1 as tf\nimport numpy\n", "x = numpy.zeros(tf.constant(3))"),
        ("import tensorflow as flow\n", "import numpy as np\nx = np.zeros(flow.constant(3))"),
        ("import tensorflow as tf\nimport jax.numpy as np\n", "import numpy\nx = numpy.zeros(tf.constant(3))"),
        ("", "x = np.zeros(tf.constant(3))"),
        ("def (", "x = np.zeros(tf.constant(3))"),
    ],
)
def test_modules_have_the_names_of_the_file(file: str, lines: str) -> None:
    assert in_file("x = np.zeros(tf.constant(3))", file) == lines
    assert in_file(lines, file) == lines


def test_a_name_of_another_scope_is_not_known() -> None:
    file = (
        "import numpy as np\ndef load(i): ...\ndef rows():\n    order = [1]\n    return order\n"
        "def build(size):\n    return 1\n"
    )
    code = "items = list(order)\ndef one(i):\n    part = load(items[i])\n    return part[:size]\nones = map(one, items)"
    assert unknown_names(code, file, 7) == {"order"}
    assert unknown_names(code, file, 5) == {"size"}
    assert unknown_names(".map(load, …)", file, 1) == set()
    with pytest.raises(SyntaxError):
        unknown_names("def (")
