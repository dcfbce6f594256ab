"""What `check` says of a spec's text, where its keys are numbers and its mistakes are near each other."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeprof.pipelines.build.python_files import resolve_reference
from pipeprof.pipelines.spec.paths import PathError
from pipeprof.profiles.document.profile import Profile
from tests.unit.cli.reports import Pipeprof

START = "version: 1\nsource: {range: {stop: 3}}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def errors(pipeprof: Pipeprof, text: str) -> list[Any]:
    Path("spec.yaml").write_text(START + text)
    done = pipeprof("check", "--no-build", "spec.yaml", "--json")
    assert done.code == 2, done.err
    return list(Profile.model_validate_json(done.out).errors or ())


@pytest.mark.parametrize("text", ["5: 1\n", "data: {}\n5: 1\n", "measure:\n  5: 1\n"])
def test_an_unknown_key_that_is_a_number_has_its_own_line(text, pipeprof):
    (error,) = errors(pipeprof, text)
    assert (error.line, error.length) == (2 + text.count("\n"), 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((f"measure: {{{value}}}", "a whole number of at least") for value in ("steps: 0", "seed: -1", "seed: x")),
        ("data: {a b: {npy: {shape: [3], dtype: float32}}}", "and ."),
    ],
)
def test_a_wrong_value_or_name_is_told_what_there_may_be(text, said, pipeprof):
    (error,) = errors(pipeprof, f"{text}\n")
    assert said in error.message


@pytest.mark.parametrize("name", ["tf.keras.layers.Foo", "tf.keras.layers.Dense"])
def test_a_function_is_no_slip_for_another_with_the_same_module(name, pipeprof):
    (error,) = errors(pipeprof, f"stages:\n  - map: {{ops: [{name}: {{}}]}}\n")
    assert "did you mean" not in error.message


@pytest.mark.parametrize("arguments", ["(3, size=4)", "()"])
def test_wrong_arguments_of_a_function_that_makes_one_are_those_of_the_reference(arguments):
    module = ModuleType("own")
    module.make = lambda n: lambda x: x + n  # type: ignore[attr-defined]  # a module of the user's
    with pytest.raises(PathError, match=r"own\.py:make"):
        resolve_reference(module, f"own.py:make{arguments}")
