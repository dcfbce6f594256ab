"""The user's frames of an exception: with their lines, without those of TensorFlow, AutoGraph and Python's library."""

from __future__ import annotations

import sysconfig
from importlib import import_module
from pathlib import Path

import pytest

from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.user_frames import MOST_FRAMES, frames_of_error

TENSORFLOW = f"{sysconfig.get_path('purelib')}/tensorflow/python/ops/script_ops.py"
GENERATED = "/tmp/__autograph_generated_file9rzuww7e.py"


def frames_in(file: Path, text: str, call: str = "make()") -> list[tuple[int, str | None]]:
    """The lines and functions of the frames of what a call of a function of this file raises."""
    file.write_text(text, encoding="utf-8")
    names: dict[str, object] = {"__name__": "train"}
    try:
        exec(compile(text, str(file), "exec"), names)
        exec(call, names)
    except Exception as error:
        # Those of this file count as the user's as well.
        found = [frame for frame in frames_of_error(error) if frame.file != __file__]
        assert {frame.file for frame in found} == {str(file)}
        assert [frame.source for frame in found] == [text.splitlines()[frame.line - 1].strip() for frame in found]
        return [(frame.line, frame.function) for frame in found]
    raise AssertionError


CAUSED = "def make():\n    try:\n        {}['a']\n    except KeyError as error:\n        raise ValueError from %s\n"
COPIED = 'in user code:\n\n    File "{0}", line 2, in make  *\n        raise ValueError(TEXT)\n\n    ValueError: x\n'


def test_frames_go_from_the_outside_to_the_inside_and_causes_come_first(tmp_path):
    copied = COPIED.format(tmp_path / "4.py")
    cases = (
        ("def f(x):\n    return 1 / x\n\n\ndef make():\n    return f(0)\n", [(6, "make"), (2, "f")]),
        (CAUSED % "error", [(3, "make"), (5, "make")]),
        (CAUSED % "None", [(5, "make")]),
        ("\nimport nothing_of_this_name\n", [(2, "<module>")]),
        # What AutoGraph copies into the text of an error is not repeated.
        (f"def make():\n    raise ValueError(TEXT)\n\n\nTEXT = {copied!r}\n", [(2, "make")]),
    )
    # Each in a file of its own: Python keeps the lines of a file that it has read.
    for number, (text, frames) in enumerate(cases):
        assert frames_in(tmp_path / f"{number}.py", text) == frames


def test_a_function_that_tensorflow_calls_is_found_in_the_text_of_the_error(tmp_path):
    file = tmp_path / "train.py"
    file.write_text("def load(x):\n    return helper(x)\n\n\ndef helper(x):\n    raise ValueError\n")
    text = (
        "ValueError: bad\nTraceback (most recent call last):\n\n"
        f'  File "{TENSORFLOW}", line 270, in __call__\n    ret = func(*args)\n\n'
        f'  File "{GENERATED}", line 8, in tf__load\n    x()\n\n'
        f'  File "{file}", line 2, in tf__load\n    return helper(x)\n\n'
        f'  File "{file}", line 6, in helper\n    raise ValueError\n\n\n\t [[{{{{node PyFunc}}}}]]\n'
        'File "/home/me/gone.py", line 3, in f'
    )
    assert frames_of_error(RuntimeError(text)) == [
        ErrorFrame(str(file), 2, "load", "return helper(x)"),
        ErrorFrame(str(file), 6, "helper", "raise ValueError"),
        ErrorFrame("/home/me/gone.py", 3, "f", None),
    ]


def test_a_syntax_error_has_its_own_place(tmp_path, monkeypatch):
    broken = tmp_path / "broken_module.py"
    broken.write_text("x = 1\ndef f(:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SyntaxError) as raised:
        import_module("broken_module")
    assert frames_of_error(raised.value)[-1] == ErrorFrame(str(broken), 2, None, "def f(:")


@pytest.mark.parametrize("text", ["", "no frames", f'File "{TENSORFLOW}", line 3, in f', 'File "<string>", line 1'])
def test_without_a_frame_of_the_users_there_are_none(text):
    assert frames_of_error(ValueError(text)) == []


def test_of_a_deep_traceback_both_ends_are_kept():
    text = "\n".join(f'File "/home/me/deep.py", line {n}, in f' for n in range(1, 101))
    found = [frame.line for frame in frames_of_error(ValueError(text))]
    assert len(found) == MOST_FRAMES
    assert (found[0], found[-1]) == (1, 100)
