"""Findings whose fix pays in the step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.advise.views import measured, pipeline, stage, tensor

from pipeprof.pipelines.changes.edits import HandWritten, NewStage, ReplaceStages
from pipeprof.pipelines.steps.step import parse_step
from pipeprof.profiles.advise.advise import advise
from pipeprof.profiles.advise.rule import rules
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.measured import Device
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.verify.plan import cannot_try
from pipeprof.profiles.view.view import ComponentView, PipelineView

VECTOR = tensor("int64", None)


def padded(each: float = 800.0, batch: float = 64 * 8000.0, *parts: ComponentView, **facts: Any) -> PipelineView:
    """Vectors of 100 numbers on average, in batches that hold 1,000 of each."""
    element = parts or (VECTOR,)
    return measured(
        pipeline(
            stage("source", "range"),
            stage("stages.0", "map", element=element, bytes_per_element=each),
            stage("stages.1", "padded_batch", arguments={"batch_size": 64}, bytes_per_element=batch),
        ),
        **facts,
    )


def found(view: PipelineView) -> list[Proposal]:
    return list(rules()["padding-waste"].diagnose(view))


def test_batches_that_are_mostly_padding() -> None:
    (hit,) = found(padded())
    assert hit.evidence["padding_share"] == pytest.approx(0.9)
    assert hit.edits == (
        ReplaceStages(
            ("stages.1",),
            (
                NewStage(
                    "bucket_by_sequence_length",
                    {
                        "element_length_func": {"ops": ["tf.size"]},
                        "bucket_boundaries": [50, 100, 200, 400],
                        "bucket_batch_sizes": [64] * 5,
                    },
                ),
            ),
            "replace {stage} with buckets of similar length",
        ),
    )


def test_padding_that_a_later_stage_may_take_away_is_no_matter_of_the_step() -> None:
    view = padded()
    later = stage("stages.2", "flat_map")
    assert not found(replace(view, stages=(*view.stages, later)))


@pytest.mark.parametrize(
    "view",
    [
        padded(7000.0),
        padded(9000.0),
        padded(800.0, 512000.0, tensor("string")),
        padded(800.0, 512000.0, tensor("int64", 100)),
    ],
)
def test_little_padding_text_and_fixed_lengths_say_nothing(view: PipelineView) -> None:
    assert found(view) == []


def test_the_length_of_several_parts_is_the_users_to_choose() -> None:
    (hit,) = found(padded(800.0, 512000.0, VECTOR, VECTOR))
    (edit,) = hit.edits
    assert isinstance(edit, HandWritten)
    assert "lambda *element: tf.shape(element[0])[0]," in edit.python
    assert "bucket_boundaries=[25, 50, 100, 200]," in edit.python
    assert "bucket_batch_sizes=[64, 64, 64, 64, 64]," in edit.python


def test_the_length_is_that_of_the_part_that_differs_by_its_name() -> None:
    view = padded(9608.0, 64 * 96000.0, tensor("int64"), tensor("float32", None, 24))
    below = replace(view.stages[1], keys=("1", "0.frames"))
    view = replace(view, stages=(view.stages[0], below, *view.stages[2:]))
    (edit,) = found(view)[0].edits
    assert isinstance(edit, HandWritten)
    assert "lambda *element: tf.shape(element[0]['frames'])[0]," in edit.python
    assert "bucket_boundaries=[50, 100, 200, 400]," in edit.python


def test_it_is_found_where_the_step_sets_the_pace() -> None:
    findings, _ = advise(padded(wait_share=0.0, headspace=0.0))
    assert [finding.rule for finding in findings] == ["padding-waste"]


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (None, "there is none"),
        (Device(kind="none"), "there is none"),
        (Device(kind="simulate", text=parse_step("simulate:12ms").text), "this one costs the same for every batch"),
    ],
)
def test_with_a_constant_step_it_is_not_tried(step: Device | None, reason: str) -> None:
    finding = Finding(rule="padding-waste", title="a", status="unverified", family="speed", semantics="randomness")
    assert cannot_try(finding, has_edit=True, step=step) == (
        f"it pays only in the step, and {reason}: give a step whose cost depends on the batch, the real one or "
        "`simulate: {base: 4ms, per_mb: 1ms}`"
    )


def test_with_a_step_that_depends_on_the_batch_it_is_tried() -> None:
    finding = Finding(rule="padding-waste", title="a", status="unverified", family="speed", semantics="randomness")
    growing = parse_step({"simulate": {"base": "4ms", "per_mb": "1ms"}})
    for step in (Device(kind="simulate", text=growing.text), Device(kind="python", text="f.py:step")):
        assert cannot_try(finding, has_edit=True, step=step) is None
