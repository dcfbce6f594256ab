"""`pipeprof init --from file.py:function`: what is asked of the worker, and what is said of its answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.commands.init import is_function
from pipeprof.cli.main import invoke
from pipeprof.pipelines.errors import PipelineFailedError
from pipeprof.profiles.harness import describe_function as describe
from pipeprof.profiles.harness.describe_function import DescribedTarget

ANSWER = DescribedTarget(
    text="version: 1\nsource: {range: {stop: 3}}\n",
    unsaid=(),
    stages=2,
    python=None,
    equal=True,
    why=None,
    differences=(),
    warnings=(),
    printed="",
)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A folder with a function, and what the worker was asked for; `answer` is what it says."""
    (tmp_path / "input.py").write_text("def train(size: int = 3):\n    ...\n")
    monkeypatch.chdir(tmp_path)
    seen: dict[str, Any] = {"answer": ANSWER}

    def answer(target: str, arguments: Any, **job: Any) -> DescribedTarget:
        seen.update(target=target, arguments=list(arguments), **job)
        if isinstance(seen["answer"], Exception):
            raise seen["answer"]
        return seen["answer"]

    monkeypatch.setattr(describe, "describe_target", answer)
    return seen


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input.py:train", True),
        ("pkg.input:train", True),
        ("input.py", True),
        ("input.py:", True),
        ("photos/", False),
        ("shards/*.tfrecord", False),
        ("table.csv", False),
        ("C:/x.npy", False),
    ],
)
def test_what_names_a_function(text, expected):
    assert is_function(text) is expected


def test_a_path_that_exists_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data:x").mkdir()
    assert not is_function("data:x")


def test_the_spec_is_written_alone(asked, tmp_path, capsys):
    assert invoke(["init", "--from", "input.py:train", "--arg", "size=5", "--out", "train.yaml"]) == 0
    assert (tmp_path / "train.yaml").read_text() == ANSWER.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["input.py", "train.yaml"]
    job = {"arguments": [("size", "5")], "folder": tmp_path, "name": "train", "arrays": None, "schema": None}
    assert {name: asked[name] for name in job} == job
    assert capsys.readouterr().err.splitlines() == [
        "Wrote train.yaml: a source and 2 stages.",
        "Verified: TensorFlow builds the same graph from the spec as from input.py:train (structure, ops, arguments).",
        "Next: pipeprof run train.yaml",
    ]


def test_the_schema_is_written_where_it_is_asked_for(asked, tmp_path):
    assert invoke(["init", "--from", "input.py:train", "--schema", "schema.json"]) == 0
    assert asked["schema"] == "./schema.json"
    assert (tmp_path / "schema.json").exists()


@pytest.mark.parametrize(
    ("stages", "said"),
    [(2, "Python up to map (input.py:7), then 2 stages."), (0, "all of it Python, up to map (input.py:7).")],
)
def test_the_part_in_python_is_named(asked, capsys, stages, said):
    asked["answer"] = replace(ANSWER, python="map (input.py:7)", stages=stages)
    assert invoke(["init", "--from", "input.py:train"]) == 0
    assert f"Wrote pipeprof.yaml: {said}" in capsys.readouterr().err


def test_what_was_not_told_is_listed(asked, capsys):
    asked["answer"] = replace(
        ANSWER,
        unsaid=("input.py:7: map f: python, because …",),
        equal=False,
        differences=("stages.0: a constant: 1 and 2",),
        printed="hello",
        warnings=("A warning.",),
    )
    assert invoke(["init", "--from", "input.py:train", "--out", "-"]) == 0
    output = capsys.readouterr()
    assert output.out == ANSWER.text
    assert output.err.splitlines() == [
        "A warning.",
        "input.py:train printed:",
        "  hello",
        "The spec of input.py:train has a source and 2 stages.",
        "Could not be written as YAML:",
        "  input.py:7: map f: python, because …",
        "Not equal: TensorFlow builds a different graph from the spec than from input.py:train:",
        "  stages.0: a constant: 1 and 2",
    ]


def test_a_graph_that_was_not_compared_is_not_called_equal(asked, capsys):
    asked["answer"] = replace(ANSWER, equal=None, why="the pipeline holds 1.5 GB in memory")
    assert invoke(["init", "--from", "input.py:train", "--out", "-"]) == 0
    assert "Not verified against the graph of input.py:train: the pipeline holds 1.5 GB" in capsys.readouterr().err


def test_one_stage_is_one(asked, capsys):
    asked["answer"] = replace(ANSWER, stages=1)
    assert invoke(["init", "--from", "input.py:train", "--out", "-"]) == 0
    assert "a source and 1 stage." in capsys.readouterr().err


def test_arrays_are_named_after_the_spec(asked):
    assert invoke(["init", "--from", "input.py:train", "--out", "train.yaml", "--save-arrays"]) == 0
    assert asked["arrays"] == "train"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "input.py:tran"], "did you mean train?"),
        (["--from", "nowhere.py:train"], "no such file"),
        (["--from", "input.py:train", "--arg", "seize=3"], "no such parameter"),
        (["--from", "input.py:train", "--no-python"], "is Python code"),
        (["--arg", "size=3"], "--arg applies to functions only"),
        (["--save-arrays"], "--save-arrays applies to functions only"),
    ],
)
def test_mistakes_end_with_2_before_anything_runs(asked, tmp_path, capsys, arguments, said):
    assert invoke(["init", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert "target" not in asked
    assert not (tmp_path / "pipeprof.yaml").exists()


def test_a_function_that_raises_ends_with_5_and_writes_nothing(asked, tmp_path, capsys):
    asked["answer"] = PipelineFailedError("input.py:2: ValueError: no")
    assert invoke(["init", "--from", "input.py:train"]) == 5
    assert "input.py:2: ValueError: no" in capsys.readouterr().err
    assert not (tmp_path / "pipeprof.yaml").exists()


def test_a_file_that_is_there_is_kept(asked, tmp_path):
    (tmp_path / "pipeprof.yaml").write_text("mine")
    assert invoke(["init", "--from", "input.py:train"]) == 2
    assert "target" not in asked
    assert invoke(["init", "--from", "input.py:train", "--force"]) == 0
    assert (tmp_path / "pipeprof.yaml").read_text() == ANSWER.text
