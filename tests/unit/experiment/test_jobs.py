"""Findings as jobs of workers: what of their edits a spec, a graph or a process can take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import PipelineEdit, SetArgument, SetEnvironment, VectoriseMap, to_document
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.experiment.jobs import JobMaker, Version
from pipeprof.profiles.harness.settings import make_options

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


def test_what_another_version_has_made_is_not_tried(maker: JobMaker) -> None:
    assert [maker.can_make(finding(*edits)) for edits in ((ARGUMENT,), (ARENAS,), ())] == [True, True, False]
    unknown = finding(ARGUMENT)
    unknown.edit = Edit.model_validate({"kind": "Rewrite", "stages": ["source"]})
    assert not maker.can_make(unknown)


def test_what_the_data_of_a_spec_cannot_say_is_made_in_its_calls(tmp_path: Path) -> None:
    masks = VectoriseMap("stages.0", "stages.1")
    jobs, without = of_spec(tmp_path, ("source", "range")), of_spec(tmp_path)
    for edits, in_spec, known in (([masks], False, [True, False]), ([ARGUMENT], True, [True, True])):
        assert [one.can_make(finding(*edits, in_spec=in_spec)) for one in (jobs, without)] == known
    turns = jobs.in_calls([masks]).turns
    assert (len(turns.edits), turns.ops) == (1, [("source", "range")])


def test_variables_change_the_process_and_leave_the_calls_alone(maker: JobMaker) -> None:
    for job in (maker.in_calls([ARENAS]), maker.of_version(Version(((ARENAS,),)))):
        assert (job.turns.environment, job.turns.edits, job.edits) == ([("MALLOC_ARENA_MAX", "2")], [], [])
    job = maker.of_version(Version(((ARENAS, ARGUMENT),)))
    assert (len(job.turns.environment), len(job.edits)) == (1, 1)


def test_only_what_has_to_fill_warms_up_for_longer(maker: JobMaker) -> None:
    assert [job.turns.warm_steps for job in maker.as_it_is().values() if job.turns is not None] == [0, 0]
    for job in (maker.in_calls([ARGUMENT], 300, compares=True), maker.of_version(Version(), 300, compares=True)):
        assert (job.turns.warm_steps, job.turns.compare_epochs) == (300, True)


@pytest.mark.parametrize("name", ["input.py", "spec.yaml"])
def test_a_file_that_changes_after_the_run_is_named(maker: JobMaker, tmp_path: Path, name: str) -> None:
    jobs = maker if name == "input.py" else of_spec(tmp_path)
    assert jobs.changed_file() is None
    (tmp_path / name).write_text(f"{(tmp_path / name).read_text()}\n")
    assert jobs.changed_file() == name
    (tmp_path / name).unlink()
    assert jobs.changed_file() == name
