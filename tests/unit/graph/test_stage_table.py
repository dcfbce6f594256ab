from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeprof.pipelines.graph.costs import costs
from pipeprof.pipelines.graph.read.records import GraphDict
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import Stage

from .conftest import NAMES, Recorded

Load = Callable[[str], Recorded]


def test_stages_of_recorded_pipelines(recorded: Load, golden: Callable[[str, str], None]) -> None:
    """With what TensorFlow made of each."""
    lines = []
    for name in NAMES:
        stages, _ = recorded(name).explain()
        rows = (f"{'  ' * one.depth}  {one.id}: {one.op}, {one.executed or 'as written'}" for one in stages.values())
        lines += [name, *rows, ""]
    golden("graph/stages.txt", "\n".join(lines))


def test_a_fused_stage_stands_at_its_first_part(recorded: Load) -> None:
    stages, _ = recorded("stateful_map_batch").explain()
    first, second = stages["stages.0"], stages["stages.1"]
    assert (first.fused_with, second.fused_with) == (None, "stages.0")
    assert first.tf_op == second.tf_op == "MapAndBatchDataset"
    assert first.time_ms_per_batch == pytest.approx(8.5, rel=0.1)
    assert second.time_ms_per_batch is None
    assert second.share is None
    assert (first.elements, first.bytes_per_element) == (160, 8.0)
    assert (second.elements, second.bytes_per_element) == (40, 32.0)


def test_shares_sum_to_one(every: Recorded) -> None:
    stages, _ = every.explain()
    shares = [stage.share for stage in stages.values() if stage.share is not None]
    assert not shares or sum(shares) == pytest.approx(1.0)


def test_without_a_model_there_is_structure_only(recorded: Load) -> None:
    stages, notes = recorded("autotune_off").explain()
    assert all(stage.time_ms_per_batch is None and stage.elements is None for stage in stages.values())
    assert [note.code for note in notes] == ["stages-no-model"]
    assert "autotune is off" in notes[0].message


def test_scaled_costs_are_told(recorded: Load) -> None:
    _, notes = recorded("epochs").explain()
    assert [note.code for note in notes] == ["stages-scaled"]
    assert notes[0].stages == ["source", "stages.0"]
    assert notes[0].message.startswith("The costs of range and map are scaled up: they restarted while measured")
    assert notes[0].message.endswith(" % of the elements.")


def test_a_model_of_something_else_is_told(recorded: Load) -> None:
    stages, notes = recorded("map_batch").explain(segments=recorded("zip").segments)
    assert all(stage.time_ms_per_batch is None for stage in stages.values())
    assert notes[0].code == "stages-unattributed"
    assert notes[0].message.startswith("100 % of the time inside stages could not be attributed")


def test_names_and_places_of_a_spec(recorded: Load) -> None:
    place = Location(file="spec.yaml", line=7, column=5)
    decode = Stage(id="stages.0", op="map", origin="written", name="decode", location=place)
    stages, _ = recorded("map_batch").explain(placed={"stages.0": decode})
    assert (stages["stages.0"].name, stages["stages.0"].location) == ("decode", place)
    assert (stages["stages.1"].name, stages["stages.1"].location) == (None, None)


def test_a_graph_that_could_not_be_read_is_told(recorded: Load) -> None:
    unread: GraphDict = {"root": None, "reason": "2.3 GB in memory", "nodes": []}
    stages, notes = replace(recorded("map_batch"), written=unread, snapshots=[]).explain()
    assert stages == {}
    assert notes[0].message == "The stages could not be read: 2.3 GB in memory."


def test_a_map_that_is_fused_with_a_batch_has_a_pass_of_single_elements(
    recorded: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "elements_of_pass", lambda *_: 500)
    stages, _ = recorded("stateful_map_batch").explain()
    one = {stage.op: stage.pass_elements for stage in stages.values() if stage.origin == "written"}
    assert (one["batch"], one["map"]) == (500, 500 * 4)
