"""`--set` and `--env` on the command line, and what a profile records of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.unit.cli.reports import Pipeprof

SPEC = "version: 1\nname: rows\nsource: {range: {stop: 1000}}\nstages:\n  - batch: {batch_size: ${SIZE:-32}}\n"


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "f.py").write_text("import tensorflow as tf\n\ndef make() -> tf.data.Dataset:\n    return None\n")


def test_everything_that_changed_the_spec_is_recorded(pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIZE", "64")
    result = pipeprof("check", "spec.yaml", "--set", "stages.batch.drop_remainder=true", "--env", "--json")
    assert result.code == 0
    target = json.loads(result.out)["target"]
    assert target["overrides"] == ["stages.batch.drop_remainder=true"]
    assert target["variables"] == {"SIZE": "64"}
    assert target["sha256"] == hashlib.sha256(SPEC.encode()).hexdigest()
    assert target["resolved_sha256"] not in (None, target["sha256"])
    located = json.loads(result.out)["stages"][1]["location"]
    assert (located["file"], located["line"]) == ("spec.yaml", 5)


def test_variables_that_are_left_are_noted_and_where_a_value_needs_one_that_is_the_error(pipeprof: Pipeprof) -> None:
    result = pipeprof("check", "spec.yaml")
    assert (result.code, "spec.yaml:5:25: error[number]: got '${SIZE:-32}'" in result.out) == (2, True)
    assert "; add --env to replace ${SIZE:-32}" in result.out
    Path("spec.yaml").write_text(SPEC.replace("rows", "${NAME}").replace("${SIZE:-32}", "3"))
    result = pipeprof("check", "spec.yaml")
    assert (result.code, "spec.yaml:2:7: ${NAME} is not replaced: add --env" in result.err) == (0, True)
    warnings = json.loads(pipeprof("check", "spec.yaml", "--json").out)["warnings"]
    assert "reference-left" in [warning["code"] for warning in warnings]


@pytest.mark.parametrize("command", ["check", "run"])
def test_python_has_no_spec_to_change(command: str, pipeprof: Pipeprof) -> None:
    for flags in (("--set", "a=1"), ("--env",)):
        result = pipeprof(command, "f.py:make", *flags)
        assert (result.code, f"remove {flags[0]}" in result.err) == (2, True)


def test_a_step_that_is_not_there_is_told_before_anything_runs(pipeprof: Pipeprof) -> None:
    for target in ("spec.yaml", "f.py:make"):
        result = pipeprof("run", target, "--step", "python:f.py:mak")
        assert (result.code, "no function 'mak' in f.py — did you mean make?" in result.err) == (2, True)
