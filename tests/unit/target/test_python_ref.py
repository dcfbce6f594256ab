"""References to Python functions: names, attributes and calls with literals; the names are in `test_target`."""

import pytest

from pipeprof.pipelines.target.python_ref import filled_call, split_reference


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("../a b/steps.py:Rows.parse", ("../a b/steps.py", "Rows.parse", "")),
        ("steps.py:make(224, mode='a:b')", ("steps.py", "make", "(224, mode='a:b')")),
        ("steps:train", None),
        ("steps.py:1a", None),
        ("steps.py:a.", None),
    ],
)
def test_a_reference_is_split(text, parts):
    assert split_reference(text) == parts


@pytest.mark.parametrize("text", ["(size)", "(b())", "(**{})", "(1)(2)", "(1, ...)", "() or b()", "(1"])
def test_arguments_are_literals(text):
    with pytest.raises(ValueError, match=r".*"):
        filled_call(text)


def test_calls_have_values():
    assert filled_call("(1, b=[2])") == (False, (1,), {"b": [2]})
    assert filled_call("(..., 1)") == (True, (1,), {})
