"""Code to paste has the names of its file, and what a file lacks is imported."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.static.imports import in_file
from pipeprof.pipelines.static.unchanging import unknown_names


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
