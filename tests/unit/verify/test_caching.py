"""Where a cache is tried, from made-up runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, ReplaceStages
from pipeprof.profiles.advise.facts.caching import (
    CachePoint,
    Filling,
    cache_point,
    filling,
    kept_by,
    longest_epoch,
    maps_to_cache,
    why_no_cache,
)
from pipeprof.profiles.constants import CACHE_OVERHEAD_BYTES
from pipeprof.profiles.document.findings import Finding, Kept
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Component, OpCost, Shuffle, Stage
from pipeprof.profiles.document.subject import DataSize
from pipeprof.profiles.time.proven import describe_kept
from pipeprof.profiles.tries.plan import as_change

Recorded = Callable[[str], Profile]


def point(
    recorded: Recorded,
    *ops: str,
    at: str,
    changes: dict[str, dict[str, Any]] | None = None,
    epochs: int = 20,
    inside: Sequence[Stage] = (),
    budget: float = 0.0,
) -> CachePoint | None:
    """The cache of a run of 20 epochs of half a second: 1,000 elements of 1 kB in 31 batches."""
    found = run_of(recorded, *ops, epochs=epochs, changes=changes, inside=inside)
    line = [stage for stage in found.stages or () if stage.id == "source" or stage.id.count(".") == 1]
    place = next(number for number, stage in enumerate(line) if stage.id == at)
    return cache_point(found, line, place, None, longest_epoch(budget))


def run_of(
    recorded: Recorded,
    *ops: str,
    epochs: int,
    changes: dict[str, dict[str, Any]] | None = None,
    inside: Sequence[Stage] = (),
) -> Profile:
    found = recorded("input-bound").model_copy(deep=True)
    assert found.steps is not None
    found.steps.epochs, found.steps.count, found.steps.interval_ms.mean = epochs, 1000, 10.0
    stages = []
    for number, op in enumerate(ops):
        address = "source" if not number else f"stages.{number - 1}"
        known: dict[str, Any] = {"cardinality": 1000, "elements": 20_000, "bytes_per_element": 1000.0}
        known["random"] = False if op in {"map", "interleave", "filter", "scan"} else None
        stages.append(Stage(id=address, origin="written", op=op, **{**known, **(changes or {}).get(address, {})}))
    found.stages = [*stages, *inside]
    return found


def inserted(found: CachePoint | None) -> list[tuple[str, str]]:
    return [(edit.op, edit.after) for edit in found.edits] if found is not None else []  # type: ignore[attr-defined]


def test_it_comes_after_the_last_stage_that_gives_the_same_in_each_epoch(recorded: Recorded) -> None:
    found = point(recorded, "range", "map", "map", "batch", "map", "prefetch", at="stages.0")
    assert (inserted(found), found and found.semantics) == ([("cache", "stages.3")], "same")
    random = {"stages.3": {"random": True}}
    assert inserted(point(recorded, "range", "map", "map", "batch", "map", at="stages.0", changes=random)) == [
        ("cache", "stages.2")
    ]
    unknown: dict[str, dict[str, Any]] = {address: {"bytes_per_element": None} for address in ("stages.1", "stages.2")}
    assert inserted(point(recorded, "range", "map", "map", "shuffle", at="stages.0", changes=unknown)) == [
        ("cache", "stages.0")
    ]


def test_what_was_shuffled_is_shuffled_after_the_cache(recorded: Recorded) -> None:
    found = point(recorded, "range", "shuffle", "map", "batch", "map", at="stages.1")
    assert inserted(found) == [("cache", "stages.1"), ("shuffle", "stages.1")]
    assert found is not None
    assert (found.shuffle, found.semantics) == (1000, "order")


@pytest.mark.parametrize(
    ("ops", "held", "again"),
    [
        (("range", "shuffle", "map", "batch"), 300, 300),
        (("range", "shuffle", "map", "batch"), 9000, 1000),
        (("range", "shuffle", "interleave", "batch"), 300, 1000),
    ],
    ids=["as far as before", "no more than there are", "files were shuffled"],
)
def test_the_shuffle_after_a_cache_mixes_as_the_one_before(
    recorded: Recorded, ops: tuple[str, ...], held: int, again: int
) -> None:
    facts = Shuffle(buffer_size=held, seeded=False, reshuffles=True)
    found = point(recorded, *ops, at="stages.1", changes={"stages.0": {"shuffle": facts}})
    assert found is not None
    assert found.shuffle == again


@pytest.mark.parametrize(("held", "shuffled"), [(900.0, True), (200.0, False), (None, False)])
def test_a_later_shuffle_does_if_it_holds_much_of_an_epoch(
    recorded: Recorded, held: float | None, shuffled: bool
) -> None:
    changes = {"stages.2": {"buffered_elements": held}}
    found = point(recorded, "range", "shuffle", "map", "shuffle", "batch", at="stages.1", changes=changes)
    assert found is not None
    assert (found.shuffle is None, found.semantics) == (shuffled, "order")


def test_shuffled_names_of_files_count_as_a_shuffle(recorded: Recorded) -> None:
    names = {"source": {"tf_op": "ShuffleDatasetV3"}}
    found = point(recorded, "list_files", "map", "batch", at="stages.0", changes=names)
    assert inserted(found) == [("cache", "stages.0"), ("shuffle", "stages.0")]


@pytest.mark.parametrize(
    ("ops", "at", "semantics", "edits"),
    [
        (("range", "repeat", "map", "batch", "map"), "stages.1", "same", [("cache", "stages.1")]),
        (("range", "repeat", "map", "map", "batch"), "stages.1", "same", [("cache", "stages.2")]),
        (
            ("range", "shuffle", "repeat", "map", "batch"),
            "stages.2",
            "order",
            [("cache", "stages.2"), ("shuffle", "stages.2")],
        ),
        (
            ("range", "repeat", "shuffle", "map", "batch"),
            "stages.2",
            "order",
            [("cache", "stages.2"), ("shuffle", "stages.2")],
        ),
    ],
)
def test_what_was_repeated_before_the_cache_is_repeated_after_it(
    recorded: Recorded, ops: tuple[str, ...], at: str, semantics: str, edits: list[tuple[str, str]]
) -> None:
    endless = {f"stages.{number}": {"cardinality": -1} for number in range(ops.index("repeat") - 1, 4)}
    found = point(recorded, *ops, at=at, epochs=0, changes=endless)
    assert found is not None
    repeat = f"stages.{ops.index('repeat') - 1}"
    assert found.edits[0] == MoveStage(repeat, "repeat", f"stages.{int(found.stage.id[-1]) + 1}")
    assert [(edit.op, edit.after) for edit in found.edits[1:] if isinstance(edit, InsertStage)] == edits
    assert (found.semantics, found.shuffle) == (semantics, 1000 if semantics == "order" else None)


@pytest.mark.parametrize("ops", [("repeat", "repeat", "map"), ("repeat", "take", "map"), ("batch", "repeat", "map")])
def test_a_repeat_stays_where_moving_it_would_change_more(recorded: Recorded, ops: tuple[str, ...]) -> None:
    endless = {f"stages.{number}": {"cardinality": -1} for number in range(ops.index("repeat"), 4)}
    known = {"stages.0": {"cardinality": 32, "elements": 640}} if ops[0] == "batch" else {}
    found = point(recorded, "range", *ops, "batch", at="stages.2", epochs=0, changes={**endless, **known})
    assert (found is not None) is (ops[0] == "batch")


@pytest.mark.parametrize(
    ("ops", "at"),
    [
        (("range", "shuffle", "batch", "map"), "stages.2"),
        (("range", "shuffle", "take", "map"), "stages.2"),
        (("range", "shuffle", "scan", "map"), "stages.2"),
        (("range", "shuffle", "window", "map"), "stages.2"),
        (("range", "repeat", "map"), "stages.1"),
        (("range", "cache", "map"), "stages.1"),
        (("sample_from_datasets", "map"), "stages.0"),
        (("image_dataset_from_directory", "map"), "stages.0"),
    ],
)
def test_what_another_epoch_would_mix_otherwise_is_not_kept(recorded: Recorded, ops: tuple[str, ...], at: str) -> None:
    assert point(recorded, *ops, at=at) is None


def test_pairs_of_shuffled_sides_are_other_pairs_in_each_epoch(recorded: Recorded) -> None:
    sides = [Stage(id=f"source.inputs.{number}.stages.0", origin="written", op="shuffle") for number in (0, 1)]
    assert point(recorded, "zip", "map", at="stages.0", inside=sides) is None
    assert point(recorded, "zip", "map", at="stages.0") is not None


@pytest.mark.parametrize("op", ["filter", "interleave", "map"])
def test_what_takes_each_element_alone_may_follow_a_shuffle(recorded: Recorded, op: str) -> None:
    assert inserted(point(recorded, "range", "shuffle", op, "map", at="stages.2")) == [
        ("cache", "stages.2"),
        ("shuffle", "stages.2"),
    ]


@pytest.mark.parametrize(("random", "kept"), [(False, True), (True, False), (None, False)])
def test_what_random_stages_inside_give_is_not_kept(recorded: Recorded, random: bool | None, kept: bool) -> None:
    inside = Stage(id="stages.0.stages.0", origin="written", op="map", random=random)
    found = point(recorded, "range", "interleave", "map", at="stages.1", inside=[inside])
    assert (found is not None) is kept


def test_the_elements_of_an_epoch_are_those_that_were_seen(recorded: Recorded) -> None:
    unknown = {"stages.1": {"cardinality": None}}
    found = point(recorded, "range", "shuffle", "map", "batch", at="stages.1", changes=unknown)
    assert found is not None
    assert found.shuffle == 1053
    nowhere = dict.fromkeys(("source", "stages.0", "stages.1"), unknown["stages.1"])
    assert point(recorded, "range", "shuffle", "map", "batch", at="stages.1", changes=nowhere, epochs=2) is None


def test_what_filters_keep_of_a_pass_is_seen(recorded: Recorded) -> None:
    ops, kept = ("range", "map", "filter", "shuffle", "repeat", "batch"), {"cardinality": None, "elements": 5_000}
    endless = {"cardinality": -1, "elements": 5_000}
    changes = {"stages.1": kept, "stages.2": kept, "stages.3": endless, "stages.4": endless}
    found = point(recorded, *ops, at="stages.0", changes=changes, epochs=0)
    assert (inserted(found), found and found.semantics) == ([("cache", "stages.1")], "same")
    before = ("range", "shuffle", "map", "filter", "repeat", "batch")
    changes = {"stages.2": kept, "stages.3": endless, "stages.4": endless}
    found = point(recorded, *before, at="stages.1", changes=changes, epochs=0)
    assert found is not None
    assert (inserted(found), found.shuffle) == ([("cache", "stages.2"), ("shuffle", "stages.2")], 250)


def test_what_a_cache_keeps_is_one_epoch_of_what_was_seen(recorded: Recorded) -> None:
    """A filter leaves 1,632 elements in 51 batches; an epoch has 11 of them."""
    unknown = {"stages.0": {"cardinality": None, "elements": 1632, "bytes_per_element": 24_000.0}}
    run = run_of(recorded, "range", "filter", "batch", epochs=4, changes=unknown)
    assert run.steps is not None
    run.steps.count, run.steps.epoch_steps = 51, 11.0
    assert kept_by(run, (InsertStage("cache", {}, "stages.0"),)) == Kept(
        sample_bytes=352 * (24_000 + CACHE_OVERHEAD_BYTES)
    )
    run.steps.epoch_steps = None
    assert kept_by(run, (InsertStage("cache", {}, "stages.0"),)) == Kept(
        sample_bytes=544 * (24_000 + CACHE_OVERHEAD_BYTES)
    )


@pytest.mark.parametrize(
    ("kept", "more", "said"),
    [(Kept(sample_bytes=2 << 20), 0.0, "2.00 MiB"), (Kept(), 5 << 20, "at most 5.00 MiB")],
    ids=["seen", "unknown"],
)
def test_what_a_cache_takes_is_said(recorded: Recorded, kept: Kept, more: float, said: str) -> None:
    profile = recorded("input-bound").model_copy(deep=True)
    profile.data_size = None
    assert said in describe_kept(profile, kept, more)


def test_a_cache_that_was_not_tried_says_what_it_takes(recorded: Recorded) -> None:
    finding = Finding(rule="measured", title="Cache it", status="unverified", change="insert cache() after decode")
    finding.cache = Kept(sample_bytes=2 << 20)
    assert "2.00 MiB" in as_change(recorded("input-bound"), finding)


def test_a_cache_is_full_after_an_epoch_as_long_as_the_restarts_say(recorded: Recorded) -> None:
    run = run_of(recorded, "range", "map", "batch", epochs=7)
    assert run.steps is not None
    edits = (InsertStage("cache", {}, "stages.0"),)
    assert filling(run, edits).steps == 158
    run.steps.epoch_steps = 160.0
    assert filling(run, edits).steps == 176


def test_a_pass_that_the_graph_does_not_have_is_as_long_as_its_ends_showed(recorded: Recorded) -> None:
    ops = ("TFRecordDataset", "map", "shuffle", "batch", "repeat")
    unknown: dict[str, dict[str, Any]] = {"source": {"cardinality": None}}
    unknown |= {f"stages.{number}": {"cardinality": None} for number in (0, 1)}
    unknown["stages.2"] = {"cardinality": None, "elements": 400, "pass_elements": 20}
    unknown["stages.3"] = {"cardinality": -1, "elements": 400}
    found = point(recorded, *ops, at="stages.0", changes=unknown, epochs=0)
    assert (inserted(found), found and found.semantics) == ([("cache", "stages.0")], "same")
    run = run_of(recorded, *ops, epochs=0, changes=unknown)
    assert filling(run, found.edits if found is not None else ()).steps == 56
    # Of half an epoch and more, a trial does not see the end of the first one in time.
    unknown["stages.2"]["pass_elements"] = 300
    assert point(recorded, *ops, at="stages.0", changes=unknown, epochs=0) is None
    unknown["stages.2"]["pass_elements"] = None
    assert point(recorded, *ops, at="stages.0", changes=unknown, epochs=0) is None


def test_a_filter_behind_a_repeat_may_be_before_the_cache_as_well(recorded: Recorded) -> None:
    endless = {f"stages.{number}": {"cardinality": -1, "elements": 5_000} for number in (1, 2, 3)}
    endless["stages.1"]["cardinality"], endless["stages.0"] = None, {"cardinality": -1, "elements": 20_000}
    found = point(recorded, "range", "repeat", "filter", "map", "shuffle", at="stages.2", changes=endless, epochs=0)
    assert found is not None
    assert found.edits == (MoveStage("stages.0", "repeat", "stages.3"), InsertStage("cache", {}, "stages.2"))


def test_an_endless_repeat_before_the_last_stage_is_written_anew(recorded: Recorded) -> None:
    endless = {f"stages.{number}": {"cardinality": -1} for number in (0, 1)}
    found = point(recorded, "range", "repeat", "map", at="stages.1", changes=endless, epochs=0)
    assert found is not None
    again = InsertStage("repeat", {}, "stages.1")
    assert found.edits == (ReplaceStages(("stages.0",)), InsertStage("cache", {}, "stages.1"), again)
    twice = {f"stages.{number}": {"cardinality": 2000} for number in (0, 1)}
    found = point(recorded, "range", "repeat", "map", at="stages.1", changes=twice, epochs=0)
    assert found is None or found.repeat is None


def test_a_pipeline_that_repeats_itself_has_epochs_too(recorded: Recorded) -> None:
    assert inserted(point(recorded, "range", "map", "repeat", at="stages.0", epochs=0)) == [("cache", "stages.0")]
    few = {"stages.0": {"elements": 2_999}}
    assert point(recorded, "range", "map", "repeat", at="stages.0", epochs=0, changes=few) is None


@pytest.mark.parametrize(("budget", "seconds"), [(5.0, 1.5), (20.0, 3.0), (60.0, 9.0)])
def test_longer_epochs_are_cached_where_there_is_time_for_them(
    recorded: Recorded, budget: float, seconds: float
) -> None:
    """An epoch of as many elements as pass in so many of the 10 seconds of the run."""
    assert longest_epoch(budget) == pytest.approx(seconds)
    passed = {"stages.0": {"cardinality": 100_000, "elements": round(1_001_000 / seconds)}}
    kept = point(recorded, "range", "map", "repeat", at="stages.0", epochs=0, changes=passed, budget=budget)
    assert inserted(kept) == [("cache", "stages.0")]
    slower = {"stages.0": {"cardinality": 100_000, "elements": round(990_000 / seconds)}}
    assert point(recorded, "range", "map", "repeat", at="stages.0", epochs=0, changes=slower, budget=budget) is None


def test_a_cache_is_full_before_it_is_measured(recorded: Recorded) -> None:
    passed = {"source": {"elements": 4_000}, "stages.0": {"elements": 4_000}, "stages.1": {"cardinality": -1}}
    found = run_of(recorded, "range", "map", "repeat", epochs=0, changes=passed)
    cache, ahead = (InsertStage(op, {}, "stages.0") for op in ("cache", "prefetch"))
    assert filling(found, [ahead, cache]) == Filling(275, 2.5)
    assert filling(found, [ahead]) == filling(found, []) == Filling()
    endless = {"source": {"cardinality": -1}, "stages.0": {"cardinality": -1}}
    assert filling(run_of(recorded, "range", "map", epochs=0, changes=endless), [cache]) == Filling()


def test_a_cache_that_moves_fills_anew_and_keeps_nothing_more(recorded: Recorded) -> None:
    moved = (MoveStage("stages.1", "cache", "stages.0"),)
    found = run_of(recorded, "range", "map", "cache", "batch", epochs=20)
    assert filling(found, moved) == filling(found, (InsertStage("cache", {}, "stages.0"),))
    assert kept_by(found, moved) is None


def test_what_python_makes_is_compared_first_where_an_epoch_is_short(recorded: Recorded) -> None:
    """Its epoch may be three quarters as long, as two more are needed."""
    python = {"stages.0": {"random": None, "ops": [OpCost(op="PyFunc", ms_per_batch=9.0)]}}
    found = point(recorded, "range", "map", "batch", at="stages.0", changes=python)
    assert inserted(found) == [("cache", "stages.1")]
    assert found is not None
    profile = run_of(recorded, "range", "map", "batch", epochs=20, changes=python)
    compared = filling(profile, found.edits)
    assert (compared.compares, compared.trial_seconds) == (True, 4 * compared.seconds)
    pure = filling(run_of(recorded, "range", "map", "batch", epochs=20), found.edits)
    assert (pure.compares, pure.trial_seconds) == (False, 2 * pure.seconds)
    # An epoch of 1.25 s, of 1.5 s at most.
    assert point(recorded, "range", "map", "batch", at="stages.0", changes=python, epochs=8) is None
    assert point(recorded, "range", "map", "batch", at="stages.0", epochs=8) is not None
    assert inserted(point(recorded, "from_generator", "map", at="stages.0")) == [("cache", "stages.0")]
    drawn = {"stages.0": {**python["stages.0"], "random": True}}
    assert point(recorded, "range", "map", "batch", at="stages.0", changes=drawn) is None


@pytest.mark.parametrize(("between", "kept"), [("shuffle", True), ("padded_batch", False)])
def test_the_size_of_an_element_may_be_seen_at_a_later_stage(recorded: Recorded, between: str, kept: bool) -> None:
    unseen = {"stages.0": {"bytes_per_element": None}}
    found = point(recorded, "range", "map", between, at="stages.0", changes=unseen)
    assert (inserted(found) == [("cache", "stages.0")]) is kept


@pytest.mark.parametrize(
    ("ops", "maps"),
    [
        (("range", "map", "cache", "shuffle", "repeat", "map"), ["stages.4"]),
        (("range", "cache", "map", "prefetch", "map"), ["stages.1", "stages.3"]),
        (("range", "cache", "filter", "map"), None),
        (("range", "cache", "batch", "map"), None),
        (("range", "cache", "cache", "map"), None),
        (("range", "map", "map"), None),
    ],
)
def test_a_cache_keeps_what_plain_maps_after_it_make(
    recorded: Recorded, ops: tuple[str, ...], maps: list[str] | None
) -> None:
    found = run_of(recorded, *ops, epochs=20)
    line = found.stages or []
    kept = maps_to_cache(found, line, len(line) - 1, None)
    assert (kept and [stage.id for stage in kept[1]]) == maps
    if kept is None:
        return
    assert kept[0].op == "cache"
    edits = [MoveStage(stage.id, stage.op, kept[0].id) for stage in kept[1]]
    assert filling(found, edits).steps == 56
    assert maps_to_cache(found, line, len(line) - 1, 7_000_000) is None
    line[-1].random = True
    assert maps_to_cache(found, line, len(line) - 1, None) is None


def test_a_cache_of_a_long_epoch_stays_as_it_is(recorded: Recorded) -> None:
    found = run_of(recorded, "range", "cache", "map", epochs=20)
    line = found.stages or []
    assert maps_to_cache(found, line, 2, None, 0.4) is None


CACHE = (InsertStage("cache", {}, "stages.0"),)


def sample(recorded: Recorded, size: DataSize | None, **source: float) -> Profile:
    """1,000 elements of 1 kB, in batches of 20; the source gives as many bytes as the map unless told otherwise."""
    changes = {"source": {"bytes_out_per_batch": 20_000.0, **source}, "stages.0": {"bytes_out_per_batch": 20_000.0}}
    found = run_of(recorded, "TFRecordDataset", "map", "batch", epochs=20, changes=changes)
    assert found.throughput is not None
    found.throughput.batches_per_second, found.throughput.elements_per_second = 100.0, 2000.0
    found.data_size = size
    found.memory.peak_bytes, found.host.memory_limit_bytes = 600_000_000, 8_000_000_000
    return found


def test_a_cache_says_what_it_takes_of_the_whole_data_set(recorded: Recorded) -> None:
    each = 1000 + CACHE_OVERHEAD_BYTES
    seen = Kept(sample_bytes=1000 * each)
    assert kept_by(sample(recorded, None), CACHE) == seen
    wanted = seen.model_copy(update={"bytes": 500_000 * each})
    assert kept_by(sample(recorded, DataSize(elements=500_000)), CACHE) == wanted
    # As many bytes are stored as come out of the map.
    assert kept_by(sample(recorded, DataSize(bytes=500_000_000)), CACHE) == wanted
    stored = sample(recorded, DataSize(bytes=500_000_000), bytes_out_per_batch=5_000.0)
    assert kept_by(stored, CACHE) == seen.model_copy(update={"bytes": 2_000_000 * each})
    # Names of files tell nothing of what is in them.
    names = sample(recorded, DataSize(bytes=500_000_000), bytes_out_per_batch=100.0)
    assert kept_by(names, CACHE) == seen
    assert kept_by(sample(recorded, None), (InsertStage("prefetch", {}, "stages.0"),)) is None


def test_a_cache_of_many_small_tensors_takes_mostly_their_blocks(recorded: Recorded) -> None:
    """Measured: 6,000 rows of 40 numbers, 889 B each, took 56 MiB with the shuffle after them."""
    found = sample(recorded, None)
    assert found.stages is not None
    found.stages[1].element_spec = [Component(name=str(number), dtype="int64", shape=[]) for number in range(40)]
    kept = kept_by(found, CACHE)
    assert kept is not None
    assert kept.sample_bytes == 1000 * (1000 + 186 + 39 * 130)


@pytest.mark.parametrize(
    ("size", "source", "reason"),
    [
        (None, 20_000.0, None),
        (DataSize(elements=5_000_000), 20_000.0, None),
        (DataSize(elements=9_000_000), 20_000.0, "takes 9.94 GiB, the memory limit is 7.45 GiB"),
        (DataSize(bytes=1_200_000_000_000), 100.0, "takes about 1.09 TiB, the memory limit is 7.45 GiB"),
    ],
)
def test_a_cache_that_does_not_fit_is_no_recommendation(
    size: DataSize | None, source: float, reason: str | None, recorded: Recorded
) -> None:
    found = sample(recorded, size, bytes_out_per_batch=source)
    limit = found.host.memory_limit_bytes
    assert why_no_cache(found, CACHE, limit) == (reason and f"a cache of the whole data set {reason}")
    assert why_no_cache(found, CACHE, None) is None
    found.no_cache = True
    assert why_no_cache(found, CACHE, limit) == "--no-cache leaves caches out"
    assert why_no_cache(found, (InsertStage("prefetch", {}, "stages.0"),), limit) is None


@pytest.mark.parametrize("op", ["skip", "take", "shard"])
def test_a_cache_does_not_keep_what_is_dropped_next(recorded: Recorded, op: str) -> None:
    few: dict[str, dict[str, Any]] = {"stages.1": {"cardinality": 100, "elements": 2000}}
    found = point(recorded, "from_tensor_slices", "map", op, "map", at="stages.0", changes=few)
    assert found is not None
    assert found.stage.id == "stages.2"
    unknown = {"stages.1": {"bytes_per_element": None}, "stages.2": {"bytes_per_element": None}}
    assert point(recorded, "from_tensor_slices", "map", op, "shuffle", at="stages.0", changes=unknown) is None


def test_what_is_dropped_of_shuffled_elements_is_not_the_same_in_each_epoch(recorded: Recorded) -> None:
    found = point(recorded, "from_tensor_slices", "shuffle", "map", "take", at="stages.1")
    assert found is not None
    assert found.stage.id == "stages.1"
