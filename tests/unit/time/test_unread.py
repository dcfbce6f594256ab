"""Stages of unknown cost: which are told, and which may have most of the work; and errors that a stage hides."""

from __future__ import annotations

import pytest

from pipeprof.profiles.document.profile import Message
from pipeprof.profiles.document.stages import OpCost, Stage
from pipeprof.profiles.protocol.messages import Swallowed
from pipeprof.profiles.time.stage_notes import swallowed_message
from pipeprof.profiles.time.top_stage import top_groups, unread_note


def stage(ms: float, parallelism: float | None = None, address: str = "stages.0") -> Stage:
    return Stage(id=address, origin="written", op="map", cpu_ms_per_batch=ms, parallelism=parallelism)


def top_ids(stages: list[Stage], epochs: int = 0, interval_ms: float = 0.0) -> list[str]:
    return [group.stage.id for group in top_groups(stages, epochs, interval_ms)]


UNSEEN = Stage(id="stages.0", origin="written", op="map")


def test_traced_ops_tell_what_the_model_did_not_and_injected_stages_hide_written_ones() -> None:
    traced = UNSEEN.model_copy(update={"ops": [OpCost(op="DecodeJpeg", ms_per_batch=15.0)]})
    assert top_ids([traced, stage(4.0, address="stages.1")]) == ["stages.0"]
    injected = Stage(id="injected.0", origin="injected", op="prefetch", cpu_ms_per_batch=4.0)
    assert [top_ids([stage(ms), injected]) for ms in (3.0, 5.0)] == [[], ["stages.0"]]


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
    repeat = executed("repeat", "stages.1", cpu_ms_per_batch=1.0)
    assert unread(source, repeat, epochs=0).startswith("The cost of list_files is unknown: "), (
        "below repeat it ends too"
    )


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
    assert top_ids([UNSEEN, known], 0, 20.0) == [known.id]
    assert top_ids([UNSEEN, known.model_copy(update={"share": 0.4})], 0, 20.0) == []
    # A stage that mostly waits has no CPU time: it may be the one that is not known.
    assert top_ids([UNSEEN, known], 0, 40.0) == []


# Errors that `ignore_errors` hides


LOAD = Stage(id="stages.0", origin="written", op="map", name="load")
END = Stage(id="stages.1", origin="written", op="ignore_errors")
SEEN = Swallowed("InvalidArgumentError: Expected size[0] in [0, 171], but got 172.", 3, 205)


@pytest.mark.parametrize("seen", [None, SEEN])
def test_counted_errors(seen: Swallowed | None) -> None:
    note = swallowed_message(END, LOAD, 615, 9.8, seen)
    assert note.stages == ["stages.0", "stages.1"]
    assert "of 615 elements that went into load (map), at least 10 (1.6 %) raised one" in note.message
    assert note.message.endswith("`ignore_errors(log_warning=True)` prints them.")
    shown = "The first error: InvalidArgumentError: Expected size[0] in [0, 171], but got 172. `"
    assert (shown in note.message) is (seen is not None)


def test_errors_that_the_counters_do_not_show() -> None:
    note = swallowed_message(END, None, SEEN.elements, SEEN.errors, SEEN)
    assert note.stages == ["stages.1"]
    assert "of 205 elements that were read before it after the measurement, 3 (1.5 %) raised one" in note.message
    assert "The first error: InvalidArgumentError" in note.message
