"""Calls as a file's text has them: the one that takes most of the time of Python, and what it is given."""

import pytest

from pipeprof.pipelines.static.written_calls import hot_call, parameters_given

CODE = """\
import h5py
from concurrent.futures import ProcessPoolExecutor

COUNT = 0


def build():
    return [one for one in range(9)]


def count():
    global COUNT
    COUNT += 1
    return COUNT


def rows():
    yield from range(9)


def element(number):
    table = build()
    store = h5py.File("a.h5")
    place = count()
    seen = list(rows())
    return table[number] + store["x"][place] + len(seen)


def received(names):
    with ProcessPoolExecutor() as pool:
        for result in pool.map(element, names):
            yield result


def make():
    return tf.data.Dataset.range(9).map(lambda one: tf.py_function(element, [one], tf.int64))


TABLE = build()
"""


@pytest.mark.parametrize(
    ("functions", "shares", "text", "line", "kind"),
    [
        ({"build", "element"}, {8: 0.7, 24: 0.2}, "build()", 22, "same each time"),
        # Of a function that was not seen it is not known where it is called.
        ({"build"}, {8: 0.7}, "range(9)", 8, "other"),
        ({"element"}, {23: 0.7, 26: 0.3}, "h5py.File('a.h5')", 23, "same each time"),
        ({"count", "element"}, {14: 0.3, 24: 0.5}, "count()", 24, "other"),
        ({"rows", "element"}, {18: 0.3, 25: 0.5}, "list(rows())", 25, "other"),
        ({"received"}, {31: 0.8}, "pool.map(element, names)", 31, "from processes"),
        ({"element"}, {26: 0.9}, "len(seen)", 26, "other"),
    ],
)
def test_the_call_with_most_of_the_time(functions, shares, text, line, kind):
    found = hot_call(CODE, functions, shares)
    assert (found.text, found.line, found.kind) == (text, line, kind)


def test_of_a_line_with_several_calls_none_has_its_time():
    code = "def scaled(x):\n    return (x - x.mean(axis=(0, 1))) / x.std()\n"
    found = hot_call(code, {"scaled"}, {2: 0.7})
    assert (found.text, found.line, found.share) == ("", 2, 0.7)


def test_a_pipeline_that_passes_a_function_on_is_no_call_of_it():
    assert hot_call(CODE, {"<lambda>"}, {36: 1.0}).text == "tf.py_function(element, [one], tf.int64)"  # type: ignore[union-attr]
    assert hot_call(CODE, {"element"}, {36: 1.0}) is None


@pytest.mark.parametrize("text", ["def (", "", "x = 1"])
def test_a_text_that_does_not_show_it_has_none(text):
    assert hot_call(text, {"f"}, {1: 1.0}) is None


def test_the_column_tells_two_calls_of_a_line_apart():
    text = "def decode(a, b):\n    return a\nds = ds.map(lambda x: x + 1).map(decode)\n"
    assert parameters_given(text, 3, 9, "map") == 1
    assert parameters_given(text, 3, 30, "map") == 2
    assert parameters_given(text, 3, None, "map") is None


@pytest.mark.parametrize(
    "call", ["(", "ds.map(*given)", "ds.map()", "ds.map(through(f))", "ds.map(f)", "ds.map(lambda *x: x)"]
)
def test_what_a_text_does_not_show_is_none(call):
    twice = "def f(x):\n    return x\ndef f(x, y):\n    return x\n"
    assert parameters_given(f"{twice}ds = {call}\n", 5, None, "map") is None
