"""Where each of several joined datasets gets a cache, from made-up runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage
from pipeprof.profiles.advise.as_finding import finding_of
from pipeprof.profiles.advise.facts.caching import BEYOND_EPOCH, filling
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.lines import joined_lines, main_line
from pipeprof.profiles.memory.predict.model import cache_overhead_bytes
from pipeprof.profiles.verify.guessing import search
from pipeprof.profiles.verify.guessing.search import cache_points

Recorded = Callable[[str], Profile]


def guesses(*given: Any, **more: Any) -> list[Finding]:
    """What is tried, as the profile has it."""
    return [finding_of(one) for one in search.guesses(*given, **more)]


def run_of(recorded: Recorded, *sides: tuple[str, ...], joins: str, argument: str = "inputs", **facts: Any) -> Profile:
    """A run of 5,000 elements of two joined datasets, of 250 elements of 1 kB each."""
    found = recorded("input-bound").model_copy(deep=True)
    assert found.steps is not None
    found.steps.epochs, found.steps.count, found.steps.interval_ms.mean = 0, 1000, 10.0
    known = {"origin": "written", "bytes_per_element": 1000.0, "elements": 2500}
    stages = [Stage(id="source", op=joins, **{**known, "cardinality": -1})]
    for number, ops in enumerate(sides):
        endless = False
        for place, op in enumerate(ops):
            endless = endless or op == "repeat"
            address = f"source.{argument}.{number}.{'source' if not place else f'stages.{place - 1}'}"
            own: dict[str, Any] = {"cardinality": -1 if endless else 250, "share": 0.0}
            own |= {"random": False, "share": 0.4, **facts} if op == "map" else {}
            stages.append(Stage(id=address, op=op, **{**known, **own}))
    found.stages = [*stages, Stage(id="stages.0", op="batch", **{**known, "cardinality": -1})]
    return found


SIDE = ("range", "map", "shuffle", "repeat")


@pytest.mark.parametrize("argument", ["inputs", "datasets"])
def test_each_dataset_is_kept_before_it_is_mixed(recorded: Recorded, argument: str) -> None:
    found = run_of(recorded, SIDE, SIDE, joins="sample_from_datasets", argument=argument)
    points = cache_points(found, None)
    assert [point.edits for point in points] == [
        (InsertStage("cache", {}, f"source.{argument}.{number}.stages.0"),) for number in (0, 1)
    ]
    assert [point.semantics for point in points] == ["same", "same"]


def test_the_caches_are_one_change(recorded: Recorded) -> None:
    found = run_of(recorded, SIDE, SIDE, joins="sample_from_datasets")
    assert found.verdict is not None
    found.target.kind = "python"
    found.verdict.stage = "source.inputs.0.stages.0"
    (cached,) = [one for one in guesses(found) if one.title.startswith("Cache")]
    change = "insert cache() after map, for each of 2 joined datasets: pays off from the second epoch"
    assert (cached.title, cached.change) == ("Cache map's output", change)
    assert (cached.stage, cached.semantics) == ("source.inputs.0.stages.0", "same")
    assert isinstance(cached.edit, list)
    assert len(cached.edit) == 2


def test_all_of_them_are_full_before_it_is_measured(recorded: Recorded) -> None:
    found = run_of(recorded, SIDE, SIDE, joins="sample_from_datasets")
    assert found.stages is not None
    edits = [edit for point in cache_points(found, None) for edit in point.edits]
    assert filling(found, edits).steps == math.ceil(BEYOND_EPOCH * 100)
    for stage in found.stages:
        if ".inputs.1." in stage.id:
            stage.elements = 1250
    assert filling(found, edits).steps == math.ceil(BEYOND_EPOCH * 200)


def test_all_of_them_share_the_memory(recorded: Recorded) -> None:
    found = run_of(recorded, SIDE, SIDE, joins="sample_from_datasets")
    # An eighth of the memory may be theirs.
    least = 8 * 2 * 250 * (1000 + cache_overhead_bytes(1))
    assert len(cache_points(found, math.ceil(1.02 * least))) == 2
    assert not cache_points(found, math.floor(0.98 * least))


def test_pairs_stay_pairs(recorded: Recorded) -> None:
    shuffled = ("range", "shuffle", "map", "repeat")
    assert len(cache_points(run_of(recorded, shuffled, shuffled, joins="sample_from_datasets"), None)) == 2
    assert not cache_points(run_of(recorded, shuffled, shuffled, joins="zip"), None)
    assert len(cache_points(run_of(recorded, SIDE, SIDE, joins="zip"), None)) == 2


def test_what_costs_little_or_differs_has_no_cache(recorded: Recorded) -> None:
    assert not cache_points(run_of(recorded, SIDE, SIDE, joins="sample_from_datasets", share=0.01), None)
    assert not cache_points(run_of(recorded, SIDE, SIDE, joins="sample_from_datasets", random=True), None)


def test_a_repeat_goes_behind_what_is_kept(recorded: Recorded) -> None:
    side = ("range", "repeat", "map", "prefetch")
    (point, _) = cache_points(run_of(recorded, side, side, joins="sample_from_datasets"), None)
    before = "source.inputs.0"
    assert point.edits == (
        MoveStage(f"{before}.stages.0", "repeat", f"{before}.stages.2"),
        InsertStage("cache", {}, f"{before}.stages.1"),
    )


def test_a_further_input_of_a_stage_is_a_line_too(recorded: Recorded) -> None:
    found = run_of(recorded, SIDE, joins="range")
    assert found.stages is not None
    found.stages += [
        Stage(id="stages.1", op="concatenate", origin="written"),
        Stage(id="stages.1.dataset.source", op="zip", origin="written"),
        Stage(id="stages.1.dataset.source.datasets.0.source", op="range", origin="written"),
        Stage(id="stages.1.dataset.stages.0", op="map", origin="written"),
        Stage(id="stages.0.source", op="range", origin="written"),
    ]
    found.stages = [stage for stage in found.stages if not stage.id.startswith("source.")]
    lines = [[[stage.id for stage in line] for line in lines] for lines in joined_lines(found, main_line(found))]
    assert lines == [
        [["stages.1.dataset.source", "stages.1.dataset.stages.0"]],
        [["stages.1.dataset.source.datasets.0.source"]],
    ]
