"""Advice about overlap is measured in both modes of dispatch."""

from __future__ import annotations

from typing import Any

import pytest

from pipeprof.cli.report.findings import describe_overlap
from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, PipelineEdit, SetArgument, to_document
from pipeprof.profiles.document.findings import Edit, Finding, Predicted, Verdict
from pipeprof.profiles.verify.overlap import is_about_overlap, may_gain, other_dispatch, without_other_dispatch

PREFETCH = InsertStage("prefetch", {"buffer_size": 2}, "stages.0")


def finding(*edits: PipelineEdit, **measured: Any) -> Finding:
    documents = [Edit(**to_document(edit)) for edit in edits]
    return Finding(rule="a", title="a", status="kept", edit=documents, measured=measured or None)


@pytest.mark.parametrize(
    ("edits", "overlaps"),
    [
        ((PREFETCH, PREFETCH), True),
        ((MoveStage("stages.1", "prefetch", "stages.0"),), True),
        ((PREFETCH, SetArgument("stages.0", "map", "num_parallel_calls", 2)), False),
        ((InsertStage("cache"),), False),
        ((), False),
    ],
)
def test_a_prefetch_is_about_overlap(edits: tuple[PipelineEdit, ...], overlaps: bool) -> None:
    assert is_about_overlap(finding(*edits)) is overlaps


@pytest.mark.parametrize(
    ("bound", "limit", "gains"), [("step", "step", False), ("input", "cpu", False), ("input", "serial-stage", True)]
)
def test_a_prefetch_cannot_gain_where_the_cores_are_full_or_the_step_sets_the_pace(
    recorded: Any, bound: Any, limit: Any, gains: bool
) -> None:
    profile = recorded("step-bound")
    profile.verdict = Verdict(headline="", sentence="", bound=bound, limit=limit)
    assert may_gain(profile, finding(PREFETCH), None) is gains
    assert may_gain(profile, finding(InsertStage("cache")), None)


@pytest.mark.parametrize(("speedup", "gains"), [(None, True), (0.999, False), (1.01, False), (1.5, True)])
def test_what_is_predicted_to_gain_nothing_is_worth_no_word(recorded: Any, speedup: float | None, gains: bool) -> None:
    profile = recorded("step-bound")
    profile.verdict = Verdict(headline="", sentence="", bound="input", limit="serial-stage")
    one = finding(PREFETCH)
    one.predicted = Predicted(speedup=speedup)
    assert may_gain(profile, one, None) is gains


@pytest.mark.parametrize(("limit", "gains"), [(None, True), (8, False), (1, True)])
def test_memory_is_saved_where_there_is_little_of_it(recorded: Any, limit: int | None, gains: bool) -> None:
    profile = recorded("step-bound")
    profile.memory.peak_bytes = 3 << 28
    one = finding(InsertStage("cache")).model_copy(update={"family": "memory"})
    assert may_gain(profile, one, limit << 30 if limit else None) is gains


def test_a_loop_without_a_device_has_no_other_mode() -> None:
    assert (other_dispatch(None, "none"), other_dispatch(None, "simulate")) == (None, None)


def test_both_modes_are_stated() -> None:
    other = {"dispatch": 1, "speedup": 1.0, "low": 0.98, "high": 1.02, "pairs": [1.0] * 12}
    found = describe_overlap("sync", finding(PREFETCH, speedup=1.8, other_dispatch=other))
    assert found == "1.80× with dispatch sync, 1.00× with one step in flight"
    back = {**other, "dispatch": "sync", "speedup": 1.84}
    found = describe_overlap(2, finding(PREFETCH, speedup=1.1, other_dispatch=back))
    assert found == "1.10× with 2 steps in flight, 1.84× with dispatch sync"


def test_a_mode_that_was_not_measured_is_named() -> None:
    found = describe_overlap("sync", finding(PREFETCH, speedup=1.8), "simulate")
    assert found == "1.80× with dispatch sync; with one step in flight it was not measured"
    assert describe_overlap("sync", finding(InsertStage("cache"), speedup=1.8), "simulate") is None
    assert describe_overlap("sync", finding(PREFETCH, speedup=1.8), "python") is None


def test_the_other_mode_is_measured_once_and_for_kept_findings_about_overlap() -> None:
    missing = finding(PREFETCH, speedup=1.8)
    known = finding(PREFETCH, speedup=1.8, other_dispatch={"dispatch": 1})
    not_kept = finding(PREFETCH, speedup=1.8).model_copy(update={"status": "rejected"})
    cached = finding(InsertStage("cache"), speedup=1.8)
    assert without_other_dispatch([missing, known, not_kept, cached]) == [missing]
