"""Stages of unknown cost: which are told, and which may have most of the work; no TensorFlow, no clock."""

from __future__ import annotations

import pytest

from pipeprof.profiles.document.profile import Message
from pipeprof.profiles.document.stages import OpCost, Stage
from pipeprof.profiles.time.top_stage import top_groups, unread_note


def stage(ms: float, parallelism: float | None = None, address: str = "stages.0") -> Stage:
    return Stage(id=address, origin="written", op="map", cpu_ms_per_batch=ms, parallelism=parallelism)


def top_ids(stages: list[Stage], epochs: int = 0, interval_ms: float = 0.0) -> list[str]:
    return [group.stage.id for group in top_groups(stages, epochs, interval_ms)]


def unseen(address: str = "stages.0") -> Stage:
    return Stage(id=address, origin="written", op="map")


def test_traced_ops_tell_what_the_model_did_not() -> None:
    traced = unseen().model_copy(update={"ops": [OpCost(op="DecodeJpeg", ms_per_batch=15.0)]})
    assert top_ids([traced, stage(4.0, address="stages.1")]) == ["stages.0"]


def test_no_written_stage_is_the_largest_where_an_injected_one_is() -> None:
    injected = Stage(id="injected.0", origin="injected", op="prefetch", cpu_ms_per_batch=4.0)
    assert top_ids([stage(3.0), injected]) == []
    assert top_ids([stage(5.0), injected]) == ["stages.0"]


def unread(*stages: Stage, epochs: int = 3, told: str = "") -> str:
    notes = [Message(code="stages-unseen", message="So.", stages=told.split())] if told else []
    note = unread_note(list(stages), epochs, notes)
    return note.message if note is not None else ""


def executed(op: str, address: str, **more: object) -> Stage:
    return Stage(id=address, origin="written", op=op, tf_op=op, **more)


def test_stages_that_had_ended_before_they_were_read_are_told() -> None:
    source, decode = executed("list_files", "source"), executed("map", "stages.0")
    rest = stage(1.0, address="stages.1")
    assert unread(source, decode, rest) == (
        "The costs of list_files and map are unknown: they finished before they could be read. The shares of the other "
        "stages leave them out."
    )
    decode.ops = [OpCost(op="DecodeJpeg", ms_per_batch=40.0), OpCost(op="Resize", ms_per_batch=5.0)]
    assert unread(source, decode, rest).endswith("By the trace, the ops of map take 45.0 ms per batch.")
    assert unread(source, decode, rest, told="source").startswith("The cost of map is unknown: it finished before ")
    assert unread(source, decode, rest, told="source stages.0") == ""


@pytest.mark.parametrize(
    ("stages", "epochs"),
    [
        pytest.param([executed("range", "source"), stage(1.0)], 0, id="it ended once, and took nothing since"),
        pytest.param([executed("range", "source")], 3, id="no cost is known at all"),
        pytest.param([Stage(id="source", origin="written", op="range"), stage(1.0)], 3, id="not in the graph"),
        pytest.param([executed("map", "stages.1", fused_with="stages.0"), stage(1.0)], 3, id="fused"),
        pytest.param([executed("map", "stages.1", executed="removed: no effect"), stage(1.0)], 3, id="removed"),
        pytest.param(
            [executed("map", "stages.0"), executed("cache", "stages.1", cpu_ms_per_batch=1.0)],
            3,
            id="served by a cache",
        ),
    ],
)
def test_else_nothing_is_missing(stages: list[Stage], epochs: int) -> None:
    assert unread(*stages, epochs=epochs) == ""


def test_a_source_below_repeat_ends_without_the_dataset() -> None:
    repeat = executed("repeat", "stages.1", cpu_ms_per_batch=1.0)
    assert unread(executed("range", "source"), repeat, epochs=0).startswith("The cost of range is unknown: ")


@pytest.mark.parametrize(
    ("stages", "epochs", "top"),
    [
        pytest.param(["stages.0", "cache stages.1"], 2, "stages.9", id="full"),
        pytest.param(["stages.0", "cache stages.1"], 1, None, id="being filled"),
        pytest.param(["cache stages.0", "stages.1"], 2, None, id="below the map"),
        pytest.param(["stages.0", "stages.0.source", "cache stages.1"], 2, "stages.9", id="and what is inside of it"),
        pytest.param(["stages.0", "cache stages.1", "take stages.2"], 2, None, id="never read to its end"),
        pytest.param(["source.inputs.0.stages.0", "cache source.inputs.0.stages.1"], 2, "stages.9", id="in a side"),
        pytest.param(["source.inputs.1.stages.0", "cache source.inputs.0.stages.1"], 2, None, id="in the other side"),
    ],
)
def test_what_a_full_cache_serves_costs_nothing(stages: list[str], epochs: int, top: str | None) -> None:
    listed = []
    for one in stages:
        op, _, address = one.rpartition(" ")
        listed.append(Stage(id=address, origin="written", op=op or "map"))
    assert top_ids([*listed, stage(1.0, address="stages.9")], epochs) == ([top] if top else [])


def test_a_stage_with_most_of_all_work_is_named_whatever_others_cost() -> None:
    known = stage(14.0, address="stages.1").model_copy(update={"share": 0.6})
    assert top_ids([unseen(), known], 0, 20.0) == [known.id]
    assert top_ids([unseen(), known.model_copy(update={"share": 0.4})], 0, 20.0) == []
    # A stage that mostly waits has no CPU time: it may be the one that is not known.
    assert top_ids([unseen(), known], 0, 40.0) == []
