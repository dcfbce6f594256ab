"""``check --python`` prints Python and nothing else."""

from __future__ import annotations

import ast

import pytest

from pipeprof.cli.main import invoke


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(
        "version: 1\nname: numbers\ndata:\n  photos: {image_folder: {count: 4, classes: 2}}\n"
        'source: {list_files: {file_pattern: "data:photos/*/*.jpg"}}\nstages:\n- batch: {batch_size: 2}\n'
    )
    return path


def test_stdout_is_python_alone(spec, capsys):
    assert invoke(["check", str(spec), "--python"]) == 0
    printed = capsys.readouterr()
    tree = ast.parse(printed.out)
    assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] == ["make_dataset"]
    assert printed.err == ""


def test_the_folder_of_an_input_is_the_one_in_the_cache(spec, capsys, cache_dir):
    assert invoke(["check", str(spec), "--python"]) == 0
    assert f'PHOTOS = Path("{cache_dir}/image_folder-' in capsys.readouterr().out


def test_changes_are_in_it_and_said(spec, capsys):
    assert invoke(["check", str(spec), "--python", "--set", "stages.0.batch_size=3"]) == 0
    printed = capsys.readouterr().out
    assert ".batch(3)" in printed
    assert "with --set stages.0.batch_size=3" in printed


def test_a_spec_that_is_wrong_gives_no_python(spec, capsys):
    assert invoke(["check", str(spec), "--python", "--set", "stages.0.batch_size=0"]) == 2
    assert capsys.readouterr().out == ""


def test_a_function_is_python_already(tmp_path, capsys):
    path = tmp_path / "own.py"
    path.write_text("def make():\n    return None\n")
    assert invoke(["check", f"{path}:make", "--python"]) == 2
    assert "--python converts a spec" in capsys.readouterr().err


def test_functions_that_are_attributes_or_made_by_calls_are_written_as_such(tmp_path, capsys):
    (tmp_path / "rows.py").write_text(
        "class Rows:\n    @staticmethod\n    def parse(row): ...\ndef make(size): ...\ndef train(size): ...\n"
    )
    path = tmp_path / "spec.yaml"
    path.write_text(
        'version: 1\nsource: {python: {function: "rows.py:train(..., size=3)"}}\nstages:\n'
        '- map: {python: "rows.py:Rows.parse"}\n- map: {python: "rows.py:make(4)"}\n'
    )
    assert invoke(["check", str(path), "--python"]) == 0
    tree = ast.parse(capsys.readouterr().out)
    bound = {ast.unparse(one.targets[0]): ast.unparse(one.value) for one in tree.body if isinstance(one, ast.Assign)}
    assert bound == {"train_filled": "functools.partial(train, size=3)", "make_filled": "make(4)"}
    (imported,) = [one for one in tree.body if isinstance(one, ast.ImportFrom)]
    assert {alias.name for alias in imported.names} == {"train", "Rows", "make"}
    (made,) = [one for one in tree.body if isinstance(one, ast.FunctionDef)]
    written = ast.unparse(made)
    assert "train_filled()" in written
    assert ".map(Rows.parse)" in written
    assert ".map(make_filled)" in written


def test_stages_that_are_left_out_of_a_function_are_no_python(tmp_path, capsys):
    (tmp_path / "rows.py").write_text("def train(): ...\n")
    path = tmp_path / "spec.yaml"
    path.write_text('version: 1\nsource: {python: {function: "rows.py:train", without: [batch]}}\n')
    assert invoke(["check", str(path)]) == 0
    capsys.readouterr()
    assert invoke(["check", str(path), "--python"]) == 2
    said = capsys.readouterr().err
    assert "--python cannot take the stages batch out of what rows.py:train returns" in said
    assert "copy the function without these stages, name the copy in the source, and remove `without`" in said
    path.write_text('version: 1\nsource: {python: {function: "rows.py:train", without: [bacth]}}\n')
    assert invoke(["check", str(path)]) == 2
    assert "did you mean batch?" in capsys.readouterr().out
