"""Calls as a file's text has them."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.static.written_calls import parameters_given


def test_the_column_tells_two_calls_of_a_line_apart() -> None:
    text = "def decode(a, b):\n    return a\nds = ds.map(lambda x: x + 1).map(decode)\n"
    assert parameters_given(text, 3, 9, "map") == 1
    assert parameters_given(text, 3, 30, "map") == 2
    assert parameters_given(text, 3, None, "map") is None


@pytest.mark.parametrize(
    "call", ["(", "ds.map(*given)", "ds.map()", "ds.map(through(f))", "ds.map(f)", "ds.map(lambda *x: x)"]
)
def test_what_a_text_does_not_show_is_none(call: str) -> None:
    twice = "def f(x):\n    return x\ndef f(x, y):\n    return x\n"
    assert parameters_given(f"{twice}ds = {call}\n", 5, None, "map") is None
