"""Findings as jobs of workers: what of their edits a spec, a graph or a process can take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import PipelineEdit, SetArgument, SetEnvironment, VectoriseMap, to_document
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.experiment.jobs import Change, JobMaker, edits_of_calls
from pipeprof.profiles.harness.settings import make_options
from pipeprof.profiles.protocol.turns import TurnsJob

ARGUMENT = SetArgument("stages.0", "map", "num_parallel_calls", 8)
ARENAS = SetEnvironment("MALLOC_ARENA_MAX", "2")
SPEC = "version: 1\nsource: {range: {stop: 8}}\n"
GIVEN: dict[str, Any] = {"memory_limit": None, "digest_seconds": 1.0, "data_progress": lambda *_: None}


def finding(*edits: PipelineEdit, **facts: Any) -> Finding:
    documents = [Edit(**to_document(edit)) for edit in edits]
    return Finding(rule="cache", title="", status="unverified", edit=documents, **facts)


@pytest.fixture
def maker(tmp_path: Path) -> JobMaker:
    path = tmp_path / "input.py"
    path.write_text("def make(): ...\n")
    return JobMaker(make_options(parse_target(f"{path}:make"), None, ["pipeprof"]), **GIVEN)


def of_spec(folder: Path, *ops: tuple[str, str]) -> JobMaker:
    path = folder / "spec.yaml"
    path.write_text(SPEC)
    return JobMaker(make_options(parse_target(str(path)), load_spec(path), ["pipeprof"]), **GIVEN, ops=ops)


def turns_of(maker: JobMaker, change: Change, warm_steps: int = 0) -> TurnsJob:
    turns = maker.edited(change, warm_steps).turns
    assert turns is not None
    return turns


def test_what_another_version_has_made_is_not_tried(maker: JobMaker) -> None:
    known = [maker.change_of(finding(*edits)) is not None for edits in ((ARGUMENT,), ())]
    assert known == [True, False]
    unknown = finding(ARGUMENT)
    unknown.edit = Edit.model_validate({"kind": "Rewrite", "stages": ["source"]})
    assert edits_of_calls(unknown) is None


def test_what_the_data_of_a_spec_cannot_say_is_made_in_its_calls(tmp_path: Path) -> None:
    masks = finding(VectoriseMap("stages.0", "stages.1"))
    assert of_spec(tmp_path).change_of(masks) is None
    jobs = of_spec(tmp_path, ("source", "range"))
    change = jobs.change_of(masks)
    turns = turns_of(jobs, change)
    assert (turns.edits, turns.ops) == (list(change.edits), [("source", "range")])
    by_data = finding(SetArgument("source", "range", "stop", 9), in_spec=True)
    change = jobs.change_of(by_data)
    assert change == Change(in_spec=by_data.edits)
    assert jobs.edited(change).loaded.data == {"version": 1, "source": {"range": {"stop": 9}}}


def test_variables_change_the_process_and_leave_the_calls_alone(maker: JobMaker) -> None:
    change = maker.change_of(finding(ARENAS))
    assert change == Change(environment=(("MALLOC_ARENA_MAX", "2"),))
    turns = turns_of(maker, change)
    assert (turns.environment, turns.edits) == ([("MALLOC_ARENA_MAX", "2")], [])
    both = maker.change_of(finding(ARENAS, ARGUMENT))
    assert (len(both.edits), both.environment) == (1, change.environment)


def test_only_what_has_to_fill_warms_up_for_longer(maker: JobMaker) -> None:
    assert [turns_of(maker, Change(), steps).warm_steps for steps in (0, 300)] == [0, 300]
    assert [job.turns.warm_steps for job in maker.as_it_is().values() if job.turns is not None] == [0, 0]
    filled = maker.of_version(None, [["{}"]], None, 300, compares=True).turns
    assert (filled.warm_steps, filled.compare_epochs) == (300, True)


@pytest.mark.parametrize("name", ["input.py", "spec.yaml"])
def test_a_file_that_changes_after_the_run_is_named(maker: JobMaker, tmp_path: Path, name: str) -> None:
    jobs = maker if name == "input.py" else of_spec(tmp_path)
    assert jobs.changed_file() is None
    (tmp_path / name).write_text(f"{(tmp_path / name).read_text()}\n")
    assert jobs.changed_file() == name
    (tmp_path / name).unlink()
    assert jobs.changed_file() == name
