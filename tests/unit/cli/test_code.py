"""Code in reports: what is broken to fit the screen still runs when it is pasted."""

from __future__ import annotations

import ast

import pytest

from pipeprof.cli.text.code import break_code

LINES = (
    "dataset = tf.data.TextLineDataset('a folder/frames of 430.csv').batch(128).map(parse, num_parallel_calls=calls)",
    "one, two = tf.numpy_function(lambda i: list(map(np.asarray, made(items[i]), ['float32', 'int64'])), [i], types)",
    "return tf.ensure_shape(one, [96, 96, 4]), tf.ensure_shape(two, [])",
    "# instead of the generator, whose elements were made on one thread, one after the other",
    "x = 'a text of several words that can be broken nowhere'",
)


@pytest.mark.parametrize("width", range(30, 120, 7))
def test_code_that_is_broken_means_the_same(width: int) -> None:
    body = [f"    {line}" for line in LINES]
    broken = "\n".join(break_code(body, width))
    assert ast.dump(ast.parse(f"def f():\n{broken}")) == ast.dump(ast.parse("\n".join(["def f():", *body])))
    assert width < 70 or max(map(len, broken.splitlines())) <= width


def test_what_fits_stays() -> None:
    assert list(break_code(["a = b  # c", "", "    d"], 12)) == ["a = b  # c", "", "    d"]
