"""References to Python functions: names, attributes and calls with literals."""

from pathlib import Path

import pytest

from pipeprof.pipelines.target.names_in_file import missing_name
from pipeprof.pipelines.target.python_ref import filled_call, split_reference

FILE = """
import functools
from .tools import *
class Rows:
    size = 3
    def parse(self): ...
    decode = staticmethod(len)
class Other(Rows): ...
ROWS = Rows()
parse = functools.partial(len, 3)
TEXT = "a"
def make(size): ...
"""


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("steps.py:train", ("steps.py", "train", "")),
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


@pytest.mark.parametrize("name", ["make", "parse", "Rows.decode", "Rows.size", "ROWS.parse", "Other.any", "Other"])
def test_names_that_a_file_may_have(tmp_path: Path, name):
    (tmp_path / "a.py").write_text(FILE.replace("from .tools import *\n", ""))
    assert missing_name(tmp_path / "a.py", name, "a.py") is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mak", "no function 'mak' in a.py, which defines Other, ROWS, parse, make"),
        ("TEXT", "no function 'TEXT'"),
        ("Rows.parse", "no function 'Rows.parse' in a.py (see line 3), which defines Rows.size, Rows.decode"),
        ("Row.parse", "no function 'Row.parse' in a.py"),
    ],
)
def test_names_that_a_file_does_not_have(tmp_path: Path, name, said):
    (tmp_path / "a.py").write_text(FILE.replace("from .tools import *\n", ""))
    message, _ = missing_name(tmp_path / "a.py", name, "a.py") or ("", [])
    assert message.startswith(said)


def test_a_file_that_imports_everything_may_have_any_object(tmp_path: Path):
    (tmp_path / "a.py").write_text(FILE)
    assert missing_name(tmp_path / "a.py", "THING.parse", "a.py") is None
