"""Plans: measured edits in a file."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.formats.plan import best_change
from pipeprof.pipelines.edits.edits import (
    InsertStage,
    NewStage,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    VectoriseMap,
)
from pipeprof.pipelines.edits.plan import PlanError, SavedPlan, describe_misfit, environment_of, read_plan, write_plan
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.rewriting import apply

STAGES = {"source": "range", "stages.0": "map", "stages.1": "batch"}
PLAN = SavedPlan(
    "train.py:make",
    STAGES,
    (
        (
            SetArgument("stages.0", "map", "num_parallel_calls", 4),
            InsertStage("prefetch", {"buffer_size": 2}, "stages.1"),
            VectoriseMap("stages.0", "stages.1"),
            ReplaceStages(("stages.1",), (NewStage("batch", {"batch_size": 8}),)),
        ),
    ),
    1.5,
)
LATER = SetArgument("stages.0", "interleave", "cycle_length", None)
IN_STEPS = replace(PLAN, steps=(*PLAN.steps, (InsertStage("cache"),), (LATER,)))


@pytest.mark.parametrize(
    "plan",
    [PLAN, IN_STEPS, replace(PLAN, steps=()), replace(PLAN, dtypes=("float32", "variant"), bodies={"stages.0": "ab"})],
)
def test_a_plan_is_read_as_it_was_written(plan: SavedPlan) -> None:
    assert read_plan(write_plan(plan), "a.plan.json") == plan


def test_a_plan_of_several_steps_is_none_of_the_first_version() -> None:
    assert json.loads(write_plan(PLAN))["pipeprof_plan"] == 1
    assert json.loads(write_plan(IN_STEPS))["pipeprof_plan"] == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda document: document.clear(), "is not a plan"),
        (
            lambda document: document.update(pipeprof_plan=3),
            "a plan of version 3, this pipeprof reads versions 1 and 2",
        ),
        (lambda document: document.update(stages=None), "stages: expected an object, got null"),
        (lambda document: document["edits"].append({"kind": "Unheard"}), 'kind: a plan cannot hold "Unheard"'),
        (lambda document: document.update(pipeprof_plan=[1]), "a plan of version a list"),
        (lambda document: document.update(pipeprof_plan=True), "a plan of version true"),
        (lambda document: document.update(pipeprof_plan=1.0), r"a plan of version 1\.0"),
        (lambda document: document.update(pipeprof_plan="1"), 'a plan of version "1"'),
        (lambda document: document.update(edits="nothing"), "edits: expected a list"),
        (lambda document: document.pop("edits"), "edits: this field is missing"),
        (lambda document: document.update(then={"edits": []}), "then: expected a list"),
        (lambda document: document["edits"].append("no edit"), r"edits\[4\]: expected an object"),
        (lambda document: document["edits"][0].update(stage=5), r"edits\[0\]\.stage: expected an address"),
        (lambda document: document["edits"][1].update(arguments="buffer_size"), "arguments: expected an object"),
        (lambda document: document["edits"][1].update(after=7), "after: expected an address"),
        (lambda document: document["edits"][3].update(stages="stages.1"), "stages: expected a list"),
        (lambda document: document["edits"][3].update(by=[3]), r"by\[0\]: expected an object"),
        (lambda document: document["edits"][3].update(by=[{"arguments": {}}]), "op: this field is missing"),
        (lambda document: document["edits"][2].pop("batch"), "batch: this field is missing"),
        (lambda document: document.update(note="mine"), "note: a plan cannot hold this field"),
    ],
)
def test_what_is_no_plan_is_refused(change: Any, said: str) -> None:
    document = json.loads(write_plan(PLAN))
    change(document)
    with pytest.raises(PlanError, match=said):
        read_plan(json.dumps(document), "a.plan.json")
    with pytest.raises(PlanError, match="is not a plan"):
        read_plan("x", "a.plan.json")


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        (STAGES, None),
        ({**STAGES, "stages.1": "shuffle"}, "stages.1 is shuffle, the plan has batch"),
        ({"source": "range", "stages.0": "map"}, "stages.1 (batch) is missing"),
        ({**STAGES, "stages.2": "prefetch"}, "stages.2 is prefetch, the plan has no such stage"),
    ],
)
def test_another_pipeline_is_noticed(stages: dict[str, str], said: str | None) -> None:
    assert describe_misfit(PLAN, stages) == said


def kept(rule: str, speedup: float, status: str = "kept") -> Finding:
    edit = {"kind": "SetOption", "path": rule, "value": 1}
    return Finding.model_validate(
        {"rule": rule, "title": rule, "status": status, "edit": [edit], "measured": {"speedup": speedup}}
    )


@pytest.mark.parametrize(
    ("findings", "rule"),
    [
        ([], None),
        ([kept("a", 1.5), kept("b", 1.7), kept("c", 3.0, "rejected")], "b"),
        ([kept("a", 1.5), kept("b", 1.7), kept("combined", 1.69)], "combined"),
        ([kept("a", 1.5), kept("b", 1.7), kept("combined", 1.6)], "b"),
    ],
)
def test_the_plan_has_what_is_kept_together_else_the_best(findings: list[Finding], rule: str | None) -> None:
    profile = Profile.model_construct(findings=findings)
    best = best_change(profile)
    assert (best.rule if best is not None else None) == rule


class Dataset:
    """What `apply` takes for a dataset."""

    element_spec = ()


ARENAS = SavedPlan("train.py:make", STAGES, ((SetEnvironment("MALLOC_ARENA_MAX", "2"),),))


def test_variables_of_the_process_are_a_line_of_the_plan() -> None:
    text = write_plan(ARENAS)
    assert json.loads(text)["environment"] == "MALLOC_ARENA_MAX=2 python …"
    assert "environment" not in json.loads(write_plan(PLAN))
    assert environment_of(read_plan(text, "a.plan.json")) == {"MALLOC_ARENA_MAX": "2"}


def test_apply_names_variables_that_are_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, dataset = tmp_path / "a.plan.json", Dataset()
    plan.write_text(write_plan(ARENAS))
    with pytest.warns(UserWarning, match="start with: MALLOC_ARENA_MAX=2 python"):
        assert apply(dataset, plan) is dataset
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    assert apply(dataset, plan) is dataset


def test_a_plan_that_is_nested_without_end_is_none() -> None:
    with pytest.raises(PlanError, match="is not a plan"):
        read_plan('{"pipeprof_plan": 1, "edits": ' + "[" * 100_000, "a.plan.json")


def test_what_is_no_dataset_and_what_is_no_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"takes a tf\.data\.Dataset and the path of a plan, not a list"):
        apply([1, 2], "a.plan.json")
    with pytest.raises(TypeError, match="takes the path of a plan, not a dict"):
        apply(Dataset(), {})  # type: ignore[arg-type]
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for path, words in (
        (tmp_path, "is a folder, a device or a pipe: expected a plan"),
        (tmp_path / "pipe", "is a folder, a device or a pipe: expected a plan"),
        (tmp_path / "missing", "cannot be read: No such file or directory"),
        (tmp_path / "binary", "cannot be read: 'utf-8' codec"),
        (tmp_path / ("a" * 300), "cannot be read: File name too long"),
        ("nul\0", "cannot be read: embedded null"),
    ):
        with pytest.raises(PlanError, match=words):
            apply(Dataset(), path)


@pytest.mark.parametrize(
    ("known", "found", "misfit"),
    [
        (("float32", "int64"), ("float32", "int64"), None),
        (("float32",), ("int32",), "its elements are int32, those of the plan float32"),
        (("variant",), ("int32",), None),
        (("float32",), ("float32", "int64"), None),
        (None, ("float32",), None),
    ],
)
def test_elements_of_other_dtypes_are_another_pipeline(
    known: tuple[str, ...] | None, found: tuple[str, ...], misfit: str | None
) -> None:
    assert describe_misfit(replace(PLAN, dtypes=known), STAGES, found) == misfit


FILES = ReplaceStages(("source", "stages.0"), (NewStage("load", {"path": "elements"}),))


@pytest.mark.parametrize(
    ("edits", "refused"),
    [
        ((FILES,), True),
        ((InsertStage("cache", {}, "stages.0"),), True),
        ((InsertStage("cache"),), True),
        ((InsertStage("cache", {}, "source"),), False),
        ((InsertStage("prefetch"),), False),
        ((SetArgument("stages.0", "map", "num_parallel_calls", 4),), False),
    ],
)
def test_what_a_plan_keeps_must_be_of_the_same_functions(edits: Any, refused: bool) -> None:
    plan = replace(PLAN, steps=(edits,), bodies={"stages.0": "a"})
    assert describe_misfit(plan, STAGES, (), {"stages.0": "a"}) is None
    expected = "the function of stages.0 is another one, and the plan keeps what it gave" if refused else None
    assert describe_misfit(plan, STAGES, (), {"stages.0": "b"}) == expected


def test_in_a_later_step_any_stage_may_be_what_a_plan_keeps() -> None:
    later = replace(PLAN, steps=(*PLAN.steps, (InsertStage("cache", {}, "source"),)), bodies={"stages.0": "a"})
    found = describe_misfit(later, STAGES, (), {"stages.0": "b"})
    assert found == "the function of stages.0 is another one, and the plan keeps what it gave"


def test_a_profile_is_no_plan_and_has_one() -> None:
    with pytest.raises(PlanError, match=r"^a\.json is a profile; write its plan with pipeprof show a\.json --out fast"):
        read_plan('{"schema_version": 3, "tool": {}}', "a.json")
