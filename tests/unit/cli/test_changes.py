"""`--set` and `--env` on the command line, and what a profile records of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.command_line import rerun
from pipeprof.pipelines.spec.loader import load_spec
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.subject import Target, spec_target
from pipeprof.profiles.redaction.document import redact

Pipeprof = Callable[..., Any]

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


def test_variables_that_are_left_are_noted(pipeprof: Pipeprof) -> None:
    Path("spec.yaml").write_text(SPEC.replace("rows", "${NAME}").replace("${SIZE:-32}", "3"))
    result = pipeprof("check", "spec.yaml")
    assert result.code == 0
    assert result.err == (
        "pipeprof: note: spec.yaml:2:7: ${NAME} is not replaced: add --env to take it from the environment\n"
    )
    warnings = json.loads(pipeprof("check", "spec.yaml", "--json").out)["warnings"]
    assert "reference-left" in [warning["code"] for warning in warnings]


def test_a_value_that_needs_the_environment_says_so(pipeprof: Pipeprof) -> None:
    result = pipeprof("check", "spec.yaml")
    assert result.code == 2
    assert "spec.yaml:5:25: error[number]: got '${SIZE:-32}', expected a whole number" in result.out
    assert "; add --env to replace ${SIZE:-32}" in result.out


@pytest.mark.parametrize("flags", [("--set", "a=1"), ("--env",)])
@pytest.mark.parametrize("command", ["check", "run"])
def test_python_has_no_spec_to_change(command: str, flags: tuple[str, ...], pipeprof: Pipeprof) -> None:
    result = pipeprof(command, "f.py:make", *flags)
    assert result.code == 2
    assert f"{flags[0]} changes a spec, but f.py:make is a Python function; remove {flags[0]}" in result.err


def test_the_command_to_run_it_again_has_all_flags(recorded: Callable[[str], Profile], tmp_path: Path) -> None:
    loaded = load_spec(tmp_path / "spec.yaml", ["measure.seconds=3"], environment={"SIZE": "8"})
    names = [path.stem for path in (Path(__file__).parents[2] / "recorded" / "profiles").glob("*.json")]
    profile = recorded(sorted(names)[0]).model_copy(update={"target": spec_target("spec.yaml", loaded)})
    assert rerun(profile) == "pipeprof run spec.yaml --set measure.seconds=3 --env"
    assert redact(profile).target.variables == {"SIZE": None}
    assert Target.model_validate(json.loads(profile.target.model_dump_json())) == profile.target


@pytest.mark.parametrize("target", ["spec.yaml", "f.py:make"])
def test_a_step_that_is_not_there_is_told_before_anything_runs(pipeprof: Pipeprof, target: str) -> None:
    result = pipeprof("run", target, "--step", "python:f.py:mak")
    assert result.code == 2
    assert "no function 'mak' in f.py — did you mean make?" in result.err
