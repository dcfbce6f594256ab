"""Findings about stages that one line of a program makes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import SetArgument, SetOption, to_document
from pipeprof.profiles.advise.text.same_line import join_same_line
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.view.view import PipelineView

from .views import measured, pipeline, stage

LINE = Location(file="input.py", line=7, column=4)
POOL = Edit(**to_document(SetOption("threading.private_threadpool_size", 16)))


def calls(address: str) -> Edit:
    return Edit(**to_document(SetArgument(address, "map", "num_parallel_calls", 8)))


def finding(address: str, **fields: Any) -> Finding:
    return Finding(
        **{
            "rule": "serial-map-cpu",
            "title": "Run it in parallel",
            "family": "speed",
            "stage": address,
            "location": LINE,
            "semantics": "same",
            "edit": calls(address),
            "change": "num_parallel_calls: not set → 8",
            "status": "unverified",
            **fields,
        }
    )


def two_sides() -> PipelineView:
    return measured(
        pipeline(
            stage("source", "range", count=3200),
            stage("stages.0", "map", ms=6.0, count=3200),
            stage("stages.1", "map", ms=6.0, count=3200),
            stage("stages.2", "batch", arguments={"batch_size": 32}),
            static=False,
        ),
        interval_ms=14.0,
    )


def test_a_change_of_one_line_is_one_finding() -> None:
    found = join_same_line(
        [
            finding("stages.0", edit=[calls("stages.0"), POOL]),
            finding("stages.1", edit=[calls("stages.1"), POOL], semantics="randomness"),
        ],
        two_sides(),
    )
    assert len(found) == 1
    assert (found[0].stage, found[0].semantics) == ("stages.0", "randomness")
    assert found[0].edit == [calls("stages.0"), POOL, calls("stages.1")]
    assert found[0].change == "num_parallel_calls: not set → 8; this line makes 2 such stages, all of them change"
    assert found[0].predicted is not None
    assert (found[0].predicted.speedup or 0.0) > 1.5


@pytest.mark.parametrize(
    "fields",
    [
        {"location": Location(file="input.py", line=8, column=4)},
        {"location": None},
        {"change": "num_parallel_calls: 2 → 8"},
        {"rule": "serial-map-latency"},
        {"edit": None},
        {"family": "memory"},
    ],
)
def test_other_changes_stay_findings_of_their_own(fields: dict[str, Any]) -> None:
    both = [finding("stages.0", **({"family": "memory"} if "family" in fields else {})), finding("stages.1", **fields)]
    assert join_same_line(both, two_sides()) == both


def test_the_stages_of_a_spec_have_lines_of_their_own() -> None:
    view = two_sides()
    of_spec = replace(view, stages=tuple(replace(one, written={}) for one in view.stages))
    both = [finding("stages.0"), finding("stages.1")]
    assert join_same_line(both, of_spec) == both


def test_calls_in_a_row_on_one_line_are_changes_of_their_own() -> None:
    view = two_sides()
    named = tuple(replace(one, name={"stages.0": "decode", "stages.1": "crop"}.get(one.id)) for one in view.stages)
    both = [finding("stages.0"), finding("stages.1")]
    assert join_same_line(both, replace(view, stages=named)) == both
