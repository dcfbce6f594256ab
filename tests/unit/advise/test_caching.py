"""What a cache keeps, and the epoch in which it fills, from made-up runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from unit.view.views import stage, tensor

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage
from pipeprof.profiles.advise.facts.cache_places import kept_by
from pipeprof.profiles.advise.facts.caching import BEYOND_EPOCH, Filling, filling, why_no_cache
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.constants import CACHE_OVERHEAD_BYTES
from pipeprof.profiles.document.findings import Kept
from pipeprof.profiles.document.profile import DataSize, Profile
from pipeprof.profiles.document.stages import OpCost, Stage
from pipeprof.profiles.view.view import PipelineView

Recorded = Callable[[str], Profile]
CACHE = (InsertStage("cache", {}, "stages.0"),)
EACH = 1000 + CACHE_OVERHEAD_BYTES
AHEAD = (InsertStage("prefetch", {}, "stages.0"),)


def run_of(recorded: Recorded, *ops: str, epochs: int = 20, **changes: dict[str, Any]) -> Profile:
    """A run of 1,000 steps of 10 ms over 1,000 elements of 1 kB; changes are of `source`, `stage0`, …"""
    found = recorded("input-bound")
    found.steps.epochs, found.steps.count, found.steps.interval_ms.mean = epochs, 1000, 10.0
    found.stages = []
    for number, op in enumerate(ops):
        address, name = ("source", "source") if not number else (f"stages.{number - 1}", f"stage{number - 1}")
        known = {"cardinality": 1000, "elements": 20_000, "bytes_per_element": 1000.0, **changes.get(name, {})}
        found.stages.append(Stage(id=address, origin="written", op=op, **known))
    return found


def view_of(profile: Profile, **elements: Any) -> PipelineView:
    """The view of a run, with elements of stages that have several components."""
    rows = [
        stage(one.id, one.op, measured=one, element=elements.get(one.id.replace("stages.", "stage")))
        for one in profile.stages or ()
    ]
    return PipelineView("measured", tuple(rows), profile=profile)


def test_a_cache_is_full_after_an_epoch_as_long_as_the_restarts_say(recorded: Recorded) -> None:
    run = run_of(recorded, "range", "map", "batch", epochs=7)
    assert filling(run, CACHE).steps == 158
    run.steps.epoch_steps = 160.0
    assert filling(run, CACHE).steps == 176


def test_where_the_pipeline_repeats_itself_an_epoch_is_what_passes_once(recorded: Recorded) -> None:
    passed = {"elements": 4_000}
    run = run_of(recorded, "range", "map", "repeat", epochs=0, source=passed, stage0=passed, stage1={"cardinality": -1})
    assert filling(run, [*AHEAD, *CACHE]) == Filling(275, 2.5)
    assert filling(run, AHEAD) == filling(run, []) == Filling()
    endless = {"cardinality": -1}
    assert filling(run_of(recorded, "range", "map", epochs=0, source=endless, stage0=endless), CACHE) == Filling()


def test_all_of_several_caches_are_full(recorded: Recorded) -> None:
    run = run_of(recorded, "sample_from_datasets", "batch", epochs=0)
    run.stages = [
        Stage(id=f"source.inputs.{side}.source", op="range", origin="written", cardinality=250, elements=elements)
        for side, elements in enumerate((2500, 1250))
    ]
    both = [InsertStage("cache", {}, stage.id) for stage in run.stages]
    assert [filling(run, edits).steps for edits in (both[:1], both)] == [
        math.ceil(BEYOND_EPOCH * steps) for steps in (100, 200)
    ]


def test_a_cache_that_moves_or_gets_a_map_fills_anew(recorded: Recorded) -> None:
    run = run_of(recorded, "range", "map", "cache", "map", "batch")
    for moved in (MoveStage("stages.1", "cache", "stages.0"), MoveStage("stages.2", "map", "stages.1")):
        assert filling(run, [moved]).steps == filling(run, CACHE).steps
    assert kept_by(view_of(run), [MoveStage("stages.1", "cache", "stages.0")]) is None


def test_what_python_makes_is_compared_in_two_more_epochs(recorded: Recorded) -> None:
    for ops, compares in (([], False), ([OpCost(op="PyFunc", ms_per_batch=9.0)], True)):
        found = filling(run_of(recorded, "range", "map", "batch", stage0={"ops": ops}), CACHE)
        assert (found.compares, found.trial_seconds) == (compares, (4 if compares else 2) * found.seconds)


def test_what_a_cache_keeps_is_one_epoch_of_what_was_seen(recorded: Recorded) -> None:
    """A filter leaves 1,632 elements in 51 batches; an epoch has 11 of them."""
    unknown: dict[str, Any] = {"cardinality": None}
    run = run_of(recorded, "range", "filter", epochs=4, source=unknown, stage0={**unknown, "elements": 1632})
    run.steps.count = 51
    for epoch, elements in ((11.0, 352), (None, 544)):
        run.steps.epoch_steps = epoch
        assert kept_by(view_of(run), CACHE) == Kept(sample_bytes=elements * EACH)


@pytest.mark.parametrize(("between", "known"), [("shuffle", True), ("padded_batch", False)])
def test_the_size_of_an_element_may_be_seen_at_a_later_stage(recorded: Recorded, between: str, known: bool) -> None:
    kept = kept_by(view_of(run_of(recorded, "range", "map", between, stage0={"bytes_per_element": None})), CACHE)
    assert (kept != Kept()) is known


def test_a_cache_of_many_small_tensors_takes_mostly_their_blocks(recorded: Recorded) -> None:
    """Measured: 6,000 rows of 40 numbers, 889 B each, took 56 MiB with the shuffle after them."""
    kept = kept_by(view_of(run_of(recorded, "range", "map", "batch"), stage0=(tensor("int64"),) * 40), CACHE)
    assert kept == Kept(sample_bytes=1000 * (1000 + 186 + 39 * 130))


def stored(recorded: Recorded, size: DataSize | None, source: float = 20_000.0) -> Profile:
    """Batches of 20 elements; the source gives as many bytes as the map unless told otherwise."""
    given = {"source": {"bytes_out_per_batch": source}, "stage0": {"bytes_out_per_batch": 20_000.0}}
    found = run_of(recorded, "TFRecordDataset", "map", "batch", **given)
    found.throughput.batches_per_second, found.throughput.elements_per_second = 100.0, 2000.0
    found.data_size, found.memory.peak_bytes = size, 600_000_000
    return found


@pytest.mark.parametrize(
    ("size", "source", "elements"),
    [
        (None, 20_000.0, None),
        (DataSize(elements=500_000), 20_000.0, 500_000),
        # As many bytes are stored as come out of the map.
        (DataSize(bytes=500_000_000), 20_000.0, 500_000),
        (DataSize(bytes=500_000_000), 5_000.0, 2_000_000),
        # Names of files tell nothing of what is in them.
        (DataSize(bytes=500_000_000), 100.0, None),
    ],
)
def test_a_cache_says_what_it_takes_of_the_whole_data_set(
    recorded: Recorded, size: DataSize | None, source: float, elements: int | None
) -> None:
    whole = elements * EACH if elements is not None else None
    assert kept_by(view_of(stored(recorded, size, source)), CACHE) == Kept(sample_bytes=1000 * EACH, bytes=whole)


@pytest.mark.parametrize(
    ("size", "source", "fits"),
    [
        *((None, 20_000.0, True), (DataSize(elements=5_000_000), 20_000.0, True)),
        *((DataSize(elements=9_000_000), 20_000.0, False), (DataSize(bytes=1_200_000_000_000), 100.0, False)),
    ],
)
def test_a_cache_that_does_not_fit_is_no_recommendation(
    size: DataSize | None, source: float, fits: bool, recorded: Recorded
) -> None:
    run = stored(recorded, size, source)
    cache = Proposal(edits=CACHE, cache=kept_by(view_of(run), CACHE))
    assert (why_no_cache(run, cache, 8_000_000_000) is None) is fits
    assert why_no_cache(run, cache, None) is None
    run.no_cache = True
    assert why_no_cache(run, cache, None) == "--no-cache leaves caches out"
    assert why_no_cache(run, Proposal(edits=AHEAD), 8_000_000_000) is None
