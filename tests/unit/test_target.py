"""Targets: specs and functions, found without importing anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.target import Target, load_function, module_name_of, parse_target, top_level_functions

SOURCE = """
import never_installed
from other import imported as known_as
CONSTANT = 3
made = make()
if CONSTANT:
    def conditional(): ...
def train_data(): ...
class NotThis: ...
async def later(): ...
def train_eval():
    def inner(): ...
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    (tmp_path / "flowers.yaml").write_text("version: 1\n")
    (tmp_path / "input_pipeline.py").write_text(SOURCE)
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "wrong.py").write_text("def f(:\n")
    return tmp_path


def test_specs_and_functions(folder: Path) -> None:
    assert parse_target("flowers.yaml") == Target("spec", Path("flowers.yaml"))
    target = parse_target(f"{folder}/input_pipeline.py:train_data")
    assert target == Target("function", folder / "input_pipeline.py", "train_data")
    assert str(target) == f"{folder}/input_pipeline.py:train_data"


def test_functions_are_found_without_running_the_file(folder: Path) -> None:
    found = top_level_functions(folder / "input_pipeline.py")
    assert found == ["known_as", "made", "conditional", "train_data", "later", "train_eval"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("flower.yaml", ["flower.yaml, which does not exist", "did you mean flowers.yaml?"]),
        ("input_pipelin.py:train_data", ["does not exist", "did you mean input_pipeline.py?"]),
        ("input_pipeline.py", ["input_pipeline.py:function", "known_as, made, conditional, train_data"]),
        ("input_pipeline.py:", ["input_pipeline.py:function", "train_data"]),
        ("input_pipeline.py:train_dat", ["'train_dat'", "did you mean train_data?"]),
        ("input_pipeline.py:zzz", ["'zzz'", "it defines known_as"]),
        ("input_pipeline.py:CONSTANT", ["'CONSTANT'"]),
        ("empty.py", ["it defines no functions"]),
        ("wrong.py:f", ["wrong.py:1", "no Python"]),
        ("flowers", ["'flowers'", "expected spec.yaml (or .yml), file.py:function or", "did you mean flowers.yaml?"]),
        ("", ["expected spec.yaml"]),
        (".", ["folder"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder: Path, text: str, parts: list[str]) -> None:
    del folder
    with pytest.raises(UsageError) as caught:
        parse_target(text)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_function_is_loaded_with_its_folder_on_the_path(folder: Path) -> None:
    (folder / "neighbour_of_it.py").write_text("ANSWER = 42\n")
    (folder / "made_here.py").write_text(
        "from neighbour_of_it import ANSWER\ndef answer():\n    return ANSWER, __name__\n"
    )
    function = load_function(parse_target("made_here.py:answer"))
    assert function() == (42, "made_here")
    assert load_function(parse_target("made_here.py:answer")) is function


def test_a_file_that_has_the_name_of_a_module_hides_nothing(folder: Path) -> None:
    (folder / "json.py").write_text("def data():\n    return __name__\n")
    assert module_name_of(folder / "json.py") != "json"
    assert load_function(parse_target("json.py:data"))() == "_pipeprof_target_json"
    assert not hasattr(sys.modules["json"], "data")


def test_what_the_file_raises_passes_through(folder: Path) -> None:
    (folder / "raises.py").write_text("def f(): ...\nraise RuntimeError('while importing')\n")
    with pytest.raises(RuntimeError, match="while importing"):
        load_function(parse_target("raises.py:f"))
    assert "raises" not in sys.modules


def test_a_name_that_is_no_function_after_all(folder: Path) -> None:
    (folder / "late.py").write_text("f = int('3')\n")
    with pytest.raises(UsageError, match="no function once the file has run"):
        load_function(parse_target("late.py:f"))
