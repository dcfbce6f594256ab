"""Edits of a finding that a graph can take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import (
    HandWritten,
    MoveStage,
    PipelineEdit,
    SetArgument,
    SetEnvironment,
    VectoriseMap,
    to_document,
)
from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.experiment.jobs import Change, JobMaker, edits_of_calls
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.protocol.job import Job, as_pairs

ARGUMENT = SetArgument("stages.0", "map", "num_parallel_calls", 8)
MOVE = MoveStage("stages.1", "batch", "stages.0")
CODE = HandWritten(("stages.0",), "- map: …", "dataset = dataset.map(…)")


def finding(*edits: Any) -> Finding:
    return Finding(rule="some-rule", title="", status="unverified", edit=[Edit(**one) for one in edits])


@pytest.mark.parametrize(
    ("edits", "known"), [((ARGUMENT,), True), ((MOVE, ARGUMENT), True), ((MOVE, CODE), False), ((), False)]
)
def test_what_needs_the_users_code_is_not_tried(edits: tuple[PipelineEdit, ...], known: bool) -> None:
    assert (edits_of_calls(finding(*map(to_document, edits))) is not None) == known


def test_a_kind_of_another_version_is_not_tried() -> None:
    assert edits_of_calls(finding({"kind": "Rewrite", "stages": ["source"]})) is None


ARENAS = SetEnvironment("MALLOC_ARENA_MAX", "2")


def maker(folder: Path) -> JobMaker:
    path = folder / "input.py"
    path.write_text("def make(): ...\n")
    settings = RunSettings(parse_target(f"{path}:make"), None, ["pipeprof"])
    return JobMaker(settings, memory_limit=None, digest_seconds=1.0, data_progress=lambda *_: None)


def test_what_the_data_of_a_spec_cannot_say_is_made_in_its_calls(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("version: 1\nsource: {range: {stop: 8}}\n")
    loaded = check_spec(path)

    def of_spec(ops: Sequence[tuple[str, str]]) -> JobMaker:
        settings = RunSettings(parse_target(str(path)), loaded, ["pipeprof"])
        limits: dict[str, Any] = {"memory_limit": None, "digest_seconds": 1.0, "data_progress": lambda *_: None}
        return JobMaker(settings, **limits, ops=ops)

    masks = finding(to_document(VectoriseMap("stages.0", "stages.1")))
    assert of_spec(()).change_of(masks) is None
    jobs = of_spec([("source", "range")])
    change = jobs.change_of(masks)
    assert change is not None
    assert (change.in_spec, len(change.edits)) == ((), 1)
    turns = [job.turns for job in jobs.edited(change).values() if job.turns is not None]
    assert [(one.edits, one.ops) for one in turns] == [(list(change.edits), [("source", "range")])] * 2
    by_data = finding(to_document(SetArgument("source", "range", "stop", 9)))
    by_data.in_spec = True
    change = jobs.change_of(by_data)
    assert change == Change(in_spec=by_data.edits)
    assert [job.data for job in jobs.edited(change).values()] == [
        as_pairs({"version": 1, "source": {"range": {"stop": 9}}})
    ] * 2
    assert jobs.change_of(finding(to_document(CODE))) is None


def test_variables_change_the_process_alone(tmp_path: Path) -> None:
    proposed = finding(to_document(ARENAS))
    assert maker(tmp_path).change_of(proposed) == Change(environment=(("MALLOC_ARENA_MAX", "2"),))


def test_the_calls_are_left_alone_where_only_variables_change(tmp_path: Path) -> None:
    jobs = maker(tmp_path)
    change = jobs.change_of(finding(to_document(ARENAS)))
    assert change is not None
    assert [
        (job.turns.environment, job.turns.edits) for job in jobs.edited(change).values() if job.turns is not None
    ] == [([("MALLOC_ARENA_MAX", "2")], [])] * 2


def test_only_what_has_to_fill_warms_up_for_longer(tmp_path: Path) -> None:
    jobs = maker(tmp_path)
    change = Change(edits=('{"kind": "InsertStage", "op": "cache", "after": "source"}',))
    for steps in (0, 300):
        edited = [job.turns.warm_steps for job in jobs.edited(change, steps).values() if job.turns is not None]
        assert edited == [steps, steps]
    assert [job.turns.warm_steps for job in jobs.as_it_is().values() if job.turns is not None] == [0, 0]
    (alone,) = jobs.workers(["C1"], None, [list(change.edits)], None, 300).values()
    assert alone.turns is not None
    assert alone.turns.warm_steps == 300


def test_one_process_of_a_change_compares_epochs(tmp_path: Path) -> None:
    def compared(jobs: dict[str, Job]) -> list[bool]:
        return [job.turns.compare_epochs for job in jobs.values() if job.turns is not None]

    jobs = maker(tmp_path)
    assert compared(jobs.edited(Change(), 300, compares=True)) == [True, False]
    assert compared(jobs.edited(Change(), 300)) == [False, False]
    assert compared(jobs.workers(["C1", "C2"], None, compares=True)) == [True, False]


def test_variables_and_edits_of_the_graph_go_together(tmp_path: Path) -> None:
    change = maker(tmp_path).change_of(finding(to_document(ARENAS), to_document(ARGUMENT)))
    assert change is not None
    assert (len(change.edits), change.environment) == (1, (("MALLOC_ARENA_MAX", "2"),))
    assert maker(tmp_path).change_of(finding(to_document(ARENAS), to_document(CODE))) is None


def test_a_file_that_changes_after_the_run_is_named(tmp_path: Path) -> None:
    jobs = maker(tmp_path)
    assert jobs.changed_file() is None
    (tmp_path / "input.py").write_text("def make(): return None\n")
    assert jobs.changed_file() == "input.py"
    (tmp_path / "input.py").unlink()
    assert jobs.changed_file() == "input.py"


def test_a_spec_that_changes_after_the_run_is_named(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("version: 1\nsource: {range: {stop: 8}}\n")
    settings = RunSettings(parse_target(str(path)), check_spec(path), ["pipeprof"])
    jobs = JobMaker(settings, memory_limit=None, digest_seconds=1.0, data_progress=lambda *_: None)
    assert jobs.changed_file() is None
    path.write_text("version: 1\nsource: {range: {stop: 9}}\n")
    assert jobs.changed_file() == "spec.yaml"
