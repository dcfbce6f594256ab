"""References to Python functions: names, attributes and calls with literals."""

from pathlib import Path

import pytest

from pipeprof.pipelines.ops.values.python_ref import FilledCall, PythonRef, parse_plain_python_ref, parse_python_ref
from pipeprof.pipelines.target.names_in_file import missing_name

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
    ("text", "function", "arguments"),
    [
        ("steps.py:train", "train", ""),
        ("../a b/steps.py:Rows.parse", "Rows.parse", ""),
        ("steps.py:make(224, mode='a:b')", "make", "(224, mode='a:b')"),
        ("steps.py:Rows.parse(..., size=(2, 3))", "Rows.parse", "(..., size=(2, 3))"),
    ],
)
def test_a_reference_is_split_and_written_as_it_was(text, function, arguments):
    found = parse_python_ref(text)
    assert (found.function, found.arguments) == (function, arguments)
    assert str(found) == text


@pytest.mark.parametrize(
    "text",
    [
        "steps:train", "steps.py", "steps.py:", "steps.py:1a", "steps.py:a.", "steps.py:make(size)", "steps.py:a(b())",
        "steps.py:a(**{})", "steps.py:a(1)(2)", "steps.py:a(1, ...)", "steps.py:a() or b()", "steps.py:a(1", 3, None,
    ],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        parse_python_ref(text)


def test_calls_have_values():
    assert PythonRef("a.py", "f").call is None
    assert PythonRef("a.py", "f", "(1, b=[2])").call == FilledCall(False, (1,), {"b": [2]})
    assert PythonRef("a.py", "f", "(..., 1)").call == FilledCall(True, (1,), {})


def test_a_step_is_a_plain_function():
    assert parse_plain_python_ref("a.py:f") == PythonRef("a.py", "f")
    for text in ("a.py:A.f", "a.py:f(1)"):
        with pytest.raises(ValueError, match="expected a file and a function"):
            parse_plain_python_ref(text)


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
