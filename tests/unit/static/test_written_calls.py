"""Calls as a file's text has them."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.static.written_calls import function_given


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
