"""Calls as a file's text has them."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.static.written_calls import function_given, parts_of_loop, stacked_row

LOOP = """
def part(name):
    path = name + ".rec"
    return TFRecordDataset({argument}).map(f)

def build():
    for name in NAMES:
        ds = ds.concatenate({call})
"""


def test_the_column_tells_two_calls_of_a_line_apart() -> None:
    text = "ds = ds.map(lambda x: x + 1).map(decode)\n"
    assert getattr(function_given(text, 1, 9, "map"), "text", None) == "lambda x: x + 1"
    assert getattr(function_given(text, 1, 30, "map"), "text", None) == "decode"
    assert function_given(text, 1, None, "map") is None


@pytest.mark.parametrize("text", ["ds = (", "ds = ds.map(*given)\n", "ds = ds.map()\n"])
def test_what_a_text_does_not_show_is_none(text: str) -> None:
    assert function_given(text, 1, None, "map") is None


def test_a_function_that_a_call_makes_stays_a_call() -> None:
    assert getattr(function_given("ds = ds.map(through(f))\n", 1, None, "map"), "text", None) == "through(f)"


@pytest.mark.parametrize(
    ("argument", "call", "every"),
    [
        ("name", "part(name)", "[name for name in NAMES]"),
        ("path", "part(name)", None),
        ("name", "part(name, 1)", None),
        ("name", "other(name)", None),
    ],
)
def test_parts_of_a_loop_are_made_of_what_it_runs_over(argument: str, call: str, every: str | None) -> None:
    found = parts_of_loop(
        LOOP.format(argument=argument, call=call), (4, None, "TFRecordDataset"), (8, None, "concatenate")
    )
    assert getattr(found, "every", None) == every


def test_only_a_function_that_does_nothing_else_with_its_columns_takes_a_row() -> None:
    assert stacked_row("def pack(*c):\n    return tf.stack(c), c[0]") is None
    assert stacked_row("def pack(a, b):\n    return tf.stack([a, b])") is None
    assert stacked_row("def pack(*c):\n    return tf.stack(c, axis=1)") is None
