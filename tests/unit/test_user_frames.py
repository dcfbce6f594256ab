"""The user's frames of an exception: with their lines, without those of TensorFlow, AutoGraph and Python's library."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.user_frames import MOST_FRAMES, frames_of_error

TENSORFLOW = f"{sysconfig.get_path('purelib')}/tensorflow/python/ops/script_ops.py"
GENERATED = "/tmp/__autograph_generated_file9rzuww7e.py"


def write(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def frames_of(error: BaseException) -> list[ErrorFrame]:
    """Its frames; those of this file count as the user's as well."""
    return [frame for frame in frames_of_error(error) if frame.file != __file__]


def raised_in(file: Path, call: str = "make()") -> BaseException:
    """What a call of a function of the file raises."""
    names: dict[str, object] = {"__name__": "train"}
    try:
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), names)
        exec(call, names)
    except BaseException as error:
        return error
    raise AssertionError


def test_frames_go_from_the_outside_to_the_inside_with_their_lines(tmp_path):
    file = write(tmp_path / "train.py", "def scale(x):\n    return 1 / x\n\n\ndef make():\n    return scale(0)\n")
    assert frames_of(raised_in(file)) == [
        ErrorFrame(str(file), 6, "make", "return scale(0)"),
        ErrorFrame(str(file), 2, "scale", "return 1 / x"),
    ]


def test_a_function_that_tensorflow_calls_is_found_in_the_text_of_the_error(tmp_path):
    file = write(
        tmp_path / "train.py", "def load(x):\n    return helper(x)\n\n\ndef helper(x):\n    raise ValueError\n"
    )
    text = (
        "ValueError: bad\nTraceback (most recent call last):\n\n"
        f'  File "{TENSORFLOW}", line 270, in __call__\n    ret = func(*args)\n\n'
        f'  File "{GENERATED}", line 8, in tf__load\n    x()\n\n'
        f'  File "{file}", line 2, in tf__load\n    return helper(x)\n\n'
        f'  File "{file}", line 6, in helper\n    raise ValueError\n\n\n\t [[{{{{node PyFunc}}}}]]'
    )
    assert frames_of_error(RuntimeError(text)) == [
        ErrorFrame(str(file), 2, "load", "return helper(x)"),
        ErrorFrame(str(file), 6, "helper", "raise ValueError"),
    ]


def test_frames_that_autograph_copies_into_the_text_are_not_repeated(tmp_path):
    file = write(tmp_path / "train.py", "def make():\n    raise ValueError(TEXT)\n")
    text = (
        f'in user code:\n\n    File "{file}", line 2, in make  *\n        raise ValueError(TEXT)\n\n    ValueError: x\n'
    )
    names = {"TEXT": text}
    try:
        exec(compile(file.read_text(), str(file), "exec"), names)
        names["make"]()
    except ValueError as error:
        found = frames_of(error)
    assert [(frame.line, frame.function) for frame in found] == [(2, "make")]


def test_causes_come_first(tmp_path):
    text = (
        "def make():\n    try:\n        {}['a']\n    except KeyError as error:\n        raise ValueError from error\n"
    )
    file = write(tmp_path / "train.py", text)
    assert [frame.line for frame in frames_of(raised_in(file))] == [3, 5]


def test_a_cause_that_was_hidden_stays_hidden(tmp_path):
    text = "def make():\n    try:\n        {}['a']\n    except KeyError:\n        raise ValueError from None\n"
    file = write(tmp_path / "train.py", text)
    assert [frame.line for frame in frames_of(raised_in(file))] == [5]


def test_a_syntax_error_has_its_own_place(tmp_path, monkeypatch):
    broken = write(tmp_path / "broken_module.py", "x = 1\ndef f(:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    file = write(tmp_path / "train.py", "import broken_module\n")
    assert frames_of(raised_in(file)) == [
        ErrorFrame(str(file), 1, "<module>", "import broken_module"),
        ErrorFrame(str(broken), 2, None, "def f(:"),
    ]


def test_a_module_that_is_missing_has_the_line_of_its_import(tmp_path):
    file = write(tmp_path / "train.py", "\nimport nothing_of_this_name\n")
    assert frames_of(raised_in(file)) == [ErrorFrame(str(file), 2, "<module>", "import nothing_of_this_name")]


def test_a_file_that_is_gone_has_no_lines():
    text = 'File "/home/me/gone.py", line 3, in f'
    assert frames_of_error(ValueError(text)) == [ErrorFrame("/home/me/gone.py", 3, "f", None)]


@pytest.mark.parametrize("text", ["", "no frames", f'File "{TENSORFLOW}", line 3, in f', 'File "<string>", line 1'])
def test_without_a_frame_of_the_users_there_are_none(text):
    assert frames_of_error(ValueError(text)) == []


def test_of_a_deep_traceback_both_ends_are_kept():
    text = "\n".join(f'File "/home/me/deep.py", line {n}, in f' for n in range(1, 101))
    found = [frame.line for frame in frames_of_error(ValueError(text))]
    assert len(found) == MOST_FRAMES
    assert (found[0], found[-1]) == (1, 100)
